"""dicomio: DICOM networking for asyncio (PS3.7, PS3.8, PS3.4).

Ask a remote application entity for something with `connect` or `Client`; serve with an `Application` whose handlers
are decorated functions. `dicomio.sop` has the names of SOP classes and transfer syntaxes, `dicomio.testing` connects
two sides without a socket.
"""

from dicomio.admission import Access
from dicomio.application import Application, Proposal
from dicomio.association import Association
from dicomio.client import Client, echo
from dicomio.config import Address, Limits, PresentationContext, Role, Timeout
from dicomio.datasets import Instance
from dicomio.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    DicomError,
    DicomTimeout,
    InvalidIdentifier,
    InvalidInstance,
    LocalProtocolError,
    NegotiationTimeout,
    NoPresentationContext,
    PoolTimeout,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    ResponseTimeout,
    StatusError,
    TransactionExpired,
    WriteTimeout,
)
from dicomio.extensions import Identity, QueryExtension, RetrieveExtension, StorageExtension
from dicomio.identifiers import dataset, query
from dicomio.implementation import VERSION as __version__
from dicomio.opening import connect
from dicomio.profiles import Peer, load_peers
from dicomio.requests import (
    ActionRequest,
    CreateRequest,
    DeleteRequest,
    EchoRequest,
    EventReport,
    FindRequest,
    GetRequest,
    Progress,
    Request,
    RetrieveRequest,
    SetRequest,
    StoreProgress,
    StoreRequest,
    UnknownRequest,
)
from dicomio.responses import Responses
from dicomio.server import Server, serve
from dicomio.services.normalized import Answer
from dicomio.services.query import Matches
from dicomio.services.reply import Response
from dicomio.services.retrieve import Retrieval
from dicomio.services.storage import Priority, StoreResponse
from dicomio.session import UpperLayer
from dicomio.sop import PATIENT_ROOT, QUERY, STUDY_ROOT, WORKLIST, QueryModel
from dicomio.status import Status
from dicomio.transfer import Outcome, Outcomes
from dicomio.wire.items import CommonExtendedNegotiation
from dicomio.workflows.availability import notify_availability
from dicomio.workflows.commitment import CommitmentProvider, CommitmentResult, StorageCommitment, Transaction
from dicomio.workflows.mpps import (
    PerformedStep,
    PerformedStepProvider,
    StepChange,
    StepEvent,
    StepState,
    from_worklist,
    performed_step,
)
from dicomio.workflows.printing import (
    FilmBox,
    JobState,
    PrintedFilm,
    PrinterState,
    PrintEvent,
    PrintProvider,
    PrintRequest,
    PrintSession,
    PrintWarning,
    SubmittedJob,
    print_session,
)
from dicomio.workflows.ups import (
    MemoryUPSStore,
    SCPStatusChange,
    UPSAssigned,
    UPSCancelRequested,
    UPSEvent,
    UPSEvents,
    UPSProgressReport,
    UPSProvider,
    UPSState,
    UPSStateReport,
    UPSStep,
    UPSStore,
    UPSWatcher,
    UPSWorklist,
)

__all__ = [
    "PATIENT_ROOT",
    "QUERY",
    "STUDY_ROOT",
    "WORKLIST",
    "Access",
    "ActionRequest",
    "Address",
    "Answer",
    "Application",
    "Association",
    "AssociationAborted",
    "AssociationRejected",
    "AssociationReleased",
    "Client",
    "CommitmentProvider",
    "CommitmentResult",
    "CommonExtendedNegotiation",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionLost",
    "CreateRequest",
    "DeleteRequest",
    "DicomError",
    "DicomTimeout",
    "EchoRequest",
    "EventReport",
    "FilmBox",
    "FindRequest",
    "GetRequest",
    "Identity",
    "Instance",
    "InvalidIdentifier",
    "InvalidInstance",
    "JobState",
    "Limits",
    "LocalProtocolError",
    "Matches",
    "MemoryUPSStore",
    "NegotiationTimeout",
    "NoPresentationContext",
    "Outcome",
    "Outcomes",
    "Peer",
    "PerformedStep",
    "PerformedStepProvider",
    "PoolTimeout",
    "PresentationContext",
    "PrintEvent",
    "PrintProvider",
    "PrintRequest",
    "PrintSession",
    "PrintWarning",
    "PrintedFilm",
    "PrinterState",
    "Priority",
    "Progress",
    "Proposal",
    "ProtocolError",
    "QueryExtension",
    "QueryModel",
    "Refused",
    "RemoteProtocolError",
    "Request",
    "Response",
    "ResponseTimeout",
    "Responses",
    "Retrieval",
    "RetrieveExtension",
    "RetrieveRequest",
    "Role",
    "SCPStatusChange",
    "Server",
    "SetRequest",
    "Status",
    "StatusError",
    "StepChange",
    "StepEvent",
    "StepState",
    "StorageCommitment",
    "StorageExtension",
    "StoreProgress",
    "StoreRequest",
    "StoreResponse",
    "SubmittedJob",
    "Timeout",
    "Transaction",
    "TransactionExpired",
    "UPSAssigned",
    "UPSCancelRequested",
    "UPSEvent",
    "UPSEvents",
    "UPSProgressReport",
    "UPSProvider",
    "UPSState",
    "UPSStateReport",
    "UPSStep",
    "UPSStore",
    "UPSWatcher",
    "UPSWorklist",
    "UnknownRequest",
    "UpperLayer",
    "WriteTimeout",
    "__version__",
    "connect",
    "dataset",
    "echo",
    "from_worklist",
    "load_peers",
    "notify_availability",
    "performed_step",
    "print_session",
    "query",
    "serve",
]
