"""The harness itself, without dicomio; the other tests hold what reaches dicomio against what reaches this server."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydicom.uid import UID

from tests.interop import processes
from tests.interop.peers import RunningScp, scp_kinds, scps, store_scu_kinds, store_scus
from tests.interop.processes import PeerFailedError, free_port, listening_ports, require, running, wait_for
from tests.interop.samples import ALL_KINDS, Kind, Sample, by_instance, data_set_bytes, differences, takeable

pytestmark = pytest.mark.interop

StartScp = Callable[..., RunningScp]
Samples = Mapping[str, Sample]

# Takes everything, and writes what it is sent.
REFERENCE_SCP = "storescp-all"


def test_reference_server_stores_byte_for_byte(samples: Samples, start_scp: StartScp, workdir: Path) -> None:
    sent = list(samples.values())
    scp = start_scp(REFERENCE_SCP)
    result = store_scus["pynetdicom"](scp.port, scp.ae_title, [sample.path for sample in sent], workdir)
    assert result.code == 0, result.output
    received = by_instance(scp.received())
    for sample in sent:
        assert data_set_bytes(received[sample.sop_instance_uid]) == data_set_bytes(sample.path), sample.name


def test_server_is_stopped_at_the_end_of_its_block(tmp_path: Path) -> None:
    with scps[REFERENCE_SCP](tmp_path / "scp") as scp:
        assert scp.port in listening_ports()
    assert scp.port not in listening_ports()


def test_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with pytest.raises(PeerFailedError, match="ended with code 1:\nno such option"):
        with running(argv, [free_port()], tmp_path / "scp.log", tmp_path):
            pytest.fail("the block was entered")


def test_server_that_never_listens_is_reported_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_START_SECONDS", 0.2)
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    with pytest.raises(PeerFailedError, match="does not listen"):
        with running(argv, [free_port()], tmp_path / "scp.log", tmp_path):
            pytest.fail("the block was entered")


@pytest.mark.parametrize(
    "required, outcome", [("1", pytest.fail.Exception), ("", pytest.skip.Exception)], ids=["required", "optional"]
)
def test_missing_peer(required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMIO_REQUIRE_PEERS", required)
    monkeypatch.setattr(processes, "_PRESENT", {"dcmtk": lambda: False})
    with pytest.raises(outcome, match="dcmtk is not installed"):
        require("dcmtk")


def test_what_is_waited_for_is_returned_when_it_has_come() -> None:
    numbers = iter([1, 2, 3])
    assert wait_for(lambda: next(numbers), lambda number: number == 2) == 2


def test_what_does_not_come_is_reported_with_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(PeerFailedError, match="nothing more has come than half"):
        wait_for(lambda: "half", lambda text: text == "whole")


def test_samples_have_valid_uids_of_their_own(samples: Samples) -> None:
    assert all(UID(sample.sop_instance_uid).is_valid for sample in samples.values())
    assert all(UID(sample.sop_class_uid).is_valid for sample in samples.values())
    assert set(by_instance(sample.path for sample in samples.values())) == {
        sample.sop_instance_uid for sample in samples.values()
    }
    assert len({sample.sop_instance_uid for sample in samples.values()}) == len(samples)


def test_samples_are_of_every_kind(samples: Samples) -> None:
    assert frozenset().union(*(sample.kinds for sample in samples.values())) == ALL_KINDS


def test_peers_are_given_only_what_they_take(samples: Samples) -> None:
    assert takeable(samples.values(), ALL_KINDS) == list(samples.values())
    names = {sample.name for sample in takeable(samples.values(), ALL_KINDS - {Kind.RLE}, ALL_KINDS - {Kind.JPEG})}
    assert set(samples) - names == {"rle", "multi-frame", "jpeg"}


def test_every_peer_says_what_it_takes() -> None:
    assert store_scu_kinds.keys() == store_scus.keys()
    assert scp_kinds.keys() == scps.keys()


def test_differences_are_found(samples: Samples) -> None:
    found = differences(samples["explicit"].path, samples["utf-8"].path)
    assert any("Patient's Name" in difference for difference in found)
    assert differences(samples["utf-8"].path, samples["utf-8"].path) == []
