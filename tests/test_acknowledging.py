"""Who is acknowledged at once: a peer that needs it, and one of which that is not known yet."""

import asyncio
import socket
from typing import cast

import pytest

from dicomio.acknowledging import STALL, TRIED, Acknowledger

QUICKACK = 12


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has the option."""
    monkeypatch.setattr("dicomio.acknowledging.TCP_QUICKACK", QUICKACK)


class Socket:
    """Counts what is set on it."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.closed = False

    def setsockopt(self, level: int, name: int, value: int) -> None:
        assert (level, name, value) == (socket.IPPROTO_TCP, QUICKACK, 1)
        if self.closed:
            raise OSError("bad file descriptor")
        self.acknowledged += 1


class Handle:
    """A timer."""

    def __init__(self, loop: "Loop", at: float) -> None:
        self.loop = loop
        self.at = at

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.loop.timers.pop(self, None)


class Loop:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: dict[Handle, object] = {}

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: object) -> Handle:
        handle = Handle(self, at)
        self.timers[handle] = callback
        return handle

    def advance(self, seconds: float) -> None:
        """Lets time pass, with what is due in it."""
        end = self.now + seconds
        while due := sorted((handle for handle in self.timers if handle.at <= end), key=Handle.when):
            self.now = due[0].at
            callback = self.timers.pop(due[0])
            assert callable(callback)
            callback()
        self.now = end


class Peer:
    """A peer whose messages come in pieces, seen from the acknowledger."""

    def __init__(self) -> None:
        self.socket, self.loop = Socket(), Loop()
        acknowledger = Acknowledger.of(cast("socket.socket", self.socket), cast("asyncio.AbstractEventLoop", self.loop))
        assert acknowledger is not None
        self.acknowledger = acknowledger

    def send(self, *, reads: int = 3, pause: float = 0.0) -> int:
        """A message in several reads; returns how often it was acknowledged."""
        before = self.socket.acknowledged
        for _ in range(reads - 1):
            self.acknowledger.received(self.loop.now, True)
            self.loop.advance(pause)
        self.acknowledger.received(self.loop.now, False)
        return self.socket.acknowledged - before


def test_first_messages_are_acknowledged_at_each_read() -> None:
    peer = Peer()
    assert [peer.send() for _ in range(TRIED)] == [2] * TRIED


def test_a_peer_that_goes_on_without_is_left_alone() -> None:
    peer = Peer()
    for _ in range(TRIED):
        peer.send()
    assert [peer.send(pause=STALL / 2) for _ in range(20)] == [0] * 20
    assert not peer.acknowledger.needed


def test_a_peer_that_stalls_is_acknowledged_from_then_on() -> None:
    peer = Peer()
    for _ in range(TRIED):
        peer.send()
    assert peer.send(reads=2, pause=2 * STALL) == 1
    assert peer.acknowledger.needed
    assert [peer.send() for _ in range(3)] == [2, 2, 2]


def test_silence_between_messages_is_no_stall() -> None:
    peer = Peer()
    for _ in range(TRIED):
        peer.send()
    for _ in range(3):
        peer.send()
        peer.loop.advance(100 * STALL)
    assert not peer.acknowledger.needed


def test_silence_while_we_do_not_read_is_no_stall() -> None:
    peer = Peer()
    for _ in range(TRIED):
        peer.send()
    peer.acknowledger.received(peer.loop.now, True)
    peer.acknowledger.paused()
    peer.loop.advance(100 * STALL)
    assert not peer.acknowledger.needed


def test_messages_of_one_read_teach_nothing() -> None:
    peer = Peer()
    assert [peer.send(reads=1) for _ in range(2 * TRIED)] == [0] * 2 * TRIED
    assert peer.send() == 2


def test_one_timer_serves_many_messages() -> None:
    peer = Peer()
    for _ in range(TRIED + 100):
        peer.send()
    assert len(peer.loop.timers) == 1


def test_a_socket_that_goes_down_is_no_error_and_keeps_no_timer() -> None:
    peer = Peer()
    peer.socket.closed = True
    peer.send()
    peer.acknowledger.close()
    peer.loop.advance(1)
    assert peer.socket.acknowledged == 0
    assert not peer.loop.timers


@pytest.mark.parametrize("missing", ["socket", "option"])
def test_without_socket_or_option_there_is_none(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cast("socket.socket", Socket()) if missing == "option" else None
    if missing == "option":
        monkeypatch.setattr("dicomio.acknowledging.TCP_QUICKACK", None)
    assert Acknowledger.of(found, cast("asyncio.AbstractEventLoop", Loop())) is None
