"""P-DATA-TF: an in-place parser that never assembles a PDU, and packers that lay headers around data (PS3.8 9.3.5).

```
byte   1     2      3-6           7-10             11            12
     | 04 | 00 | PDU length | PDV item length | context id | message control header | fragment ...
```
The message control header has bit 0 set for a command and clear for a data set, bit 1 set for the last fragment
of either (PS3.8 E.2).
"""

from collections.abc import Iterator, Sequence
from struct import Struct

from dicomio.errors import RemoteProtocolError

__all__ = ["COMMAND", "DATA", "LAST", "BatchPacker", "PDataParser", "pack_message", "payload_size"]

DATA, COMMAND, LAST = 0, 1, 2

PDV_HEADER = Struct(">LBB")
HEADERS = Struct(">BxLLBB")

P_DATA_TF = 0x04
HEADERS_LENGTH = 12
PDV_OVERHEAD = 6

# What we put into one PDU for a peer that takes any length: larger gains nothing and only costs the peer memory.
LONGEST_SENT = 262_144
# One preadv fills the gaps of a batch; IOV_MAX is 1024 on Linux, and 16 is the least that POSIX promises.
MOST_GAPS = 1000

Fragment = tuple[int, int, memoryview]


def payload_size(maximum: int) -> int:
    """Bytes of a message that fit one PDU, even (PS3.8 D.1).

    Args:
        maximum: the maximum length that the peer announced, bytes; 0 is any length.
    """
    longest = min(maximum or LONGEST_SENT, LONGEST_SENT)
    return max(longest - PDV_OVERHEAD & ~1, 2 if longest >= PDV_OVERHEAD + 2 else 1)


class PDataParser:
    """Hands out the fragments of P-DATA-TF PDUs as views of the buffer they arrived in.

    It stands anywhere inside a PDU: `pdu_left` bytes of it are to come, `pdv_left` of its current PDV. A fragment
    that arrives in pieces is handed out in pieces; only the last piece carries the last-fragment bit.
    """

    __slots__ = ("context_id", "control", "head", "pdu_left", "pdv_left")

    def __init__(self) -> None:
        self.pdu_left = 0
        self.pdv_left = 0
        self.context_id = 0
        self.control = 0
        self.head = b""

    def start(self, length: int) -> None:
        """Begins a PDU.

        Args:
            length: the length its header announces, bytes.

        Raises:
            RemoteProtocolError: the PDU has no room for one PDV.
        """
        if length < PDV_OVERHEAD:
            raise RemoteProtocolError(f"P-DATA-TF of {length} bytes has no room for a PDV")
        self.pdu_left = length

    def parse(self, view: memoryview, at: int, end: int, fragments: list[Fragment]) -> int:
        """Takes what belongs to the current PDU out of `view[at:end]`.

        Args:
            view: received bytes.
            at: where to begin.
            end: where the received bytes end.
            fragments: gets (context id, message control header, bytes) for every piece.

        Returns:
            Where the current PDU, or the view, ends.

        Raises:
            RemoteProtocolError: a PDV is longer than its PDU, or too short for its header.
        """
        while at < end and self.pdu_left:
            if not self.pdv_left:
                at = self.take_pdv_header(view, at, end)
                if self.head or (at == end and self.pdv_left):
                    return at
                if not self.pdv_left:
                    fragments.append((self.context_id, self.control, view[at:at]))
                    continue
            take = self.pdv_left if self.pdv_left <= end - at else end - at
            self.pdv_left -= take
            self.pdu_left -= take
            control = self.control if not self.pdv_left else self.control & ~LAST
            fragments.append((self.context_id, control, view[at : at + take]))
            at += take
        return at

    def take_pdv_header(self, view: memoryview, at: int, end: int) -> int:
        """Reads a PDV header that may be split over buffers; `head` keeps what there is of it."""
        head, missing = self.head, PDV_OVERHEAD - len(self.head)
        if head or end - at < missing:
            if self.pdu_left < PDV_OVERHEAD:
                raise RemoteProtocolError(f"{self.pdu_left} bytes after the last PDV of a P-DATA-TF")
            head += bytes(view[at : at + min(missing, end - at)])
            at += min(missing, end - at)
            if len(head) < PDV_OVERHEAD:
                self.head = head
                return at
            length, self.context_id, self.control = PDV_HEADER.unpack(head)
            self.head = b""
        else:
            length, self.context_id, self.control = PDV_HEADER.unpack_from(view, at)
            at += PDV_OVERHEAD
        self.pdu_left -= PDV_OVERHEAD
        self.pdv_left = length - 2
        if not 0 <= self.pdv_left <= self.pdu_left:
            raise RemoteProtocolError(f"PDV item length {length} does not fit its PDU")
        return at

    def parse_run(
        self, view: memoryview, at: int, end: int, maximum: int, fragments: list[Fragment]
    ) -> tuple[int, int]:
        """Takes a run of P-DATA-TF PDUs of one PDV each: what a peer in the middle of a data set sends.

        Args:
            view: received bytes.
            at: where a PDU begins.
            end: where the received bytes end; the last PDU may go on behind them.
            maximum: stop before a PDU longer than this, bytes.
            fragments: gets (context id, message control header, bytes) for every PDU.

        Returns:
            Where the first PDU begins that is something else, and how many were taken.
        """
        unpack, append, taken = HEADERS.unpack_from, fragments.append, 0
        while end - at >= HEADERS_LENGTH:
            kind, pdu_length, pdv_length, context_id, control = unpack(view, at)
            if kind != P_DATA_TF or pdv_length + 4 != pdu_length or pdv_length < 2 or pdu_length > maximum:
                break
            begin = at + HEADERS_LENGTH
            at += PDV_OVERHEAD + pdu_length
            taken += 1
            if at > end:
                self.pdu_left = self.pdv_left = at - end
                self.context_id, self.control = context_id, control
                append((context_id, control & ~LAST, view[begin:end]))
                return end, taken
            append((context_id, control, view[begin:at]))
        return at, taken


def pack_fragments(context_id: int, control: int, data: bytes | memoryview, payload: int) -> Iterator[bytes]:
    """One message part as header, fragment, header, fragment …; an empty part is one empty last fragment."""
    view, size = memoryview(data), len(data)
    for at in range(0, size or 1, payload):
        part = view[at : at + payload]
        last = LAST if at + payload >= size else 0
        yield HEADERS.pack(P_DATA_TF, len(part) + 6, len(part) + 2, context_id, control | last)
        yield part  # type: ignore[misc]  # b"".join takes any buffer


def pack_message(context_id: int, command: bytes, data: bytes | None, payload: int) -> bytes:
    """A whole message as P-DATA-TF PDUs, command and data set in PDUs of their own (PS3.8 9.3.1, Annex E).

    Args:
        context_id: presentation context ID.
        command: encoded command set.
        data: encoded data set, `None` where the message has none.
        payload: what `payload_size` says of the peer's maximum length, bytes.
    """
    size = len(command)
    if data is None and size <= payload:
        return HEADERS.pack(P_DATA_TF, size + 6, size + 2, context_id, COMMAND | LAST) + command
    if data is not None and size <= payload and len(data) <= payload:
        head = HEADERS.pack(P_DATA_TF, size + 6, size + 2, context_id, COMMAND | LAST)
        size = len(data)
        return b"".join((head, command, HEADERS.pack(P_DATA_TF, size + 6, size + 2, context_id, DATA | LAST), data))
    parts = list(pack_fragments(context_id, COMMAND, command, payload))
    if data is not None:
        parts += pack_fragments(context_id, DATA, data, payload)
    return b"".join(parts)


class BatchPacker:
    """A send buffer that holds the headers of many P-DATA-TF PDUs; the data is read into the gaps between them.

    Args:
        context_id: presentation context ID.
        payload: bytes of data set in every PDU but the last.
        size: how many bytes of data set one batch carries, at least where it can.
        prefix: bytes to be sent before the first batch (the command).
    """

    __slots__ = ("buffer", "context_id", "count", "payload", "prefix", "view")

    def __init__(self, context_id: int, payload: int, size: int, prefix: bytes = b"") -> None:
        self.context_id = context_id
        self.payload = payload
        # Rounded up: what is a little longer than the PDUs it fills shall not need another batch.
        self.count = max(1, min(MOST_GAPS, -(-size // payload)))
        self.prefix = prefix
        self.buffer = bytearray(len(prefix) + self.count * (payload + HEADERS_LENGTH))
        self.view = memoryview(self.buffer)

    @property
    def capacity(self) -> int:
        """Bytes of data set that one batch carries."""
        return self.count * self.payload

    def lay(self, size: int, last: bool) -> tuple[memoryview, Sequence[memoryview]]:
        """Lays out one batch.

        Args:
            size: bytes of data set to send with it, at most `capacity`.
            last: whether the data set ends with it; one of odd length gets a NUL behind it.

        Returns:
            What to write to the transport, and the gaps in it that the data goes into, in order.
        """
        view, payload, at = self.view, self.payload, len(self.prefix)
        view[:at] = self.prefix
        self.prefix = b""
        gaps = []
        # Data sets have even lengths; files that were deflated without the NUL of PS3.5 A.5 get theirs here.
        odd = last and size & 1
        while True:
            part = min(payload, size)
            size -= part
            final = last and not size
            pad = final and odd and part < payload
            length = part + 1 if pad else part
            HEADERS.pack_into(self.buffer, at, P_DATA_TF, length + 6, length + 2, self.context_id, LAST if final else 0)
            at += HEADERS_LENGTH
            gaps.append(view[at : at + part])
            at += length
            if pad:
                self.buffer[at - 1] = 0
            if not size:
                return view[:at], gaps
