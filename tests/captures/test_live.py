"""Capturing from an interface, without needing the right to: a socket pair takes the place of the packet socket."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dicomio.captures import InvalidCapture, LiveCapture
from dicomio.captures.packets import IPV4, RAW_IP

ARP = 0x0806
HERE, OUTGOING = 0, 4


class PacketSocket:
    """What Linux gives for AF_PACKET, as far as it is used."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addresses: list[tuple[str, int, int]] = []
        self.bound: tuple[str, int] | None = None
        self.options: list[int] = []

    def arrive(self, data: bytes, interface: str, protocol: int = IPV4, kind: int = HERE) -> None:
        """A packet passes."""
        self.theirs.send(data)
        self.addresses.append((interface, protocol, kind))

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int, int]]:
        return self.ours.recv(size), self.addresses.pop(0)

    def fileno(self) -> int:
        return self.ours.fileno()

    def bind(self, address: tuple[str, int]) -> None:
        if address[0] == "none0":
            raise OSError(19, "No such device")
        self.bound = address

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append(option)
        if option == 33:
            raise PermissionError(1, "Operation not permitted")

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return (9).to_bytes(4, "little") + (2).to_bytes(4, "little")

    def setblocking(self, flag: bool) -> None:
        self.ours.setblocking(flag)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def packet_socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[PacketSocket]:
    """What the next packet socket is."""
    fake = PacketSocket()
    monkeypatch.setattr("dicomio.captures.live.socket.socket", lambda *args: fake)
    yield fake
    fake.close()


def test_packets_of_the_internet_protocols_pass(packet_socket: PacketSocket) -> None:
    with LiveCapture("eth0") as live:
        packet_socket.arrive(b"four", "eth0")
        packet_socket.arrive(b"arp", "eth0", ARP)
        packet_socket.arrive(b"sent", "eth0", kind=OUTGOING)
        found = []
        for packet in live.packets():
            found.append(packet)
            if len(found) == 4:
                break
        assert packet_socket.bound == ("eth0", 3)
    assert [(packet.link_type, packet.data) if packet else None for packet in found] == [
        (RAW_IP, b"four"),
        None,
        (RAW_IP, b"sent"),
        None,
    ]
    assert live.dropped == 2


def test_what_loops_back_counts_once(packet_socket: PacketSocket) -> None:
    with LiveCapture() as live:
        packet_socket.arrive(b"leaves", "lo", kind=OUTGOING)
        packet_socket.arrive(b"arrives", "lo")
        packets = live.packets()
        assert next(packets) is None
        packet = next(packets)
        assert packet is not None
        assert packet.data == b"arrives"
        assert packet_socket.bound is None


def test_it_ends_in_time(packet_socket: PacketSocket) -> None:
    with LiveCapture() as live:
        assert all(packet is None for packet in live.packets(0.05))


def test_interface_that_is_not_there(packet_socket: PacketSocket) -> None:
    with pytest.raises(OSError, match="No such device"):
        LiveCapture("none0").__enter__()
    assert packet_socket.fileno() == -1


def test_without_the_right_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("dicomio.captures.live.socket.socket", refuse)
    with pytest.raises(InvalidCapture, match="takes the capability CAP_NET_RAW, or to be root"):
        LiveCapture().__enter__()


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("dicomio.captures.live.socket.AF_PACKET")
    with pytest.raises(InvalidCapture, match="on Linux only"):
        LiveCapture().__enter__()
