"""Connections spread evenly over the processes that serve one port: who has how many, and how they are passed on."""

import mmap
import socket
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["Board", "Place"]

# Who passes a connection on, and its how many-th to that place it is.
MESSAGE: Final = struct.Struct("=IQ")
# A process that leaves so many connections waiting does not look after them, and gets no more.
MOST_WAITING: Final = 64
CELL: Final = struct.calcsize("Q")


class Board:
    """What processes tell one another, in memory that they share, and where they pass connections on to one another.

    Each number is written by one process alone. So there is no lock that one of them could keep when it dies or hangs.

    Args:
        count: how many places there are.

    Attributes:
        serving: 1 for each place that takes connections.
        connections: of each place.
        associations: of each place.
        passed: how many connections were passed to each place, by who passed them.
        taken: how many of these it has taken.
        inboxes: of each place: the end it takes connections from, and that to which they are passed.
    """

    def __init__(self, count: int) -> None:
        cells = memoryview(mmap.mmap(-1, CELL * count * (3 + 2 * count))).cast("Q")
        rows = [cells[start : start + count] for start in range(0, len(cells), count)]
        self.serving, self.connections, self.associations = rows[:3]
        self.passed = rows[3 : 3 + count]
        self.taken = rows[3 + count :]
        # They outlive processes, so that a successor finds what its predecessor was given last.
        self.inboxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        for end in (end for pair in self.inboxes for end in pair):
            end.setblocking(False)

    @property
    def places(self) -> "Sequence[Place]":
        """All of them."""
        return [Place(number, self) for number in range(len(self.inboxes))]

    def waiting(self, number: int) -> int:
        """Connections that were passed to a place and not taken yet."""
        # Who died between counting and passing has counted one too many, until the next one from the same place.
        return max(0, sum(self.passed[number]) - sum(self.taken[number]))

    def load(self, number: int) -> int:
        """Connections that a place has, or is about to have."""
        return self.connections[number] + self.waiting(number)

    def close(self) -> None:
        """Drops what still waits; processes that serve have their ends for themselves."""
        for end in (end for pair in self.inboxes for end in pair):
            end.close()


class Place:
    """One of the processes that serve one port, as it sees itself among the others.

    Args:
        number: which of them, from 0.
        board: what they share; made before they were forked.
    """

    def __init__(self, number: int, board: Board) -> None:
        self.number = number
        self.board = board
        self.inbox = board.inboxes[number][0]

    def enter(self) -> None:
        """From now on this process takes what others pass on."""
        self.board.serving[self.number] = 1

    def leave(self) -> None:
        """It wants no more."""
        self.board.serving[self.number] = 0

    def count(self, change: int) -> None:
        """This process has one connection more, or one less."""
        self.board.connections[self.number] += change

    def admits(self, associations: int, limit: int) -> bool:
        """Whether all processes together have no more associations than they may, when this one has so many.

        Args:
            associations: of this process, with the one in question.
            limit: for all of them.
        """
        # Told first and counted then, so that of two that ask at once one is refused at least.
        self.tell(associations)
        return sum(self.board.associations) <= limit

    def tell(self, associations: int) -> None:
        """Tells how many associations this process has."""
        self.board.associations[self.number] = associations

    def pass_on(self, connection: socket.socket) -> bool:
        """Gives a connection to the process that has least to do, unless that is this one.

        Returns:
            Whether it was given away; it is closed here then.
        """
        receiver = self.find_receiver()
        if receiver is None:
            return False
        passed = self.board.passed[receiver]
        passed[self.number] += 1
        message = MESSAGE.pack(self.number, passed[self.number])
        try:
            socket.send_fds(self.board.inboxes[receiver][1], [message], [connection.fileno()])
        except OSError:
            # Too many are on their way; it is served here.
            passed[self.number] -= 1
            return False
        connection.close()
        return True

    def find_receiver(self) -> int | None:
        """The place with fewest connections among those with fewer than this one, if there are such."""
        board, found = self.board, None
        least = board.load(self.number)
        for number, serving in enumerate(board.serving):
            if serving and number != self.number and board.waiting(number) < MOST_WAITING:
                load = board.load(number)
                if load < least:
                    found, least = number, load
        return found

    def take(self) -> socket.socket | None:
        """The next connection that was passed on; `None` where it was lost on the way, for want of a descriptor.

        Raises:
            BlockingIOError: there is none.
        """
        message, descriptors, _, _ = socket.recv_fds(self.inbox, MESSAGE.size, 1)
        sender, number = MESSAGE.unpack(message)
        self.board.taken[self.number][sender] = number
        if not descriptors:
            return None
        connection = socket.socket(fileno=descriptors[0])
        connection.set_inheritable(False)
        return connection

    # for the supervisor, when the process is dead

    def clear(self) -> None:
        """There is nothing here."""
        self.board.serving[self.number] = 0
        self.board.connections[self.number] = 0
        self.tell(0)

    def sweep(self) -> None:
        """Drops the connections that nobody has taken."""
        while True:
            try:
                connection = self.take()
            except BlockingIOError:
                return
            if connection is not None:
                connection.close()
