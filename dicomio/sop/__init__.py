"""SOP classes, transfer syntaxes and query models by name: `CTImageStorage`, `ExplicitVRLittleEndian`, `STUDY_ROOT`.

The names are the keywords of PS3.6 Annex A as pydicom spells them; private ones are used as plain UIDs.
"""

from collections.abc import Mapping

from dicomio.sop import classes, storage, syntaxes
from dicomio.sop.classes import *
from dicomio.sop.models import *
from dicomio.sop.services import *
from dicomio.sop.storage import *
from dicomio.sop.syntaxes import *

# What a presentation context for a meta SOP class, or for one of several of a service, can be used for beside itself
# (PS3.4 H.2.2.2, CC.3.1.2: requests name Unified Procedure Step Push, whichever of the five was negotiated).
PRINT = (classes.BasicFilmSession, classes.BasicFilmBox, classes.Printer)
MEMBERS: Mapping[str, tuple[str, ...]] = {
    classes.BasicGrayscalePrintManagementMeta: (*PRINT, classes.BasicGrayscaleImageBox),
    classes.BasicColorPrintManagementMeta: (*PRINT, classes.BasicColorImageBox),
    classes.UnifiedProcedureStepWatch: (classes.UnifiedProcedureStepPush,),
    classes.UnifiedProcedureStepPull: (classes.UnifiedProcedureStepPush,),
    classes.UnifiedProcedureStepEvent: (classes.UnifiedProcedureStepPush,),
    classes.UnifiedProcedureStepQuery: (classes.UnifiedProcedureStepPush,),
}

# Keyword by UID, for people to read.
NAMES: Mapping[str, str] = {
    uid: name
    for module in (syntaxes, classes, storage)
    for name, uid in vars(module).items()
    if isinstance(uid, str) and uid.startswith("1.2.840.10008.")
}


def name_of(uid: str) -> str:
    """The keyword of a UID, or the UID where it has none."""
    return NAMES.get(uid, uid)
