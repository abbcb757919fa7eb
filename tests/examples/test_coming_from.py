"""The pages for those who come from DCMTK and from pynetdicom: complete, and true of what they come from."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pynetdicom
import pytest
from pynetdicom import AE, _config, evt, pdu_primitives
from pynetdicom.association import Association

import dicomio
from dicomio import Application, FindRequest, dataset, sop
from tests.examples.programs import ROOT, all_blocks, blocks

PYNETDICOM = "docs/coming-from/pynetdicom.md"
# What is imported into the module of settings without being one.
NOT_SETTINGS = {"Any", "Callable", "validate_ae", "validate_ui"}


def missing(page: str, names: Iterable[str]) -> list[str]:
    """Names that do not stand in any code span or code block of a page."""
    text = (ROOT / page).read_text()
    spans = " ".join([*re.findall(r"`([^`\n]+)`", text), *(block for _, block in all_blocks(page))])
    return sorted(name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", spans))


def public(found: object) -> set[str]:
    """The names that are there to be used."""
    return {name for name in dir(found) if not name.startswith("_")}


def test_everything_of_an_application_entity_has_its_counterpart() -> None:
    assert missing(PYNETDICOM, {f"ae.{name}" for name in public(AE)}) == []


def test_everything_of_an_association_has_its_counterpart() -> None:
    association = Association(AE(), "requestor")
    names = public(association) - public(threading.Thread()) | {"is_alive"}
    assert missing(PYNETDICOM, {f"assoc.{name}" for name in names}) == []


def test_every_event_has_its_counterpart() -> None:
    events = {name for name in vars(evt) if name.startswith("EVT_")}
    assert len(events) >= 30
    assert missing(PYNETDICOM, {f"evt.{name}" for name in events}) == []


def test_everything_that_events_have_has_its_counterpart() -> None:
    given = {"assoc", "context", "request", "timestamp"}
    assert missing(PYNETDICOM, {f"event.{name}" for name in public(evt.Event) | given}) == []


def test_every_setting_has_its_counterpart() -> None:
    assert missing(PYNETDICOM, {f"_config.{name}" for name in public(_config) - NOT_SETTINGS}) == []


def test_everything_else_that_is_exported_has_its_counterpart() -> None:
    names = set(pynetdicom.__all__) - {"__version__", "evt"}
    # The identity of pynetdicom itself.
    assert missing(PYNETDICOM, {name for name in names if not name.startswith("PYNETDICOM_")}) == []


def test_every_item_of_negotiation_has_its_counterpart() -> None:
    items = {name for name in public(pdu_primitives) if name.endswith(("Notification", "Negotiation"))}
    assert len(items) == 8
    assert missing(PYNETDICOM, items) == []


def test_every_program_of_pynetdicom_has_its_counterpart() -> None:
    apps = Path(pynetdicom.__file__).parent / "apps"
    programs = {
        path.name for path in apps.iterdir() if (path / "__main__.py").exists() or (path / f"{path.name}.py").exists()
    }
    assert len(programs) >= 8
    assert missing(PYNETDICOM, {f"python -m pynetdicom {name}" for name in programs}) == []


async def test_the_client_of_pynetdicom_finds_what_ours_finds(capsys: pytest.CaptureFixture[str]) -> None:
    app = Application("PACS")

    @app.find(dicomio.STUDY_ROOT)
    async def find(request: FindRequest) -> AsyncIterator[dict[str, Any]]:
        assert request.identifier.PatientName == "DOE*"
        for description in ("CT THORAX", "MR HEAD"):
            yield {"StudyDescription": description, "StudyInstanceUID": "1.2.3"}

    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        source = blocks(PYNETDICOM, "py")[0].replace('"localhost", 11112', f'"127.0.0.1", {server.port}')
        await asyncio.to_thread(exec, source, {})
    assert capsys.readouterr().out == blocks(PYNETDICOM, "text")[0]


async def test_the_server_of_pynetdicom_stores_what_ours_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = blocks(PYNETDICOM, "py")[1].replace('("127.0.0.1", 11112)', '("127.0.0.1", 0), block=False')
    source = source.replace("ae.start_server", "server = ae.start_server")
    session: dict[str, Any] = {}
    await asyncio.to_thread(exec, source, session)
    image = dataset(SOPClassUID=sop.CTImageStorage, SOPInstanceUID="1.2.3.1", PatientName="DOE^JANE")
    try:
        port = session["server"].server_address[1]
        async with dicomio.Client(f"STORE_SCP@127.0.0.1:{port}") as client:
            await client.store(image)
        with pytest.raises(dicomio.AssociationRejected):
            await dicomio.echo(f"OTHER@127.0.0.1:{port}")
    finally:
        await asyncio.to_thread(session["ae"].shutdown)
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3.1.dcm"]
