"""A modality that tells the RIS what it is doing while it sends a study, and a RIS that listens.

`python examples/mpps.py 11112` listens, `python examples/mpps.py RIS@localhost:11112 PACS@pacs.example study/` sends.
"""

import asyncio
import sys
from pathlib import Path

from pydicom import Dataset, dcmread

from dicomio import Application, Client, PerformedStepProvider, StepChange, dataset, performed_step


def headers(folder: str) -> dict[Path, Dataset]:
    """What is in the files of a study."""
    return {path: dcmread(path, stop_before_pixels=True) for path in sorted(Path(folder).rglob("*.dcm"))}


def step_of(image: Dataset) -> Dataset:
    """The step that an image was created in. With a worklist at hand, `from_worklist` knows more."""
    scheduled = {"StudyInstanceUID": image.StudyInstanceUID, "AccessionNumber": image.get("AccessionNumber")}
    known = {keyword: image.get(keyword) for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")}
    return dataset(Modality=image.Modality, ScheduledStepAttributesSequence=[scheduled], **known)


async def send(ris_address: str, pacs_address: str, folder: str) -> None:
    """Sends a study as what a procedure step created: COMPLETED with the last file, DISCONTINUED if one fails."""
    files = await asyncio.to_thread(headers, folder)
    step = step_of(next(iter(files.values())))
    async with Client(ris_address, ae_title="CT1") as ris, Client(pacs_address, ae_title="CT1") as pacs:
        async with performed_step(ris, step) as performed:
            for path, image in files.items():
                await pacs.store(path)
                performed.add(image)


def ris() -> Application:
    """An application that prints what modalities do."""
    app = Application("RIS")
    provider = PerformedStepProvider(app)

    @provider.on_change
    async def changed(change: StepChange) -> None:
        step = change.attributes
        objects = sum(len(series.ReferencedImageSequence) for series in step.PerformedSeriesSequence)
        print(f"{step.PerformedStationAETitle}: {step.PatientName} {change.state}, {objects} images", flush=True)

    return app


if __name__ == "__main__":
    if len(sys.argv) == 2:
        ris().run(port=int(sys.argv[1]))
    else:
        asyncio.run(send(*sys.argv[1:]))
