"""What framing, the state machine and the command codec cost: the steps of every message that is not a data set."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from benchmarks.cells import Cell, Options
from benchmarks.micro import Micro, cell_of
from dicomio import Limits
from dicomio.machine import Event, StateMachine
from dicomio.negotiation import Supported, accept, propose
from dicomio.services.verification import CONTEXT
from dicomio.session import UpperLayer
from dicomio.sop import ImplicitVRLittleEndian, SecondaryCaptureImageStorage, Verification
from dicomio.wire import commands, pdus
from dicomio.wire.commands import Command, CommandField
from dicomio.wire.pdata import BatchPacker, pack_message, payload_size

__all__ = ["MEASURED", "cells"]

MEGABYTE: Final = 1 << 20
CONTEXT_ID: Final = 1
UID: Final = "1.2.826.0.1.3680043.9.7.1.20240131.101112"

STORE_RQ: Final = Command(
    CommandField.C_STORE_RQ,
    message_id=7,
    affected_sop_class_uid=SecondaryCaptureImageStorage,
    affected_sop_instance_uid=UID,
    priority=0,
    has_data_set=True,
)
ECHO_RQ: Final = Command(CommandField.C_ECHO_RQ, message_id=7, affected_sop_class_uid=Verification)


def cells(options: Options) -> Sequence[Cell]:
    """A cell for each function."""
    return [cell_of(each) for each in MEASURED]


def acceptor() -> UpperLayer:
    """An association that is established on the side that accepted it."""
    upper = UpperLayer(requestor=False, limits=Limits(max_pdu=0))
    upper.connected(0.0)
    request = propose(called="BENCH", calling="BENCH", contexts=[CONTEXT], maximum_length=0)
    upper.receive(pdus.encode(request), 0.0)
    upper.accept(accept(request, {Verification: Supported(Verification, None)}.get, maximum_length=0))
    upper.establish({CONTEXT_ID: ImplicitVRLittleEndian}, 0)
    upper.take_output()
    return upper


def receiving(data: bytes) -> Callable[[], object]:
    """Cutting bytes that hold whole messages into PDUs and messages."""
    upper = acceptor()

    def receive() -> object:
        events = upper.receive(data, 0.0)
        if not events:
            raise ValueError("these bytes are no message")
        return events

    return receive


def object_of(maximum: int) -> bytes:
    """A C-STORE of one megabyte in PDUs of up to so many bytes."""
    command = commands.encode(STORE_RQ)
    return pack_message(CONTEXT_ID, command, bytes(MEGABYTE), payload_size(maximum))


def laying(maximum: int) -> Callable[[], object]:
    """Laying the headers of one megabyte of data set around it."""
    packer = BatchPacker(CONTEXT_ID, payload_size(maximum), MEGABYTE)
    return lambda: packer.lay(MEGABYTE, last=True)


def stepping() -> Callable[[], object]:
    """The event of every P-DATA-TF that arrives, in Sta6 (PS3.8 9.2.3, DT-2)."""
    machine = StateMachine(requestor=False)
    for event in (Event.Evt5, Event.Evt6, Event.Evt7):
        machine.step(event)
    return lambda: machine.step(Event.Evt10)


MEASURED: Final[Sequence[Micro]] = [
    Micro("state machine, P-DATA-TF received", "step", 1, stepping()),
    Micro("encode a C-STORE-RQ", "command", 1, lambda: commands.encode(STORE_RQ)),
    Micro("decode a C-STORE-RQ", "command", 1, partial(commands.decode, commands.encode(STORE_RQ))),
    Micro("receive a C-ECHO-RQ", "message", 1, receiving(pack_message(1, commands.encode(ECHO_RQ), None, 16_372))),
    Micro("receive a C-STORE-RQ, PDU 16,384", "MB", 1, receiving(object_of(16_384))),
    Micro("receive a C-STORE-RQ, PDU 131,072", "MB", 1, receiving(object_of(131_072))),
    Micro("lay a batch, PDU 16,384", "MB", 1, laying(16_384)),
    Micro("lay a batch, PDU 131,072", "MB", 1, laying(131_072)),
]
