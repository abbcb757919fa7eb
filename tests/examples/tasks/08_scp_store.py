from pathlib import Path
from dicomio import Application, Status
from dicomio import StoreRequest

INBOX = Path("inbox")
app = Application("ARCHIVE", destinations={"WORKSTATION": "WORKSTATION@10.0.0.9:104"})
app.map_exception(OSError, Status.OUT_OF_RESOURCES)


@app.store()
async def store(request: StoreRequest) -> None:
    await request.save(INBOX / f"{request.sop_instance_uid}.dcm")


if __name__ == "__main__":
    app.run(port=11112)
