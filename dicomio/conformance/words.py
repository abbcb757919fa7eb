"""The sentences of a statement that are the same for everybody, or nearly so. Braces are filled in."""

from typing import Final

__all__ = [
    "ACCEPTED",
    "ANY_STATUS",
    "ASYNCHRONOUS",
    "CHARACTER_SETS",
    "DEFAULTS",
    "GENERAL",
    "INTRODUCTION",
    "LIMITS",
    "MEDIA",
    "NOT_PROPOSED",
    "OTHER_REQUESTS",
    "OTHER_STATUSES",
    "OVERVIEW",
    "REFERENCES",
    "REPORTED",
    "SENT",
    "SEQUENCING",
    "TIMEOUTS",
    "TLS_NOT_KNOWN",
    "UNKNOWN_REQUESTS",
]

OVERVIEW: Final = """
{ae_title} is a DICOM application entity (AE) built with dicomio. Its network services are below. Media services are
not part of this statement.
"""

INTRODUCTION: Final = """
This statement has the shape that PS3.2 gives to conformance statements. It was written by the software from the
application itself: from what it accepts, and from the functions that are registered for requests. What these
functions do beyond receiving, answering and sending is up to them; where that matters, the statement says that it is
not known. Conformance to DICOM does not guarantee that two systems work together; whoever connects them has to
compare their statements and to test.
"""

REFERENCES: Final = "NEMA PS3, Digital Imaging and Communications in Medicine (DICOM) Standard."

SEQUENCING: Final = """
Not known to the software, apart from what the SOP classes themselves demand: requests are performed whenever they
come.
"""

GENERAL: Final = """
The DICOM standard application context name, 1.2.840.10008.3.1.1.1, is proposed and accepted, and no other.
"""

ASYNCHRONOUS: Final = """
Where a peer negotiates an asynchronous operations window, it may have up to {window} operations outstanding on an
association, and so may the AE. Otherwise there is one at a time. Requests of one association run at the same time,
and responses may be in another order than requests.
"""

NOT_PROPOSED: Final = """
Of further associations that the application may open nothing is known: what its functions propose cannot be seen
from outside.
"""

OTHER_STATUSES: Final = """
The function that is registered for a request may answer with any other status; which ones it uses is not known. In
this service the standard has, beside those above: {statuses}.
"""

MEDIA: Final = "Not part of this statement: the software has no media storage application profiles (PS3.11)."

ACCEPTED: Final = """
Of several transfer syntaxes that are proposed in one presentation context, the first of the list above is accepted;
where any is accepted, the first of the proposal. SOP classes that a peer declares to be special cases of accepted
ones (SOP class common extended negotiation, PS3.7 D.3.3.6) are accepted as these are.
"""

OTHER_REQUESTS: Final = """
Requests of other kinds than those below are answered with 0x0211 (Unrecognized operation), or with 0x0118 (No such
SOP class) where they name a SOP class that is not served.
"""

UNKNOWN_REQUESTS: Final = """
Requests of other kinds than those below are answered by a function of the application; how is not known.
"""

SENT: Final = "Objects that a C-GET asks for are sent with C-STORE on its own association."

REPORTED: Final = """
Events may be reported to peers with N-EVENT-REPORT; when, and whether on the association of the request or on one
that the AE opens, is not known.
"""

ANY_STATUS: Final = """
The function that is registered for a request may answer with other statuses; which ones it uses is not known.
"""

TLS_NOT_KNOWN: Final = (
    "Whether connections are secured by TLS is chosen when the application is served; it is not known."
)

CHARACTER_SETS: Final = """
Objects that are received with C-STORE are not decoded by the software, and those that are sent are converted between
transfer syntaxes only: they keep their character sets. Identifiers and attribute lists are decoded by their Specific
Character Set (0008,0005), which may be {names}. AE titles are in the default repertoire.
"""

DEFAULTS: Final = """
The application was not served when this statement was written: the values are the defaults that hold where its
operator chooses no others.
"""

# Name of the deadline, and what it is for.
TIMEOUTS: Final = {
    "artim": "ARTIM: from connection to A-ASSOCIATE-RQ, and from the end of an association to that of its connection",
    "negotiate": "Deciding on an association",
    "response": "From a request of ours to its next response",
    "write": "A peer does not read what is sent",
    "release": "From A-RELEASE-RQ to A-RELEASE-RP",
    "idle": "An association on which nothing happens",
    "shutdown": "What requests get to finish when the server ends",
}

# Name of the limit, what it is for, and its unit.
LIMITS: Final = {
    "max_pdu": ("Longest P-DATA-TF PDU that peers are asked for", "bytes"),
    "associate_pdu": ("Longest PDU of any other type", "bytes"),
    "contexts": ("Presentation contexts of one association", ""),
    "half_open": ("Connections that have not asked for an association", ""),
    "command_set": ("One command set", "bytes"),
    "data_set": ("One data set that is held in memory", "bytes"),
    "nesting": ("Depth of sequences in a data set that is decoded", ""),
}
