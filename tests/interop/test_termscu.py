"""The private Shutdown SOP class: our `termscu` and DCMTK's servers, DCMTK's `termscu` and our servers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest

import dicomio
from tests.interop.ours import HOST
from tests.interop.peers import RunningScp, echo_scus
from tests.interop.processes import ScuResult, free_port, require, run, running

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
StartOurs = Callable[..., tuple[int, "Popen[bytes]"]]

DICOMIO = [sys.executable, "-m", "dicomio"]
# Where it runs, so that it is found without being installed.
ROOT = Path(dicomio.__file__).parents[1]


def termscu(port: int, called_aet: str = "ANY-SCP") -> ScuResult:
    return run([*DICOMIO, "termscu", "-aec", called_aet, HOST, str(port)], ROOT)


def dcmtk_termscu(port: int) -> ScuResult:
    require("dcmtk")
    return run(["termscu", "-v", HOST, str(port)])


@pytest.fixture(params=["storescp", "qrscp"])
def start_ours(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartOurs]:
    """Returns a function that runs one of our servers with options until the end of the test."""
    with ExitStack() as stack:

        def start(*options: str) -> tuple[int, "Popen[bytes]"]:
            port = free_port()
            argv = [*DICOMIO, request.param, *options, "-od", str(tmp_path / "data"), str(port)]
            return port, stack.enter_context(running(argv, [port], tmp_path / "scp.log", ROOT))

        yield start


def test_dcmtk_ends_our_server(start_ours: StartOurs) -> None:
    port, process = start_ours("--allow-shutdown")
    result = dcmtk_termscu(port)
    assert (result.code, "Association Accepted" in result.output) == (0, True), result.output
    assert process.wait(10) == 0


def test_dcmtk_does_not_end_our_server_unless_it_is_allowed(start_ours: StartOurs) -> None:
    port, _ = start_ours()
    result = dcmtk_termscu(port)
    assert (result.code, "No Acceptable Presentation Contexts" in result.output) == (1, True), result.output
    assert echo_scus["dcmtk"](HOST, port, "ANY-SCP").code == 0


def test_dcmqrscp_is_ended(start_scp: StartScp) -> None:
    """It rejects the association without a reason, and is gone."""
    scp = start_scp("dcmqrscp", options=["--allow-shutdown"])
    result = termscu(scp.port, scp.ae_title)
    assert (result.code, "has shut down" in result.output) == (0, True), result.output
    assert "Shutting down server" in scp.log()


def test_dcmqrscp_is_not_ended_unless_it_is_allowed(start_scp: StartScp) -> None:
    scp = start_scp("dcmqrscp")
    result = termscu(scp.port, scp.ae_title)
    assert (result.code, "does not support being shut down" in result.output) == (1, True), result.output
    assert echo_scus["dcmtk"](HOST, scp.port, scp.ae_title).code == 0


# Orthanc, told to take any SOP class, takes this one, too.
@pytest.mark.parametrize("name", ["storescp", "pynetdicom", "ctn", "pixelmed"])
def test_peers_that_do_not_know_it(name: str, start_scp: StartScp) -> None:
    scp = start_scp(name)
    result = termscu(scp.port, scp.ae_title)
    assert (result.code, len(result.output.splitlines())) == (1, 1), result.output
    scp.wait_until_listening()


def test_wlmscpfs_stays(tmp_path: Path) -> None:
    """It rejects associations of which it accepts no presentation context as dcmqrscp does when it ends."""
    require("dcmtk")
    (tmp_path / "items" / "OFFIS").mkdir(parents=True)
    (tmp_path / "items" / "OFFIS" / "lockfile").touch()
    port = free_port()
    with running(
        ["wlmscpfs", "-v", "-dfp", str(tmp_path / "items"), str(port)], [port], tmp_path / "scp.log", tmp_path
    ):
        result = termscu(port, "OFFIS")
        assert (result.code, "no reason given" in result.output) == (1, True), result.output
        assert echo_scus["dcmtk"](HOST, port, "OFFIS").code == 0
