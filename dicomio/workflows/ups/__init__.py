"""Unified Procedure Steps: worklists of work, whatever it is (PS3.4 CC).

`UPSWorklist` is the side of those who schedule steps, perform them and watch them, `UPSProvider` that of those who
manage them. `UPSWatcher` gets the events.
"""

from dicomio.workflows.ups.events import (
    SCPStatusChange,
    UPSAssigned,
    UPSCancelRequested,
    UPSEvent,
    UPSProgressReport,
    UPSStateReport,
)
from dicomio.workflows.ups.provider import UPSProvider
from dicomio.workflows.ups.states import UPSState
from dicomio.workflows.ups.step import UPSStep
from dicomio.workflows.ups.store import MemoryUPSStore, UPSStore
from dicomio.workflows.ups.watching import UPSEvents, UPSWatcher
from dicomio.workflows.ups.worklist import UPSWorklist

__all__ = [
    "MemoryUPSStore",
    "SCPStatusChange",
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
]
