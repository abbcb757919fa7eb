"""Instance Availability Notification: telling others from where objects can be retrieved (PS3.4 R)."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomio.association import Association
from dicomio.client import Client
from dicomio.identifiers import dataset
from dicomio.services.normalized import Answer
from dicomio.sop import InstanceAvailabilityNotification, ModalityPerformedProcedureStep

__all__ = ["notify_availability"]

# PS3.3 C.4.23.1.1
AVAILABILITIES: Final = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")
REQUIRED: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")


async def notify_availability(
    user: Client | Association,
    instances: Iterable[Dataset],
    *,
    retrieve_ae_title: str,
    availability: str = "ONLINE",
    step: str | None = None,
) -> Sequence[Answer]:
    """Tells a peer that objects can be retrieved, with one notification for each study they are of (PS3.4 R.3.2).

    Args:
        user: whom to tell.
        instances: data sets, or just the four UIDs of study, series, SOP class and SOP instance of each.
        retrieve_ae_title: AE title of where they can be retrieved from.
        availability: how: ONLINE, NEARLINE, OFFLINE or UNAVAILABLE.
        step: SOP Instance UID of the performed procedure step in which they were created.

    Returns:
        What the peer answered, for each study.

    Raises:
        ValueError: one of the UIDs is missing, or there is no such availability.
        StatusError: the peer answered with a Failure status.
        NoPresentationContext: the peer does not support the SOP class.
        DicomError: the association is over or could not be opened.
    """
    if availability not in AVAILABILITIES:
        raise ValueError(f"Instance Availability is one of {', '.join(AVAILABILITIES)}, not {availability}")
    steps = [reference(ModalityPerformedProcedureStep, step, PerformedWorkitemCodeSequence=[])] if step else []
    answers = []
    for study, series in grouped(instances, retrieve_ae_title, availability).items():
        # Optional attributes are forbidden here (PS3.4 R.3.2.1.2).
        notification = dataset(
            StudyInstanceUID=study,
            ReferencedPerformedProcedureStepSequence=steps,
            ReferencedSeriesSequence=[
                {"SeriesInstanceUID": uid, "ReferencedSOPSequence": references} for uid, references in series.items()
            ],
        )
        answers.append(await user.n_create(InstanceAvailabilityNotification, str(generate_uid()), notification))
    return answers


def grouped(
    instances: Iterable[Dataset], retrieve_ae_title: str, availability: str
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """References to objects by series, and these by study."""
    studies: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for instance in instances:
        for keyword in REQUIRED:
            if not instance.get(keyword):
                raise ValueError(f"an object without {keyword} cannot be referenced")
        series = studies.setdefault(instance.StudyInstanceUID, {})
        series.setdefault(instance.SeriesInstanceUID, []).append(
            reference(
                instance.SOPClassUID,
                instance.SOPInstanceUID,
                InstanceAvailability=availability,
                RetrieveAETitle=retrieve_ae_title,
            )
        )
    return studies


def reference(sop_class: str, instance: str, **elements: Any) -> dict[str, Any]:
    """An item that references a SOP instance."""
    return {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": instance, **elements}
