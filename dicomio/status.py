"""Status codes of DIMSE responses (PS3.7 Annex C, PS3.4)."""

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["MEANINGS", "PENDING", "SERVICE_MEANINGS", "Status"]

# Names and words of the codes that mean the same, or nearly so, in every service class.
TABLE = """
    0x0000 SUCCESS                                  Success
    0x0001 REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED  Requested optional attributes are not supported
    0x0105 NO_SUCH_ATTRIBUTE                        No such attribute
    0x0106 INVALID_ATTRIBUTE_VALUE                  Invalid attribute value
    0x0107 ATTRIBUTE_LIST_ERROR                     Attribute list error
    0x0110 PROCESSING_FAILURE                       Processing failure
    0x0111 DUPLICATE_SOP_INSTANCE                   Duplicate SOP instance
    0x0112 NO_SUCH_SOP_INSTANCE                     No such SOP instance
    0x0113 NO_SUCH_EVENT_TYPE                       No such event type
    0x0114 NO_SUCH_ARGUMENT                         No such argument
    0x0115 INVALID_ARGUMENT_VALUE                   Invalid argument value
    0x0116 ATTRIBUTE_VALUE_OUT_OF_RANGE             Attribute value out of range
    0x0117 INVALID_SOP_INSTANCE                     Invalid SOP instance
    0x0118 NO_SUCH_SOP_CLASS                        No such SOP class
    0x0119 CLASS_INSTANCE_CONFLICT                  Class-instance conflict
    0x0120 MISSING_ATTRIBUTE                        Missing attribute
    0x0121 MISSING_ATTRIBUTE_VALUE                  Missing attribute value
    0x0122 SOP_CLASS_NOT_SUPPORTED                  SOP class not supported
    0x0123 NO_SUCH_ACTION_TYPE                      No such action type
    0x0124 NOT_AUTHORIZED                           Not authorized
    0x0210 DUPLICATE_INVOCATION                     Duplicate invocation
    0x0211 UNRECOGNIZED_OPERATION                   Unrecognized operation
    0x0212 MISTYPED_ARGUMENT                        Mistyped argument
    0x0213 RESOURCE_LIMITATION                      Resource limitation
    0xA700 OUT_OF_RESOURCES                         Out of resources
    0xA701 OUT_OF_RESOURCES_MATCHES                 Out of resources: unable to calculate number of matches
    0xA702 OUT_OF_RESOURCES_SUBOPERATIONS           Out of resources: unable to perform sub-operations
    0xA801 MOVE_DESTINATION_UNKNOWN                 Move destination unknown
    0xA900 DATA_SET_DOES_NOT_MATCH_SOP_CLASS        Data set does not match SOP class
    0xB000 COERCION_OF_DATA_ELEMENTS                Coercion of data elements, or failures in sub-operations
    0xB006 ELEMENTS_DISCARDED                       Elements discarded
    0xB007 DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING  Data set does not match SOP class
    0xC000 CANNOT_UNDERSTAND                        Cannot understand, or unable to process
    0xFE00 CANCEL                                   Cancelled
    0xFF00 PENDING                                  Pending
    0xFF01 PENDING_WARNING                          Pending: optional keys are not supported
"""

# What codes mean in one service class only, or other than elsewhere (the annexes of PS3.4 in brackets);
# a code that belongs to one service class alone has its name here.
SERVICE_TABLE = """
    storage (B.2.3)
    0xA700 - Out of resources
    0xA900 - Data set does not match SOP class
    0xC000 - Cannot understand
    0xB000 - Coercion of data elements
    0xB006 - Elements discarded
    0xB007 - Data set does not match SOP class
    query (C.4.1)
    0xA700 - Out of resources
    0xA900 - Identifier does not match SOP class
    0xC000 - Unable to process
    0xFE00 - Matching terminated by a cancel request
    0xFF00 - Matches are continuing
    0xFF01 - Matches are continuing; optional keys are not supported
    0xA710 INVALID_PRIOR_RECORD_KEY Invalid prior record key
    0xB001 MATCHING_REACHED_RESPONSE_LIMIT Response limit reached, a subsequent request may return more matches
    retrieve (C.4.2, C.4.3)
    0xA701 - Out of resources: unable to calculate number of matches
    0xA702 - Out of resources: unable to perform sub-operations
    0xA801 - Move destination unknown
    0xA900 - Identifier does not match SOP class
    0xAA00 FRAMES_NOT_FOUND None of the frames requested were found in the SOP instance
    0xAA01 UNABLE_TO_CREATE_OBJECT Unable to create new object for this SOP class
    0xAA02 UNABLE_TO_EXTRACT_FRAMES Unable to extract frames
    0xAA03 NOT_TIME_BASED Time-based request received for a non-time-based original SOP instance
    0xAA04 INVALID_REQUEST Invalid request
    0xB000 - Sub-operations complete with one or more failures
    0xC000 - Unable to process
    0xFE00 - Sub-operations terminated by a cancel request
    0xFF00 - Sub-operations are continuing
    mpps (F.7.2, F.8.2)
    0x0001 - Requested optional attributes are not supported
    0x0110 - Processing failure; a performed procedure step that has ended may no longer be updated
    commitment (J.3, PS3.3 C.14)
    0x0110 - Processing failure
    0x0112 - No such SOP instance
    0x0119 - Class-instance conflict
    0x0122 - Referenced SOP class not supported
    0x0131 DUPLICATE_TRANSACTION_UID Duplicate transaction UID
    0x0213 - Resource limitation
    print (H.4)
    0xB600 MEMORY_ALLOCATION_NOT_SUPPORTED Memory allocation not supported
    0xB601 FILM_SESSION_PRINTING_NOT_SUPPORTED Film session printing is not supported
    0xB602 FILM_SESSION_EMPTY_PAGE Film session contains no image boxes (empty page)
    0xB603 FILM_BOX_EMPTY_PAGE Film box contains no image boxes (empty page)
    0xB604 IMAGE_DEMAGNIFIED Image size is larger than image box size, the image has been demagnified
    0xB605 DENSITY_OUT_OF_RANGE Requested minimum or maximum density is outside the printer's operating range
    0xB609 IMAGE_CROPPED Image size is larger than image box size, the image has been cropped to fit
    0xB60A IMAGE_DECIMATED Image or combined print image is larger than the image box, it has been decimated to fit
    0xC600 FILM_SESSION_WITHOUT_FILM_BOXES Film session contains no film boxes
    0xC601 FILM_SESSION_PRINT_QUEUE_FULL Unable to create print job: print queue is full
    0xC602 FILM_BOX_PRINT_QUEUE_FULL Unable to create print job: print queue is full
    0xC603 IMAGE_LARGER_THAN_IMAGE_BOX Image size is larger than image box size
    0xC605 INSUFFICIENT_PRINTER_MEMORY Insufficient memory in printer to store the image
    0xC613 COMBINED_IMAGE_LARGER_THAN_IMAGE_BOX Combined print image size is larger than image box size
    0xC616 FILM_BOX_NOT_PRINTED There is an existing film box that has not been printed
    media creation (S.3.2)
    0xA510 MEDIA_CREATION_ALREADY_INITIATED An initiate media creation action has already been received
    0xC201 MEDIA_CREATION_COMPLETED Media creation request already completed
    0xC202 MEDIA_CREATION_IN_PROGRESS Media creation request already in progress and cannot be interrupted
    0xC203 MEDIA_CREATION_CANCELLATION_DENIED Cancellation denied for unspecified reason
    logging (P.2, P.3)
    0xB101 SYNCHRONIZATION_FRAME_MISMATCH Specified synchronization frame of reference UID does not match SCP's
    0xB102 STUDY_INSTANCE_UID_COERCION Study instance UID coercion: event logged under a different study instance UID
    0xB104 IDS_INCONSISTENT_WARNING IDs inconsistent in matching a current study: event logged
    0xC101 PROCEDURAL_LOGGING_NOT_AVAILABLE Procedural logging not available for specified study instance UID
    0xC102 EVENT_DOES_NOT_MATCH_TEMPLATE Event information does not match template
    0xC103 EVENT_WITHOUT_CURRENT_STUDY Cannot match event to a current study
    0xC104 IDS_INCONSISTENT IDs inconsistent in matching a current study: event not logged
    0xC10E OPERATOR_NOT_AUTHORIZED Operator not authorized to add entry to medication administration record
    0xC110 PATIENT_NOT_IDENTIFIED Patient cannot be identified from patient ID or admission ID
    0xC111 MEDICATION_RECORD_UPDATE_FAILED Update of medication administration record failed
    relevant patient (Q.2)
    0xC100 MORE_THAN_ONE_MATCH More than one match found
    0xC200 TEMPLATE_NOT_SUPPORTED Unable to support requested template
    ups (CC.2)
    0xB300 UPS_CREATED_WITH_MODIFICATIONS The UPS was created with modifications
    0xB301 UPS_DELETION_LOCK_NOT_GRANTED Deletion lock not granted
    0xB304 UPS_ALREADY_CANCELED_WARNING The UPS is already in the requested state of CANCELED
    0xB305 UPS_VALUES_COERCED Coerced invalid values to valid values
    0xB306 UPS_ALREADY_COMPLETED_WARNING The UPS is already in the requested state of COMPLETED
    0xC300 UPS_MAY_NO_LONGER_BE_UPDATED The UPS may no longer be updated
    0xC301 UPS_TRANSACTION_UID_NOT_CORRECT The correct transaction UID was not provided
    0xC302 UPS_ALREADY_IN_PROGRESS The UPS is already IN PROGRESS
    0xC303 UPS_SCHEDULED_ONLY_BY_CREATE The UPS may only become SCHEDULED via N-CREATE
    0xC304 UPS_FINAL_STATE_REQUIREMENTS_NOT_MET The UPS has not met the final state requirements of the change
    0xC307 UPS_NOT_FOUND Specified SOP instance UID does not exist or is not a UPS instance managed by this SCP
    0xC308 UPS_RECEIVING_AE_UNKNOWN Receiving AE-TITLE is unknown to this SCP
    0xC309 UPS_NOT_CREATED_SCHEDULED The provided value of UPS state was not SCHEDULED
    0xC310 UPS_NOT_IN_PROGRESS The UPS is not yet in the IN PROGRESS state
    0xC311 UPS_ALREADY_COMPLETED The UPS is already COMPLETED
    0xC312 UPS_PERFORMER_NOT_CONTACTED The performer cannot be contacted
    0xC313 UPS_PERFORMER_DECLINES_TO_CANCEL Performer chooses not to cancel
    0xC314 UPS_ACTION_NOT_APPROPRIATE Specified action not appropriate for specified instance
    0xC315 UPS_EVENT_REPORTS_NOT_SUPPORTED SCP does not support event reports
    rt machine verification (DD.3)
    0xC112 MACHINE_VERIFICATION_NOT_FOUND Applicable machine verification instance not found
    0xC221 FRACTION_GROUP_NOT_FOUND The referenced fraction group number does not exist in the referenced plan
    0xC222 FRACTION_GROUP_WITHOUT_BEAMS No beams exist within the referenced fraction group
    0xC223 ALREADY_VERIFYING SCU already verifying and cannot currently process this request
    0xC224 BEAM_NOT_FOUND Referenced beam number not found within the referenced fraction group
    0xC225 DEVICE_NOT_SUPPORTED Referenced device or accessory not supported
    0xC226 DEVICE_NOT_FOUND Referenced device or accessory not found within the referenced beam
    0xC227 NO_SUCH_OBJECT_INSTANCE No such object instance
    storage management (KK.2)
    0xB010 KEY_ATTRIBUTES_NOT_SUPPORTED One or more key attributes are not supported for matching
"""

# PS3.7 Annex C: what is neither of these is a failure.
WARNINGS = (0x0001, 0x0107, 0x0116)
PENDING = (0xFF00, 0xFF01)
# Codes whose last digits are the implementation's own, by the digits that count.
RANGES: Mapping[int, int] = {0xA700: 0xFF00, 0xA900: 0xFF00, 0xC000: 0xF000}


class Status(int):
    """A status code: any 16-bit value; those of PS3.7 Annex C and PS3.4 have names and words.

    ```python
    Status.OUT_OF_RESOURCES, Status(0xA700).category, str(Status(0xA700))   # '0xA700 Out of resources'
    ```

    Raises:
        ValueError: the value does not fit 16 bits.
    """

    __slots__ = ()

    SUCCESS: ClassVar["Status"]
    REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: ClassVar["Status"]
    NO_SUCH_ATTRIBUTE: ClassVar["Status"]
    INVALID_ATTRIBUTE_VALUE: ClassVar["Status"]
    ATTRIBUTE_LIST_ERROR: ClassVar["Status"]
    PROCESSING_FAILURE: ClassVar["Status"]
    DUPLICATE_SOP_INSTANCE: ClassVar["Status"]
    NO_SUCH_SOP_INSTANCE: ClassVar["Status"]
    NO_SUCH_EVENT_TYPE: ClassVar["Status"]
    NO_SUCH_ARGUMENT: ClassVar["Status"]
    INVALID_ARGUMENT_VALUE: ClassVar["Status"]
    ATTRIBUTE_VALUE_OUT_OF_RANGE: ClassVar["Status"]
    INVALID_SOP_INSTANCE: ClassVar["Status"]
    NO_SUCH_SOP_CLASS: ClassVar["Status"]
    CLASS_INSTANCE_CONFLICT: ClassVar["Status"]
    MISSING_ATTRIBUTE: ClassVar["Status"]
    MISSING_ATTRIBUTE_VALUE: ClassVar["Status"]
    SOP_CLASS_NOT_SUPPORTED: ClassVar["Status"]
    NO_SUCH_ACTION_TYPE: ClassVar["Status"]
    NOT_AUTHORIZED: ClassVar["Status"]
    DUPLICATE_INVOCATION: ClassVar["Status"]
    UNRECOGNIZED_OPERATION: ClassVar["Status"]
    MISTYPED_ARGUMENT: ClassVar["Status"]
    RESOURCE_LIMITATION: ClassVar["Status"]
    OUT_OF_RESOURCES: ClassVar["Status"]
    OUT_OF_RESOURCES_MATCHES: ClassVar["Status"]
    OUT_OF_RESOURCES_SUBOPERATIONS: ClassVar["Status"]
    MOVE_DESTINATION_UNKNOWN: ClassVar["Status"]
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS: ClassVar["Status"]
    COERCION_OF_DATA_ELEMENTS: ClassVar["Status"]
    ELEMENTS_DISCARDED: ClassVar["Status"]
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING: ClassVar["Status"]
    CANNOT_UNDERSTAND: ClassVar["Status"]
    CANCEL: ClassVar["Status"]
    PENDING: ClassVar["Status"]
    PENDING_WARNING: ClassVar["Status"]
    INVALID_PRIOR_RECORD_KEY: ClassVar["Status"]
    MATCHING_REACHED_RESPONSE_LIMIT: ClassVar["Status"]
    FRAMES_NOT_FOUND: ClassVar["Status"]
    UNABLE_TO_CREATE_OBJECT: ClassVar["Status"]
    UNABLE_TO_EXTRACT_FRAMES: ClassVar["Status"]
    NOT_TIME_BASED: ClassVar["Status"]
    INVALID_REQUEST: ClassVar["Status"]
    DUPLICATE_TRANSACTION_UID: ClassVar["Status"]
    MEMORY_ALLOCATION_NOT_SUPPORTED: ClassVar["Status"]
    FILM_SESSION_PRINTING_NOT_SUPPORTED: ClassVar["Status"]
    FILM_SESSION_EMPTY_PAGE: ClassVar["Status"]
    FILM_BOX_EMPTY_PAGE: ClassVar["Status"]
    IMAGE_DEMAGNIFIED: ClassVar["Status"]
    DENSITY_OUT_OF_RANGE: ClassVar["Status"]
    IMAGE_CROPPED: ClassVar["Status"]
    IMAGE_DECIMATED: ClassVar["Status"]
    FILM_SESSION_WITHOUT_FILM_BOXES: ClassVar["Status"]
    FILM_SESSION_PRINT_QUEUE_FULL: ClassVar["Status"]
    FILM_BOX_PRINT_QUEUE_FULL: ClassVar["Status"]
    IMAGE_LARGER_THAN_IMAGE_BOX: ClassVar["Status"]
    INSUFFICIENT_PRINTER_MEMORY: ClassVar["Status"]
    COMBINED_IMAGE_LARGER_THAN_IMAGE_BOX: ClassVar["Status"]
    FILM_BOX_NOT_PRINTED: ClassVar["Status"]
    MEDIA_CREATION_ALREADY_INITIATED: ClassVar["Status"]
    MEDIA_CREATION_COMPLETED: ClassVar["Status"]
    MEDIA_CREATION_IN_PROGRESS: ClassVar["Status"]
    MEDIA_CREATION_CANCELLATION_DENIED: ClassVar["Status"]
    SYNCHRONIZATION_FRAME_MISMATCH: ClassVar["Status"]
    STUDY_INSTANCE_UID_COERCION: ClassVar["Status"]
    IDS_INCONSISTENT_WARNING: ClassVar["Status"]
    PROCEDURAL_LOGGING_NOT_AVAILABLE: ClassVar["Status"]
    EVENT_DOES_NOT_MATCH_TEMPLATE: ClassVar["Status"]
    EVENT_WITHOUT_CURRENT_STUDY: ClassVar["Status"]
    IDS_INCONSISTENT: ClassVar["Status"]
    OPERATOR_NOT_AUTHORIZED: ClassVar["Status"]
    PATIENT_NOT_IDENTIFIED: ClassVar["Status"]
    MEDICATION_RECORD_UPDATE_FAILED: ClassVar["Status"]
    MORE_THAN_ONE_MATCH: ClassVar["Status"]
    TEMPLATE_NOT_SUPPORTED: ClassVar["Status"]
    UPS_CREATED_WITH_MODIFICATIONS: ClassVar["Status"]
    UPS_DELETION_LOCK_NOT_GRANTED: ClassVar["Status"]
    UPS_ALREADY_CANCELED_WARNING: ClassVar["Status"]
    UPS_VALUES_COERCED: ClassVar["Status"]
    UPS_ALREADY_COMPLETED_WARNING: ClassVar["Status"]
    UPS_MAY_NO_LONGER_BE_UPDATED: ClassVar["Status"]
    UPS_TRANSACTION_UID_NOT_CORRECT: ClassVar["Status"]
    UPS_ALREADY_IN_PROGRESS: ClassVar["Status"]
    UPS_SCHEDULED_ONLY_BY_CREATE: ClassVar["Status"]
    UPS_FINAL_STATE_REQUIREMENTS_NOT_MET: ClassVar["Status"]
    UPS_NOT_FOUND: ClassVar["Status"]
    UPS_RECEIVING_AE_UNKNOWN: ClassVar["Status"]
    UPS_NOT_CREATED_SCHEDULED: ClassVar["Status"]
    UPS_NOT_IN_PROGRESS: ClassVar["Status"]
    UPS_ALREADY_COMPLETED: ClassVar["Status"]
    UPS_PERFORMER_NOT_CONTACTED: ClassVar["Status"]
    UPS_PERFORMER_DECLINES_TO_CANCEL: ClassVar["Status"]
    UPS_ACTION_NOT_APPROPRIATE: ClassVar["Status"]
    UPS_EVENT_REPORTS_NOT_SUPPORTED: ClassVar["Status"]
    MACHINE_VERIFICATION_NOT_FOUND: ClassVar["Status"]
    FRACTION_GROUP_NOT_FOUND: ClassVar["Status"]
    FRACTION_GROUP_WITHOUT_BEAMS: ClassVar["Status"]
    ALREADY_VERIFYING: ClassVar["Status"]
    BEAM_NOT_FOUND: ClassVar["Status"]
    DEVICE_NOT_SUPPORTED: ClassVar["Status"]
    DEVICE_NOT_FOUND: ClassVar["Status"]
    NO_SUCH_OBJECT_INSTANCE: ClassVar["Status"]
    KEY_ATTRIBUTES_NOT_SUPPORTED: ClassVar["Status"]

    def __new__(cls, value: int) -> "Status":
        if not 0 <= value <= 0xFFFF:
            raise ValueError(f"a status is a number from 0 to 0xFFFF, not {value}")
        return super().__new__(cls, value)

    @property
    def category(self) -> str:
        """`"Success"`, `"Pending"`, `"Cancel"`, `"Warning"` or `"Failure"` (PS3.7 Annex C)."""
        if self == 0:
            return "Success"
        if self in PENDING:
            return "Pending"
        if self == 0xFE00:
            return "Cancel"
        return "Warning" if self in WARNINGS or self >> 12 == 0xB else "Failure"

    @property
    def is_success(self) -> bool:
        """Whether the operation was performed."""
        return self == 0

    @property
    def is_pending(self) -> bool:
        """Whether more responses follow."""
        return self.category == "Pending"

    @property
    def is_cancel(self) -> bool:
        """Whether the operation was ended by a C-CANCEL."""
        return self.category == "Cancel"

    @property
    def is_warning(self) -> bool:
        """Whether the operation was performed, but with something to tell."""
        return self.category == "Warning"

    @property
    def is_failure(self) -> bool:
        """Whether the operation was not performed."""
        return self.category == "Failure"

    @property
    def meaning(self) -> str:
        """What it means, in words; of a code that one service class alone defines, with that service class."""
        return MEANINGS.get(self) or ELSEWHERE.get(self) or self.meaning_for("")

    def meaning_for(self, service: str) -> str:
        """What it means in a service class.

        Args:
            service: `"storage"`, `"query"`, `"retrieve"`, `"print"`, `"ups"` …, a key of `SERVICE_MEANINGS`.
        """
        codes = (int(self), *(start for start, mask in RANGES.items() if self & mask == start))
        for meanings in (SERVICE_MEANINGS.get(service, {}), MEANINGS):
            for code in codes:
                if code in meanings:
                    return meanings[code]
        return f"{self.category} of no standard meaning"

    def __str__(self) -> str:
        return f"0x{int(self):04X} {self.meaning}"

    def __repr__(self) -> str:
        return f"<Status 0x{int(self):04X} {self.category}: {self.meaning}>"


def read_line(line: str) -> tuple[int, str]:
    """Gives `Status` the name that stands in a line of a table, and returns the code and its meaning."""
    code, name, words = line.split(maxsplit=2)
    if name != "-":
        setattr(Status, name, Status(int(code, 16)))
    return int(code, 16), words


def read_service_table() -> dict[str, dict[int, str]]:
    """The meanings of statuses by service class."""
    services: dict[str, dict[int, str]] = {}
    meanings: dict[int, str] = {}
    for line in SERVICE_TABLE.strip().splitlines():
        if "0x" in line:
            code, words = read_line(line)
            meanings[code] = words
        else:
            meanings = services[line.partition("(")[0].strip()] = {}
    return services


MEANINGS: Mapping[int, str] = dict(read_line(line) for line in TABLE.strip().splitlines())
SERVICE_MEANINGS: Mapping[str, Mapping[int, str]] = read_service_table()
ELSEWHERE: Mapping[int, str] = {
    code: f"{words} ({service})" for service, meanings in SERVICE_MEANINGS.items() for code, words in meanings.items()
}
