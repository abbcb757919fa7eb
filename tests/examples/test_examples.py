"""The programs in examples/ do what their first line says."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydicom import dcmread
from pydicom.tag import Tag
from pydicom.uid import UID

import dicomio
from dicomio import Application, Status, query
from dicomio.sop import BreastTomosynthesisImageStorage, MRImageStorage
from dicomio.testing import connected
from tests.examples.conftest import Archive, Redirect, served
from tests.examples.programs import names


async def test_echo(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    await names("echo.py")["main"]("ARCHIVE@localhost:11112")
    assert " ms" in capsys.readouterr().out


async def test_echo_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="Connection refused"):
        await names("echo.py")["main"]("ARCHIVE@127.0.0.1:9")


async def test_storage_scp_files_by_study(ct: Path, tmp_path: Path) -> None:
    app: Application = names("storage_scp.py")["storage_scp"](tmp_path / "inbox")
    async with connected(app) as association:
        await association.store(ct)
    while app.background:
        await asyncio.wait(app.background)
    (stored,) = (path for path in (tmp_path / "inbox").rglob("*") if path.is_file())
    sent, got = await asyncio.to_thread(lambda: (dicomio.Instance.open(ct), dicomio.Instance.open(stored)))
    study = (await asyncio.to_thread(sent.dataset)).StudyInstanceUID
    assert stored == tmp_path / "inbox" / study / f"{sent.sop_instance_uid}.dcm"
    assert await asyncio.to_thread(got.read) == await asyncio.to_thread(sent.read)


async def test_store_folder(archive: Archive, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study" / "series").mkdir(parents=True)
    for name in ("1.dcm", "series/2.dcm"):
        (tmp_path / "study" / name).write_bytes(ct.read_bytes())
    assert await names("store_folder.py")["main"]("ARCHIVE@localhost:11112", str(tmp_path / "study")) == 0
    assert len(archive.saved) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("2/2 ")


class TestQueryRetrieve:
    """qr_scp.py"""

    @pytest.fixture
    async def client(self, archive: Archive, ct: Path, mr: Path) -> AsyncIterator[dicomio.Client]:
        """Of an SCP that holds two studies and knows the archive of the test as a destination."""
        assert archive.server is not None
        destination = dicomio.Address("PACS", "127.0.0.1", archive.server.port)
        async with served(names("qr_scp.py")["qr_scp"]({"PACS": destination})) as client:
            assert await client.store_many([ct, mr]) == []
            yield client

    async def test_finds_studies_with_what_is_counted_of_them(self, client: dicomio.Client) -> None:
        keys = dict.fromkeys(("ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedInstances"), "")
        (match,) = await client.find(query("STUDY", PatientName="compressed*^m*", StudyDate="20040101-", **keys))
        assert match.QueryRetrieveLevel == "STUDY"
        assert (match.ModalitiesInStudy, match.SOPClassesInStudy) == ("MR", MRImageStorage)
        assert match.NumberOfStudyRelatedInstances == 1

    @pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
    async def test_finds_at_every_level(self, client: dicomio.Client, level: str) -> None:
        matches = await client.find(query(level, PatientID=""), model=dicomio.PATIENT_ROOT)
        assert sorted(match.PatientID for match in matches) == ["1CT1", "4MR1"]

    async def test_passes_over_keys_it_does_not_support(self, client: dicomio.Client) -> None:
        (match,) = await client.find(query("STUDY", PatientID="1CT1", InstitutionName="elsewhere"))
        assert "InstitutionName" not in match

    async def test_names_a_key_that_makes_no_sense(self, client: dicomio.Client) -> None:
        with pytest.raises(dicomio.StatusError) as refusal:
            await client.find(query("STUDY", StudyDate="yesterday"))
        assert refusal.value.status == Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
        assert "StudyDate: 'yesterday' is no value for DA" in str(refusal.value)
        assert isinstance(refusal.value.response, dicomio.Response)
        assert refusal.value.response.offending_elements == (Tag("StudyDate"),)

    async def test_get(self, client: dicomio.Client, ct: Path) -> None:
        sent = await asyncio.to_thread(dcmread, ct)
        async with client.get(query("STUDY", StudyInstanceUID=sent.StudyInstanceUID)) as instances:
            assert [await instance.dataset() async for instance in instances] == [sent]
        assert instances.status == Status.SUCCESS

    async def test_move(self, client: dicomio.Client, archive: Archive, mr: Path) -> None:
        sent = await asyncio.to_thread(dcmread, mr)
        progress = await client.move(query("STUDY", StudyInstanceUID=sent.StudyInstanceUID), to="PACS")
        assert (progress.completed, progress.total) == (1, 1)
        (moved,) = archive.saved
        assert await asyncio.to_thread(dcmread, moved) == sent

    async def test_move_to_a_stranger(self, client: dicomio.Client) -> None:
        with pytest.raises(dicomio.StatusError) as refusal:
            await client.move(query("STUDY", StudyInstanceUID="1.2.3"), to="STRANGER")
        assert refusal.value.status == Status.MOVE_DESTINATION_UNKNOWN


async def test_worklist(tmp_path: Path) -> None:
    program = names("worklist_scp.py")
    steps = json.loads(program["__doc__"].partition("\n\n    ")[2])
    path = tmp_path / "steps.json"
    async with served(program["worklist_scp"](path)) as client:
        path.write_text(json.dumps(steps))
        for modality, found in (("MR", ["DOE^JANE"]), ("CT", [])):
            step = {"Modality": modality, "ScheduledProcedureStepStartDate": "20260101-20260131"}
            keys = query("", PatientName="", ScheduledProcedureStepSequence=[step])
            assert [match.PatientName for match in await client.find(keys, model=dicomio.WORKLIST)] == found
        path.write_text("[]")
        assert await client.find(query("", PatientName=""), model=dicomio.WORKLIST) == []


class TestRouter:
    """router.py"""

    @pytest.fixture
    async def breast(self, tmp_path: Path) -> AsyncIterator[Archive]:
        """Where mammograms go, on a port of its own."""
        found = Archive(tmp_path / "breast")
        async with dicomio.serve(found.app, "127.0.0.1", 0) as found.server:
            yield found

    @pytest.fixture
    def app(self, archive: Archive, breast: Archive) -> Application:
        """The router before both archives."""
        addresses = [f"PACS@127.0.0.1:{each.server.port}" for each in (archive, breast) if each.server is not None]
        router: Application = names("router.py")["router"](*addresses)
        return router

    async def test_forwards_byte_for_byte(self, app: Application, archive: Archive, breast: Archive, ct: Path) -> None:
        async with served(app) as client:
            assert (await client.store(ct)).status == Status.SUCCESS
        (passed,) = archive.saved
        assert breast.saved == []
        assert await asyncio.to_thread(data_of, passed) == await asyncio.to_thread(data_of, ct)

    async def test_decides(self, app: Application, archive: Archive, breast: Archive, ct: Path) -> None:
        ds = await asyncio.to_thread(dcmread, ct)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(BreastTomosynthesisImageStorage)
        async with served(app) as client:
            await client.store(ds)
        assert (len(archive.saved), len(breast.saved)) == (0, 1)

    async def test_says_so_when_a_destination_is_down(self, app: Application, archive: Archive, ct: Path) -> None:
        assert archive.server is not None
        archive.server.close()
        await archive.server.wait_closed()
        async with served(app) as client:
            with pytest.raises(dicomio.StatusError) as refusal:
                await client.store(ct)
        assert refusal.value.status == Status.OUT_OF_RESOURCES


class TestFastAPI:
    """fastapi_app.py"""

    @pytest.fixture
    async def web(
        self, redirect: Redirect, ct: Path, mr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[FastAPI]:
        """The running program, after two objects were stored to it by DICOM."""
        monkeypatch.chdir(tmp_path)
        web: FastAPI = names("fastapi_app.py")["web"]
        redirect.listening = asyncio.get_running_loop().create_future()
        async with web.router.lifespan_context(web):
            redirect.port = await redirect.listening
            async with dicomio.Client("ARCHIVE@localhost:11112") as client:
                assert await client.store_many([ct, mr]) == []
            yield web

    async def test_lists(self, web: FastAPI, ct: Path, mr: Path) -> None:
        status, body = await get(web, "/instances")
        sent = await asyncio.to_thread(lambda: [dicomio.Instance.open(path).sop_instance_uid for path in (ct, mr)])
        assert (status, sorted(each["00080018"]["Value"][0] for each in json.loads(body))) == (200, sorted(sent))

    async def test_searches(self, web: FastAPI) -> None:
        status, body = await get(web, "/instances", "PatientName=*mr1&Modality=")
        (match,) = json.loads(body)
        assert (status, match["00080060"]["Value"]) == (200, ["MR"])

    @pytest.mark.parametrize("keys", ["PatientNaem=DOE", "StudyDate=yesterday"])
    async def test_names_a_key_that_makes_no_sense(self, web: FastAPI, keys: str) -> None:
        status, body = await get(web, "/instances", keys)
        assert status == 400
        assert keys.partition("=")[0] in json.loads(body)["detail"]

    async def test_fetches(self, web: FastAPI, ct: Path) -> None:
        sent = await asyncio.to_thread(dicomio.Instance.open, ct)
        status, body = await get(web, f"/instances/{sent.sop_instance_uid}")
        assert status == 200
        assert body.endswith(await asyncio.to_thread(sent.read))
        assert (await get(web, "/instances/1.2.3"))[0] == 404


async def get(web: FastAPI, path: str, parameters: str = "") -> tuple[int, bytes]:
    """Status and body of the answer to a GET, asked for as an HTTP server does (ASGI 3)."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": path,
        "query_string": parameters.encode(),
        "headers": [],
    }
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        answer.append(message)

    await web(scope, receive, send)
    return answer[0]["status"], b"".join(each.get("body", b"") for each in answer[1:])


def data_of(path: Path) -> bytes:
    """The encoded data set of a DICOM file."""
    return dicomio.Instance.open(path).read()
