"""DICOM conversations in network captures: to look at, to record and to play back (pcap and pcapng)."""

from dicomio.captures.dissector import Association, Closed, DataSetStart, Dissector, Event, Noted, Opened, Said
from dicomio.captures.errors import InvalidCapture
from dicomio.captures.extraction import Extractor, all_of, shown
from dicomio.captures.live import LiveCapture
from dicomio.captures.reading import CaptureReader, Packet
from dicomio.captures.recording import Recorder
from dicomio.captures.records import event_record
from dicomio.captures.replaying import Acceptor, Replay
from dicomio.captures.side import DataSet, Message, PDUFrame, Trouble
from dicomio.captures.words import lines_of

__all__ = [
    "Acceptor",
    "Association",
    "CaptureReader",
    "Closed",
    "DataSet",
    "DataSetStart",
    "Dissector",
    "Event",
    "Extractor",
    "InvalidCapture",
    "LiveCapture",
    "Message",
    "Noted",
    "Opened",
    "PDUFrame",
    "Packet",
    "Recorder",
    "Replay",
    "Said",
    "Trouble",
    "all_of",
    "event_record",
    "lines_of",
    "shown",
]
