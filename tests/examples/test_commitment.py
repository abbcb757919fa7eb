"""The programs about storage commitment, those of examples/ and those that the public API was drawn up for."""

import asyncio
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

import dicomio
from dicomio import Address, Application, CommitmentProvider, Status, StorageCommitment, dataset
from dicomio.sop import CTImageStorage
from dicomio.sop import StorageCommitmentPushModel as Push
from dicomio.testing import connected
from tests.examples.conftest import Redirect, served
from tests.examples.programs import names

TASKS = Path(__file__).parent / "tasks"


async def test_the_examples_together(
    redirect: Redirect, ct: Path, mr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requesters: dict[str, str | Address] = {}
    inbox, study = tmp_path / "inbox", tmp_path / "study"
    study.mkdir()
    for path in (ct, mr):
        (study / path.name).write_bytes(path.read_bytes())
    async with served(names("commitment_scp.py")["commitment_scp"](inbox, requesters)) as client:
        redirect.port = client.address.port
        redirect.listening = asyncio.get_running_loop().create_future()
        program = names("commitment_scu.py")["main"]("ARCHIVE@localhost:11112", str(study), "11113")
        running = asyncio.get_running_loop().create_task(program)
        requesters["EXAMPLE"] = f"EXAMPLE@127.0.0.1:{await redirect.listening}"
        assert await running == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"{study / path.name}: is kept" for path in sorted((ct, mr), key=lambda path: path.name)
    ]
    assert len(list(inbox.iterdir())) == 2


async def test_the_archive_tells_why(tmp_path: Path, ct: Path) -> None:
    app: Application = names("commitment_scp.py")["commitment_scp"](tmp_path, {})
    me = Application("ME")
    commitment = StorageCommitment(me)
    uid = (await asyncio.to_thread(dicomio.Instance.open, ct)).sop_instance_uid
    (tmp_path / "1.2.3.dcm").write_text("not DICOM")
    async with connected(app, client=me, contexts=[CTImageStorage, Push]) as association:
        await association.store(ct)
        transactions = [
            await commitment.request(association, [pair])
            for pair in ((CTImageStorage, uid), (UID("1.2.3"), uid), (CTImageStorage, "1.2.3"), (CTImageStorage, "1.2"))
        ]
        results = [await transaction.result() for transaction in transactions]
    assert [list(result.failed.values()) for result in results] == [
        [],
        [Status.CLASS_INSTANCE_CONFLICT],
        [Status.PROCESSING_FAILURE],
        [Status.NO_SUCH_SOP_INSTANCE],
    ]


async def test_nobody_listens(redirect: Redirect, ct: Path) -> None:
    redirect.port = 9
    with pytest.raises(SystemExit, match="Connection refused"):
        await names("commitment_scu.py")["main"]("ARCHIVE@localhost:11112", str(ct), "11113")


async def test_nothing_to_ask_for(redirect: Redirect, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("not DICOM")
    assert await names("commitment_scu.py")["main"]("ARCHIVE@localhost:11112", str(tmp_path), "11113") == 1
    assert "notes.txt: failed" in capsys.readouterr().out


async def test_09_commitment(redirect: Redirect, capsys: pytest.CaptureFixture[str]) -> None:
    """It has released its association when the report comes, on one of the PACS."""

    async def locate(ae_title: str) -> Address:
        assert redirect.listening is not None
        return Address(ae_title, "127.0.0.1", redirect.listening.result())

    async def check(instances: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        return {uid: Status.NO_SUCH_SOP_INSTANCE for _, uid in instances}

    pacs = Application("PACS", destinations=locate)
    provider = CommitmentProvider(pacs, check, linger=60)
    async with dicomio.serve(pacs, "127.0.0.1", 0) as server:
        redirect.port = server.port
        redirect.listening = asyncio.get_running_loop().create_future()
        await asyncio.to_thread(runpy.run_path, str(TASKS / "09_commitment.py"), run_name="__main__")
    assert provider.reports == {}
    assert capsys.readouterr().out == f"{ {'1.2.3.4': Status.NO_SUCH_SOP_INSTANCE} }\n"


async def test_13_commit_scp(redirect: Redirect, monkeypatch: pytest.MonkeyPatch) -> None:
    archive: Any = ModuleType("archive")

    async def check(information: Dataset) -> tuple[int, Dataset]:
        return 1, dataset(
            TransactionUID=information.TransactionUID, ReferencedSOPSequence=information.ReferencedSOPSequence
        )

    archive.check = check
    monkeypatch.setitem(sys.modules, "archive", archive)
    app: Application = runpy.run_path(str(TASKS / "13_commit_scp.py"))["app"]
    me = Application("ME")
    commitment = StorageCommitment(me)
    async with dicomio.serve(app, "127.0.0.1", 0) as server, dicomio.serve(me, "127.0.0.1", 0) as listening:
        redirect.port = listening.port
        async with dicomio.connect(f"ARCHIVE@127.0.0.1:{server.port}", ae_title="ME", contexts=[Push]) as association:
            transaction = await commitment.request(association, [(CTImageStorage, "1.2.3.4")])
        assert (await transaction.result()).committed == ("1.2.3.4",)
