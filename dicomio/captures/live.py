"""Packets from a network interface of Linux (packet(7)), while they pass."""

import select
import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from dicomio.captures.errors import InvalidCapture
from dicomio.captures.packets import IPV4, IPV6, RAW_IP
from dicomio.captures.reading import Packet

__all__ = ["LiveCapture"]

LONGEST_PACKET: Final = 262_144
# What may wait in the kernel, bytes: packets that find no room there are lost.
WAITING: Final = 33_554_432
# Seconds between two looks at the clock.
PATIENCE: Final = 0.2

ALL_PROTOCOLS: Final = 0x0003
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE: Final = 33
STATISTICS: Final = struct.Struct("II")
LOOPBACK, OUTGOING = "lo", 4


class LiveCapture:
    """Captures what passes an interface; use it in a `with` block.

    Args:
        interface: its name, as `lo` or `eth0`; all of them where there is none.

    Attributes:
        dropped: packets that the kernel had no room for; known at the end.
    """

    def __init__(self, interface: str = "") -> None:
        self.interface = interface
        self.dropped = 0

    def __enter__(self) -> Self:
        """Begins to capture.

        Raises:
            InvalidCapture: this system, or this process, cannot capture.
            OSError: there is no such interface.
        """
        if not hasattr(socket, "AF_PACKET"):
            raise InvalidCapture("packets can be captured on Linux only; elsewhere, dissect a file of tcpdump")
        try:
            # The kernel takes off the link layer, whatever it is.
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS))
        except PermissionError:
            raise InvalidCapture("to capture packets takes the capability CAP_NET_RAW, or to be root") from None
        try:
            self.prepare()
        except BaseException:
            self.socket.close()
            raise
        return self

    def prepare(self) -> None:
        """Gives the kernel room, and chooses the interface."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, WAITING)
        except OSError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING)
        if self.interface:
            self.socket.bind((self.interface, ALL_PROTOCOLS))
        self.socket.setblocking(False)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends it."""
        statistics = self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        self.dropped = STATISTICS.unpack(statistics)[1]
        self.socket.close()

    def packets(self, seconds: float | None = None) -> Iterator[Packet | None]:
        """The packets as they pass, and `None` after a while without any.

        Args:
            seconds: for how long; for ever by default.
        """
        deadline = time.monotonic() + seconds if seconds is not None else None
        while deadline is None or time.monotonic() < deadline:
            ready, _, _ = select.select([self.socket], [], [], PATIENCE)
            yield self.receive() if ready else None

    def receive(self) -> Packet | None:
        """The next packet of the Internet protocols."""
        data, address = self.socket.recvfrom(LONGEST_PACKET)
        interface, protocol, kind = address[:3]
        # On the loopback interface each packet is seen twice: as it leaves and as it arrives.
        if protocol not in (IPV4, IPV6) or (interface == LOOPBACK and kind == OUTGOING):
            return None
        return Packet(time.time_ns(), RAW_IP, data)
