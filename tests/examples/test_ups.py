"""examples/ups_worker.py and examples/ups_provider.py do what their first lines say, with each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

import dicomio
from dicomio import Address, Application, PresentationContext, UPSStep, UPSWorklist, dataset
from dicomio.sop import UnifiedProcedureStepEvent
from dicomio.sop import UnifiedProcedureStepPush as Push
from tests.examples.conftest import Redirect
from tests.examples.programs import names


@dataclass
class Working:
    """The worklist on which the worker works, and where the worker listens."""

    worklist: UPSWorklist
    worker: Address


@asynccontextmanager
async def working(redirect: Redirect, perform: object) -> AsyncIterator[Working]:
    """A worker at a worklist, where one step waits for it."""
    redirect.listening = asyncio.get_running_loop().create_future()
    subscribers: dict[str, Address] = {}
    app: Application = names("ups_provider.py")["ups_provider"](subscribers)
    async with dicomio.serve(app, "127.0.0.1", 0) as server:
        redirect.listening = asyncio.get_running_loop().create_future()
        redirect.port = server.port
        async with dicomio.Client("RIS@localhost:11112", ae_title="ORDERER") as client:
            worklist = UPSWorklist(client)
            # This one is there before the worker is.
            await worklist.create(dataset(ProcedureStepLabel="First"), "1.2.1")
            worker = asyncio.ensure_future(names("ups_worker.py")["main"]("RIS@localhost:11112", 11113, perform))
            subscribers["WORKER"] = Address("WORKER", "127.0.0.1", await redirect.listening)
            yield Working(worklist, subscribers["WORKER"])
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker


class Work:
    """Steps that are performed when the test says so."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[UPSStep] = asyncio.Queue()
        self.go = asyncio.Event()

    async def perform(self, step: UPSStep) -> None:
        await step.report(50)
        self.begun.put_nowait(step)
        await self.go.wait()


async def state_of(worklist: UPSWorklist, uid: str) -> str:
    """The state in which a step is."""
    return str((await worklist.get(uid, "ProcedureStepState")).ProcedureStepState)


async def ended(worklist: UPSWorklist, uid: str) -> str:
    """The state in which a step ends."""
    while (state := await state_of(worklist, uid)) == "IN PROGRESS":
        await asyncio.sleep(0)
    return state


async def test_steps_are_performed(redirect: Redirect, capsys: pytest.CaptureFixture[str]) -> None:
    work = Work()
    async with working(redirect, work.perform) as there, asyncio.timeout(20):
        worklist = there.worklist
        assert (await work.begun.get()).uid == "1.2.1"
        await worklist.create(dataset(ProcedureStepLabel="Second"), "1.2.2")
        assert (await work.begun.get()).uid == "1.2.2"
        work.go.set()
        assert [await ended(worklist, uid) for uid in ("1.2.1", "1.2.2")] == ["COMPLETED", "COMPLETED"]
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("1.2.2")] == [
        "1.2.2 is SCHEDULED",
        "1.2.2 is IN PROGRESS",
        "1.2.2 is COMPLETED",
    ]


async def test_a_cancel_request_is_obeyed(redirect: Redirect, capsys: pytest.CaptureFixture[str]) -> None:
    work = Work()
    async with working(redirect, work.perform) as there, asyncio.timeout(20):
        worklist = there.worklist
        step = await work.begun.get()
        await worklist.request_cancel(step.uid, "patient left")
        assert await ended(worklist, step.uid) == "CANCELED"
    assert "ORDERER would like to cancel: patient left" in capsys.readouterr().out


async def test_what_cannot_be_claimed_is_left_alone(redirect: Redirect, capsys: pytest.CaptureFixture[str]) -> None:
    work = Work()
    event = [PresentationContext(UnifiedProcedureStepEvent, scu=False, scp=True)]
    gone = dataset(ProcedureStepState="SCHEDULED", InputReadinessState="READY")
    async with working(redirect, work.perform) as there, asyncio.timeout(20):
        worklist = there.worklist
        await work.begun.get()
        async with dicomio.connect(there.worker, contexts=event) as association:
            await association.n_event_report(Push, "1.2.9", 1, gone, negotiated_as=UnifiedProcedureStepEvent)
            printed = ""
            while "not ours" not in printed:
                await asyncio.sleep(0)
                printed += capsys.readouterr().out
        assert await state_of(worklist, "1.2.1") == "IN PROGRESS"
    assert "answered N-ACTION" in printed


async def test_the_work_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """`segment` reports four times and comments on the result."""
    program = names("ups_worker.py")
    reports: list[float] = []

    class Step:
        performed = dataset()

        async def report(self, percent: float, description: str) -> None:
            reports.append(percent)

    async def at_once(seconds: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", at_once)
    await program["segment"](Step())
    assert reports == [0, 25, 50, 75]
    assert Step.performed.CommentsOnThePerformedProcedureStep == "nothing found"
