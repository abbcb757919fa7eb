"""The benchmarks themselves, with a few small objects: peers take part, files are compared, tables are made."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import associations, echo, finds
from benchmarks.cells import OURS, AtLeast, Cell, Options, Values, Way, cpu_of
from benchmarks.doubled import on_loops
from benchmarks.loads import Load, Side, discarding, storing
from benchmarks.objects import Corpus, verify
from benchmarks.peers import DcmtkReceiver, DcmtkSender, OurReceiver, OurSender
from benchmarks.processes import Failure
from benchmarks.profiles import COPYING, INTERPRETER, KERNEL, LIBRARIES, SWITCHING, shares
from benchmarks.profiles import table as table_of_profiles
from benchmarks.report import as_json
from benchmarks.runner import CellResult, Group, run_cells
from benchmarks.stage import Stage
from benchmarks.store import both_ends, received
from benchmarks.table import between, main, merged, missed, table
from tests.interop.processes import require

pytestmark = pytest.mark.interop

TINY = Load("tiny", 64, 5, 5)
MAX_PDU = 16_384

Run = Callable[[Sequence[Cell]], list[CellResult]]


@pytest.fixture
def run_once(tmp_path: Path) -> Run:
    """Runs cells in a directory that is empty again afterwards."""

    def run(cells: Sequence[Cell]) -> list[CellResult]:
        results = run_cells([Group(cells, tmp_path)], 1, 60, lambda text: None)
        assert list(tmp_path.iterdir()) == []
        return results

    return run


def constant(name: str, values: Mapping[str, float]) -> Way:
    """A way that always gives the same values."""
    return Way([name], lambda stage: values)


def fail(stage: Stage) -> Values:
    """What a way does that has no luck."""
    raise Failure("no luck")


def as_run(results: Sequence[CellResult]) -> Any:
    return json.loads(as_json(results, {"machine": "here"}))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_stores_are_measured_in_both_directions(loop: str, run_once: Run) -> None:
    require("dcmtk")
    ours = OurReceiver(loop, MAX_PDU)
    keeper, ignorer = DcmtkReceiver("dcmrecv", MAX_PDU), DcmtkReceiver("dcmrecv", MAX_PDU, keeps=False)
    ways = [
        storing(OURS, OurSender(loop), ours, TINY, TINY.many, Side.BOTH),
        storing("DCMTK", DcmtkSender(), ours, Load("small", 4096, 50, 50), 50),
        discarding("to dcmrecv", OurSender(loop), ignorer, keeper, TINY, TINY.many),
    ]
    (result,) = run_once([Cell("store", "tiny", TINY.unit, ways, cost=TINY.cost)])
    assert result.problems == {}
    assert set(result.medians) == {name for way in ways for name in (way.names[0], cpu_of(way.names[0]))}
    assert all(median > 0 for median in result.medians.values())


@pytest.mark.parametrize("peer", ["pynetdicom", "Orthanc", "dcmjs-dimse, discarding"])
def test_other_servers_take_part(peer: str, run_once: Run) -> None:
    require("dcmtk")
    require(peer.split("-")[0].lower())
    cell = received(Load("4 KiB", 4096, 30, 30), MAX_PDU, "asyncio", "store")
    ways = [way for way in cell.ways if way.names == [peer]]
    (result,) = run_once([Cell("store", "tiny", cell.unit, ways)])
    assert result.problems == {}
    assert result.medians[peer] > 0


def test_associations_are_opened_at_once(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    require("dcmtk")
    monkeypatch.setattr(associations, "MANY", 100)
    monkeypatch.setattr(associations, "SOME", 20)
    cell = associations.opened("asyncio", 10)
    ways = [way for way in cell.ways if way.names[0] in (OURS, associations.SINGLE, associations.FORK)]
    (result,) = run_once([Cell("associations", "few", cell.unit, ways)])
    assert result.problems == {}
    assert all(median > 0 for median in result.medians.values())


def test_crowd_is_served(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CROWD": 5, "ECHOES": 2, "STORES": 2, "SIZE": 1000}.items():
        monkeypatch.setattr(associations, name, value)
    done, evenly = associations.crowd_cells(Options("asyncio", ()))
    results = run_once([Cell(done.topic, done.name, done.unit, done.ways[:1]), evenly])
    assert [result.problems for result in results] == [{}, {}]
    assert results[1].medians["slowest"] >= results[1].medians["median"] > 0


def test_copy_without_dicom_is_that_of_the_file(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.store.LARGEST", Load("tiny", 3_000_000, 1, 1, by_bytes=True))
    (result,) = run_once(both_ends(Options("asyncio", ()))[:1])
    assert result.problems == {}
    assert set(result.series) == {OURS, cpu_of(OURS), "bare asyncio"}


def test_echoes_are_timed_on_both_event_loops(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo, "MANY", 50)
    (cell,) = on_loops(lambda options: [echo.both(options.loop)], Options("uvloop", ()), ["uvloop", "asyncio"])
    (result,) = run_once([Cell("echo", cell.name, cell.unit, cell.ways[:2])])
    assert result.problems == {}
    names = [OURS, "dicomio, asyncio"]
    assert set(result.medians) == {*names, *map(cpu_of, names)}


@pytest.mark.parametrize("cell", [finds.find_scp, finds.find_worklist])
def test_servers_find_as_many_matches(
    cell: Callable[[Options], Cell], run_once: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for peer in ("dcmtk", "orthanc", "pynetdicom"):
        require(peer)
    monkeypatch.setattr(finds, "MATCHES", 30)
    monkeypatch.setattr(finds, "FEWER", 20)
    for module in ("finds", "images"):
        monkeypatch.setattr(f"benchmarks.{module}.IMAGES", 40)
    monkeypatch.setattr(finds, "seconds_beyond", lambda long, short: 1.0)
    (result,) = run_once([cell(Options("asyncio", ()))])
    assert result.problems == {}
    ours = {OURS: 29.0, "pynetdicom": 19.0}
    others = {"wlmscpfs": 29.0} if "worklist" in result.cell.name else {"Orthanc": 29.0, "dcmqrscp": 5 * 39.0}
    assert result.medians == ours | others


def test_other_number_of_matches_is_a_failure(run_once: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    require("dcmtk")
    monkeypatch.setattr(finds, "MATCHES", 3)
    ours = finds.find_scp(Options("asyncio", ())).ways[0]
    monkeypatch.setattr(finds, "log_of", lambda command, environment: "(Pending)")
    (result,) = run_once([Cell("query", "few", "matches/s", [ours])])
    assert result.problems == {OURS: "1 matches in place of 3"}


def test_object_that_was_changed_is_found(tmp_path: Path) -> None:
    corpus, inbox = Corpus.make(tmp_path / "corpus", 64, 2), tmp_path / "inbox"
    inbox.mkdir()
    for uid, path in corpus.files.items():
        (inbox / uid).write_bytes(path.read_bytes())
    (inbox / uid).write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Failure, match="is not what was sent"):
        verify(corpus, inbox)


def test_object_beyond_four_gibibytes_has_several_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.objects.LONGEST", 1000)
    corpus = Corpus.make(tmp_path / "corpus", 2500, 1)
    (path,) = corpus.files.values()
    assert corpus.bytes < path.stat().st_size < corpus.bytes + 1000


def test_way_that_fails_has_no_number(run_once: Run) -> None:
    target = AtLeast(OURS, 1, "peer")
    (result,) = run_once([Cell("some", "cell", "things/s", [constant(OURS, {OURS: 1}), Way(["peer"], fail)], [target])])
    assert result.problems == {"peer": "no luck"}
    assert result.medians == {OURS: 1}
    assert not result.reached


def test_objects_for_which_there_is_no_room_are_not_made(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, pytest.raises(Failure, match="too little"):
        stage.corpus(1 << 60, 1)


def columns(line: str) -> list[str]:
    return [column.strip() for column in line.split("|")][1:-1]


def test_table_has_a_line_for_each_cell_and_the_columns_that_are_used(run_once: Run) -> None:
    cells = [
        Cell(
            "store",
            f"4 KiB to SCP, PDU {pdu}",
            "objects/s",
            [
                constant(OURS, {OURS: speed, cpu_of(OURS): 0.5}),
                constant("dicomio, asyncio", {"dicomio, asyncio": 1500}),
                constant("DCMTK storescp", {"DCMTK storescp": 1000}),
                constant("dcmqrscp", {"dcmqrscp": 500}),
                constant("Orthanc", {"Orthanc": 200}),
            ],
            cost="s/1,000 objects",
        )
        for pdu, speed in (("16,384", 2000), ("131,072", 3000))
    ]
    run = as_run(run_once(cells))
    title, _, head, _, first, second = table(run).splitlines()[2:]
    assert title == "**store**"
    assert columns(head) == ["objects/s", OURS, "dicomio on asyncio", "DCMTK", "others", "dicomio ÷ DCMTK"]
    theirs = ["1,500", "1,000 storescp; 500 dcmqrscp", "200 Orthanc"]
    assert columns(first) == ["4 KiB to SCP, PDU 16,384", "2,000", *theirs, "2.00 x"]
    assert columns(second) == ["4 KiB to SCP, PDU 131,072", "3,000", *theirs, "3.00 x"]
    processor = table(run, value="cpu").splitlines()
    assert [columns(processor[index]) for index in (4, -1)] == [
        ["s/1,000 objects", OURS],
        ["4 KiB to SCP, PDU 131,072", "0.50"],
    ]
    assert len(table(run, topics=["echo"]).splitlines()) == 1


def test_cell_is_as_the_last_run_has_it(run_once: Run) -> None:
    def run(topic: str, value: int) -> Any:
        return as_run(run_once([Cell(topic, "cell", "things/s", [constant(OURS, {OURS: value})])]))

    first, second, third = run("echo", 1), run("store", 2), run("echo", 3)
    first["conditions"]["date"], third["conditions"]["date"] = "2026-01-01", "2026-01-02"
    made = merged([first, second, third])
    found = [(cell["topic"], cell["series"][OURS]["median"]) for cell in made["cells"]]
    assert found == [("echo", 3), ("store", 2)]
    assert made["conditions"] == {"machine": "here", "date": "2026-01-01, 2026-01-02"}
    second["conditions"]["machine"] = "there"
    with pytest.raises(ValueError, match="differ in machine"):
        merged([first, second])


def test_others_are_not_ours_where_ours_failed(run_once: Run) -> None:
    ways = [Way([OURS], fail), constant("Orthanc", {"Orthanc": 1})]
    lines = table(as_run(run_once([Cell("echo", "cell", "things/s", ways)]))).splitlines()
    assert columns(lines[4]) == ["things/s", "others"]
    assert columns(lines[6]) == ["cell", "1.00 Orthanc"]


def test_table_of_different_units_has_them_in_its_lines(run_once: Run) -> None:
    ways = [constant(name, {name: 2}) for name in ("slowest", "slowest, asyncio")]
    cells = [Cell("crowd", name, unit, ways) for name, unit in (("one", "s"), ("all", "MB"))]
    lines = table(as_run(run_once(cells))).splitlines()
    assert columns(lines[4]) == ["", OURS, "dicomio on asyncio"]
    assert columns(lines[-2]) == ["one, s", "2.00 slowest", "2.00 slowest"]
    assert columns(lines[-1]) == ["all, MB", "2.00 slowest", "2.00 slowest"]


def test_table_names_what_failed_and_what_was_missed(
    run_once: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = [constant(OURS, {OURS: 1}), constant("DCMTK", {"DCMTK": 2}), Way(["peer"], fail)]
    run = as_run(run_once([Cell("echo", "cell", "things/s", ways, [AtLeast(OURS, 1, "DCMTK")])]))
    assert table(run).splitlines()[-1] == "Could not be measured: peer (echo)."
    assert missed(run) == "- echo: cell: dicomio ≥ 1 x DCMTK"
    file = tmp_path / "run.json"
    file.write_text(json.dumps(run))
    assert main([str(file), "--missed"]) == 0
    assert "dicomio ≥ 1 x DCMTK" in capsys.readouterr().out
    for wrong in ([str(file), "--only", "store"], [str(tmp_path / "no.json")], [str(file), "--into", str(file)]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2


@pytest.mark.parametrize(
    "what, maker",
    [("figures", "table"), ("processor times", "table"), ("missed targets", "table"), ("profiles", "profiles")],
)
def test_table_takes_the_place_of_the_one_before(what: str, maker: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    changed = between(page, "NEW", what, maker)
    assert changed.count("NEW") == 1
    assert between(changed, "NEW", what, maker) == changed
    with pytest.raises(ValueError, match="are not there"):
        between("without", "NEW", what, maker)


def test_samples_are_counted_by_what_takes_the_time() -> None:
    report = """
# Samples: 10  of event 'cpu-clock:pppH'
# Overhead;     Samples;Shared Object       ;Symbol                      ;IPC   [IPC Coverage]
 30.00% ;          60;python3.11          ;[.] _PyEval_EvalFrameDefault;-      -
 20.00% ;          40;[kernel.kallsyms]   ;[k] _copy_to_iter           ;-      -
 15.00% ;          30;[kernel.kallsyms]   ;[k] finish_task_switch.isra.0;-      -
 10.50% ;          21;[kernel.kallsyms]   ;[k] tcp_sendmsg_locked      ;-      -
 10.00% ;          20;libpython3.11.so.1.0;[.] PyObject_Vectorcall     ;-      -
 8.00%  ;          16;loop.cpython-311-x86_64-linux-gnu.so;[.] uv__io_poll;-      -
 4.00%  ;           8;_asyncio.cpython-311-x86_64-linux-gnu.so;[.] task_step;-      -
 2.50%  ;           5;[vdso]              ;[.] __vdso_clock_gettime    ;-      -
"""
    found = shares(report)
    assert found == {INTERPRETER: 44, COPYING: 20, SWITCHING: 15, KERNEL: 10.5, LIBRARIES: 10.5}
    assert columns(table_of_profiles({"echo, SCP": found}).splitlines()[-1]) == [
        *("echo, SCP", "44 %", "10 %", "15 %", "20 %", "10 %")
    ]
