"""`dicomio conformance MODULE:APP`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from dicomio import Application, Limits, serve
from dicomio.cli.serve import find_application

from .conftest import Tool

CODE = """
from dicomio import STUDY_ROOT, Application
from dicomio.archive import Archive

app = Application("MINE")
archive = Archive("data", ae_title="PACS")

@app.store()
async def store(request):
    pass
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module in the current directory."""
    (tmp_path / "described.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("described", None)


def test_what_the_application_says_itself(tool: Tool) -> None:
    code, out, err = tool("conformance", "described:app", "--max-associations", 5, "--workers", 2)
    assert (code, err) == (0, "")
    app = find_application("described:app")
    server = serve(app, port=11112, limits=Limits(associations=5))
    assert out == app.conformance_statement(server, workers=2)


def test_archive_serves_nothing_and_makes_nothing(tool: Tool, tmp_path: Path) -> None:
    code, out, _ = tool("conformance", "described:archive.app", "--host", "10.1.2.3", "--port", 104)
    assert code == 0
    assert out.startswith("# DICOM Conformance Statement: PACS\n")
    assert "It listens on port 104 of 10.1.2.3." in out
    assert not (tmp_path / "data").exists()


def test_tls(tool: Tool, tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path("server.pem")
    _, out, _ = tool("conformance", "described:app", "+tls", "server.pem", "server.pem", "-ic", "+pz")
    assert "secured by TLS with the extended BCP 195 profile" in out


def test_json(tool: Tool) -> None:
    code, out, _ = tool("conformance", "described:app", "--json")
    record = json.loads(out)
    assert (code, record["ae_title"]) == (0, "MINE")
    assert record["statement"].startswith("# DICOM Conformance Statement: MINE\n")


def test_what_is_proposed(tool: Tool) -> None:
    words = ("--propose", "CTImageStorage", "--propose", "1.2.3.4")
    code, out, _ = tool("conformance", "described:app", *words)
    assert code == 0
    assert "| of the application | CT Image Storage | 1.2.840.10008.5.1.4.1.1.2 |" in out
    assert "| of the application | private, or unknown to the software | 1.2.3.4 |" in out


@pytest.mark.parametrize("name", ["CTImage", "NAMES", "1..2"])
def test_what_is_no_sop_class(tool: Tool, name: str) -> None:
    code, out, err = tool("conformance", "described:app", "--propose", name)
    assert (code, out) == (2, "")
    assert "neither the name nor the UID of a SOP class" in err


def test_no_application(tool: Tool) -> None:
    code, out, err = tool("conformance", "described:store")
    assert (code, out) == (2, "")
    assert "is not a dicomio.Application" in err


@pytest.mark.parametrize("name", ["conformance", "serve"])
def test_ae_titles_belong_to_applications(tool: Tool, name: str) -> None:
    code, _, err = tool(name, "described:app", "-aet", "OTHER")
    assert (code, "there is no option -aet" in err) == (2, True)
    assert isinstance(find_application("described:app"), Application)
