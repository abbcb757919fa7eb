"""Print jobs and the printer: how they are getting on (PS3.4 H.4.5, H.4.6)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomio import (
    ActionRequest,
    Application,
    Association,
    AssociationAborted,
    JobState,
    PrintProvider,
    PrintRequest,
    Refused,
    Status,
    StatusError,
    SubmittedJob,
    sop,
)
from dicomio.testing import connected
from dicomio.workflows.printing.jobs import text_of
from tests.association.peers import settled
from tests.workflows.printers import CONTEXTS, FILM, META, SESSION, Peer, Printing, connect, refused


@pytest.fixture
def printing() -> Printing:
    return Printing()


@pytest.fixture
async def association(printing: Printing) -> AsyncIterator[Association]:
    async with connect(printing) as association:
        yield association


@pytest.fixture
async def peer(association: Association) -> Peer:
    """One that has a film, with nothing on it."""
    peer = Peer(association)
    await peer.session()
    await peer.film()
    return peer


class TestPrintJobs:
    """PS3.4 H.4.5"""

    async def test_they_wait_for_one_another(self, peer: Peer, printing: Printing) -> None:
        printing.gate.clear()
        jobs = [(await peer.print()).ReferencedPrintJobSequence[0].ReferencedSOPInstanceUID for _ in range(3)]
        await settled()
        states = [(await peer.association.n_get(sop.PrintJob, job)).ExecutionStatus for job in jobs]
        assert states == ["PRINTING", "PENDING", "PENDING"]
        printing.gate.set()
        await printing.finished()
        assert [request.uid for request in printing.printed] == jobs

    async def test_what_is_known_of_one(self, peer: Peer, printing: Printing) -> None:
        reply = await peer.print()
        (reference,) = reply.ReferencedPrintJobSequence
        assert reference.ReferencedSOPClassUID == sop.PrintJob
        await printing.finished()
        job = await peer.association.n_get(sop.PrintJob, reference.ReferencedSOPInstanceUID)
        assert (job.ExecutionStatus, job.ExecutionStatusInfo, job.PrintPriority) == ("DONE", "NORMAL", "MED")
        assert (job.PrinterName, job.Originator) == ("PRINTER", "TEST")

    async def test_one_that_was_confirmed_is_gone(self, printing: Printing) -> None:
        """PS3.4 H.4.5.2.1.2"""
        client = confirming()
        async with connect(printing, client=client) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            (reference,) = (await peer.print()).ReferencedPrintJobSequence
            await printing.finished()
            with pytest.raises(StatusError) as raised:
                await association.n_get(sop.PrintJob, reference.ReferencedSOPInstanceUID)
            assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    async def test_not_without_a_context(self, printing: Printing) -> None:
        async with connect(printing, contexts=[META]) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            assert "ReferencedPrintJobSequence" not in await peer.print()
        assert len(printing.printed) == 1

    async def test_they_go_on_without_the_association(self, printing: Printing) -> None:
        printing.gate.clear()
        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            await peer.print()
            association.abort()
            await settled()
            assert printing.provider.holdings == {}
            printing.gate.set()
            await printing.finished()
        assert len(printing.printed) == 1
        assert (printing.provider.used, printing.provider.under_way) == (0, set())

    async def test_one_that_the_peer_does_not_know_of_is_forgotten(self, printing: Printing) -> None:
        @printing.app.middleware
        async def too_late(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
            result = await call_next(request)
            if isinstance(request, ActionRequest):
                assert len(printing.provider.under_way) == 1
                request.association.abort()
            return result

        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            with pytest.raises(AssociationAborted):
                await peer.print()
        await settled()
        provider = printing.provider
        assert (provider.under_way, provider.used, provider.jobs, printing.printed) == (set(), 0, {}, [])

    async def test_the_queue_is_bounded(self) -> None:
        printing = Printing(queue=2)
        printing.gate.clear()
        async with connect(printing) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            await peer.print()
            await peer.print()
            for uid, sop_class, status in (
                (FILM, sop.BasicFilmBox, Status.FILM_BOX_PRINT_QUEUE_FULL),
                (SESSION, sop.BasicFilmSession, Status.FILM_SESSION_PRINT_QUEUE_FULL),
            ):
                with pytest.raises(StatusError) as raised:
                    await peer.print(uid, sop_class)
                assert refused(raised) == (status, [])
            printing.gate.set()
            await printing.finished()
            await peer.print()
        assert len(printing.printed) == 3

    async def test_what_is_remembered_is_bounded(
        self, peer: Peer, printing: Printing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dicomio.workflows.printing.provider.MOST_JOBS", 2)
        for _ in range(3):
            await peer.print()
        await printing.finished()
        assert list(printing.provider.jobs) == [request.uid for request in printing.printed[1:]]

    async def test_a_peer_that_does_not_confirm_holds_nobody_up(self) -> None:
        printing = Printing(timeout=0.001)
        client = confirming(asyncio.Event())
        async with connect(printing, client=client) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            await peer.print()
            await printing.finished()
            assert len(printing.printed) == 1
            association.abort()

    @pytest.mark.parametrize(
        "answer, status",
        [
            (None, Status.FILM_BOX_EMPTY_PAGE),
            (Status.IMAGE_DEMAGNIFIED, Status.IMAGE_DEMAGNIFIED),
            (Status.SUCCESS, Status.FILM_BOX_EMPTY_PAGE),
        ],
    )
    async def test_what_the_printer_says_first(
        self, peer: Peer, printing: Printing, answer: int | None, status: Status
    ) -> None:
        printing.answer = answer
        assert (await peer.print()).status == status

    @pytest.mark.parametrize(
        "answer, status",
        [
            (Status.IMAGE_LARGER_THAN_IMAGE_BOX, Status.IMAGE_LARGER_THAN_IMAGE_BOX),
            (Refused(Status.COMBINED_IMAGE_LARGER_THAN_IMAGE_BOX), Status.COMBINED_IMAGE_LARGER_THAN_IMAGE_BOX),
            (ZeroDivisionError(), Status.PROCESSING_FAILURE),
        ],
    )
    async def test_what_the_printer_does_not_take(
        self, peer: Peer, printing: Printing, answer: int | Exception, status: Status
    ) -> None:
        printing.answer = answer
        with pytest.raises(StatusError) as raised:
            await peer.print()
        assert refused(raised) == (status, [])
        assert (printing.printed, printing.provider.under_way) == ([], set())

    async def test_a_handler_that_fails(self, peer: Peer, printing: Printing, caplog: Any) -> None:
        printing.failure = ZeroDivisionError("no film")
        (reference,) = (await peer.print()).ReferencedPrintJobSequence
        await printing.finished()
        job = await peer.association.n_get(sop.PrintJob, reference.ReferencedSOPInstanceUID)
        assert (job.ExecutionStatus, job.ExecutionStatusInfo) == ("FAILURE", "UNKNOWN")
        assert "no film" in caplog.text
        assert printing.provider.under_way == set()

    async def test_a_plain_function(self) -> None:
        app, printed = Application("PRINTER"), list[PrintRequest]()
        PrintProvider(app, printed.append)
        async with connected(app, contexts=CONTEXTS) as association:
            peer = Peer(association)
            await peer.session()
            await peer.film()
            await peer.print()
            while app.background:
                await asyncio.wait(list(app.background))
        assert [request.requester.ae_title for request in printed] == ["TEST"]


def confirming(gate: asyncio.Event | None = None) -> Any:
    """Who takes events of print jobs, as soon as the gate is open."""
    app = Application("CLIENT")

    @app.n_event_report(sop.PrintJob)
    async def take(request: Any) -> None:
        if gate is not None:
            await gate.wait()

    return app


class TestPrinter:
    """PS3.4 H.4.6"""

    async def test_what_it_says_of_itself(self) -> None:
        printing = Printing(printer={"PrinterName": "DRY 1", "Manufacturer": "ACME"})
        async with connect(printing) as association:
            found = await association.n_get(sop.Printer, sop.PrinterInstance, negotiated_as=META)
            assert (found.PrinterStatus, found.PrinterName, found.Manufacturer) == ("NORMAL", "DRY 1", "ACME")
            found = await association.n_get(
                sop.Printer, sop.PrinterInstance, "PrinterStatus", "DeviceSerialNumber", negotiated_as=META
            )
            assert found.status == Status.ATTRIBUTE_LIST_ERROR
            assert list(found.keys()) == [Tag("PrinterStatus")]

    async def test_there_is_one(self, association: Association) -> None:
        with pytest.raises(StatusError) as raised:
            await association.n_get(sop.Printer, "1.2.3", negotiated_as=META)
        assert refused(raised) == (Status.NO_SUCH_SOP_INSTANCE, [])

    async def test_a_status_that_is_none(self, printing: Printing) -> None:
        with pytest.raises(ValueError, match="BROKEN"):
            await printing.provider.set_status("BROKEN")


def test_once_a_job_is_over_it_stays_so() -> None:
    job = SubmittedJob(MagicMock(spec=Association), "1.2.3")
    for state in (JobState.PRINTING, JobState.FAILURE, JobState.PRINTING):
        job.take(state, state.lower())
    assert (job.state, job.info) == (JobState.FAILURE, "failure")


@pytest.mark.parametrize("value, text", [(b"FILM JAM ", "FILM JAM"), (b"A\\B", ""), (b"", "")])
def test_texts_of_printers(value: bytes, text: str) -> None:
    ds = Dataset()
    ds[0x21000030] = RawDataElement(Tag(0x21000030), "CS", len(value), value, 0, False, True)
    assert text_of(ds, "ExecutionStatusInfo") == text


def test_a_text_that_cannot_be_decoded() -> None:
    ds = Dataset()
    ds[0x21000030] = RawDataElement(Tag(0x21000030), "US", 1, b"1", 0, False, True)
    assert text_of(ds, "ExecutionStatusInfo") == ""
