"""Status codes of DIMSE responses (PS3.7 Annex C, PS3.4)."""

from collections.abc import Mapping
from typing import ClassVar

__all__ = ["MEANINGS", "SERVICE_MEANINGS", "Status"]

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

# What codes mean in one service class only, or other than elsewhere (the annexes of PS3.4 in brackets).
SERVICE_TABLE = """
    storage (B.2.3)
    0xA700 Out of resources
    0xA900 Data set does not match SOP class
    0xC000 Cannot understand
    0xB000 Coercion of data elements
    0xB006 Elements discarded
    0xB007 Data set does not match SOP class
    query (C.4.1)
    0xA700 Out of resources
    0xA900 Identifier does not match SOP class
    0xC000 Unable to process
    0xFE00 Matching terminated by a cancel request
    0xFF00 Matches are continuing
    0xFF01 Matches are continuing; optional keys are not supported
    retrieve (C.4.2, C.4.3)
    0xA701 Out of resources: unable to calculate number of matches
    0xA702 Out of resources: unable to perform sub-operations
    0xA801 Move destination unknown
    0xA900 Identifier does not match SOP class
    0xAA00 None of the frames requested were found in the SOP instance
    0xAA01 Unable to create new object for this SOP class
    0xAA02 Unable to extract frames
    0xAA03 Time-based request received for a non-time-based original SOP instance
    0xAA04 Invalid request
    0xB000 Sub-operations complete with one or more failures
    0xC000 Unable to process
    0xFE00 Sub-operations terminated by a cancel request
    0xFF00 Sub-operations are continuing
    mpps (F.7.2, F.8.2)
    0x0001 Requested optional attributes are not supported
    0x0110 Performed procedure step object may no longer be updated
    print (H.4)
    0xB600 Memory allocation not supported
    0xB601 Film session printing is not supported
    0xB602 Film session contains no image boxes (empty page)
    0xB603 Film box contains no image boxes (empty page)
    0xB604 Image size is larger than image box size, the image has been demagnified
    0xB605 Requested minimum or maximum density is outside the printer's operating range
    0xB609 Image size is larger than image box size, the image has been cropped to fit
    0xB60A Image size or combined print image size is larger than image box size, the image has been decimated to fit
    0xC600 Film session contains no film boxes
    0xC601 Unable to create print job: print queue is full
    0xC602 Unable to create print job: print queue is full
    0xC603 Image size is larger than image box size
    0xC605 Insufficient memory in printer to store the image
    0xC613 Combined print image size is larger than image box size
    0xC616 There is an existing film box that has not been printed
    media creation (S.3.2)
    0xA510 An initiate media creation action is being processed
    0xC201 Media creation request already completed
    0xC202 Media creation request already in progress and cannot be interrupted
    0xC203 Cancellation denied for unspecified reason
    logging (P.2, V.4)
    0xB101 Specified synchronization frame of reference UID does not match SCP's
    0xB102 Study instance UID coercion: event logged under a different study instance UID
    0xB104 IDs inconsistent in matching a current study: event logged
    0xC101 Procedural logging not available for specified study instance UID
    0xC102 Event information does not match template
    0xC103 Cannot match event to a current study
    0xC104 IDs inconsistent in matching a current study: event not logged
    0xC10E Operator not authorized to add entry to medication administration record
    0xC110 Patient cannot be identified from patient ID or admission ID
    0xC111 Update of medication administration record failed
    relevant patient (Q.2)
    0xC100 More than one match found
    0xC200 Unable to support requested template
    ups (CC.2)
    0xB300 The UPS was created with modifications
    0xB301 Deletion lock not granted
    0xB304 The UPS is already in the requested state of CANCELED
    0xB305 Coerced invalid values to valid values
    0xB306 The UPS is already in the requested state of COMPLETED
    0xC300 The UPS may no longer be updated
    0xC301 The correct transaction UID was not provided
    0xC302 The UPS is already IN PROGRESS
    0xC303 The UPS may only become SCHEDULED via N-CREATE
    0xC304 The UPS has not met final state requirements for the requested state change
    0xC307 Specified SOP instance UID does not exist or is not a UPS instance managed by this SCP
    0xC308 Receiving AE-TITLE is unknown to this SCP
    0xC309 The provided value of UPS state was not SCHEDULED
    0xC310 The UPS is not yet in the IN PROGRESS state
    0xC311 The UPS is already COMPLETED
    0xC312 The performer cannot be contacted
    0xC313 Performer chooses not to cancel
    0xC314 Specified action not appropriate for specified instance
    0xC315 SCP does not support event reports
    rt machine verification (DD.3)
    0xC112 Applicable machine verification instance not found
    0xC221 The referenced fraction group number does not exist in the referenced plan
    0xC222 No beams exist within the referenced fraction group
    0xC223 SCU already verifying and cannot currently process this request
    0xC224 Referenced beam number not found within the referenced fraction group
    0xC225 Referenced device or accessory not supported
    0xC226 Referenced device or accessory not found within the referenced beam
    0xC227 No such object instance
    storage management (KK.2)
    0xB010 Actual time of inventory completion differs from that requested
    0xC002 Inventory creation not supported with the requested parameters
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
        """What it means, in words."""
        return self.meaning_for("")

    def meaning_for(self, service: str) -> str:
        """What it means in a service class.

        Args:
            service: `"storage"`, `"query"`, `"retrieve"`, `"print"`, `"ups"` …, a key of `SERVICE_MEANINGS`.
        """
        words = SERVICE_MEANINGS.get(service, {})
        for code in (int(self), *(self & mask for start, mask in RANGES.items() if self & mask == start)):
            if code in words or code in MEANINGS:
                return words.get(code) or MEANINGS[code]
        return f"{self.category} of no standard meaning"

    def __str__(self) -> str:
        return f"0x{int(self):04X} {self.meaning}"

    def __repr__(self) -> str:
        return f"<Status 0x{int(self):04X} {self.category}: {self.meaning}>"


def read_table() -> dict[int, str]:
    """Makes the named statuses and returns their meanings."""
    meanings = {}
    for line in TABLE.strip().splitlines():
        code, name, words = line.split(maxsplit=2)
        setattr(Status, name, Status(int(code, 16)))
        meanings[int(code, 16)] = words
    return meanings


def read_service_table() -> dict[str, dict[int, str]]:
    """The meanings of statuses by service class."""
    services: dict[str, dict[int, str]] = {}
    words: dict[int, str] = {}
    for line in SERVICE_TABLE.strip().splitlines():
        head, _, rest = line.strip().partition(" ")
        if head.startswith("0x"):
            words[int(head, 16)] = rest
        else:
            words = services.setdefault(line.strip().partition(" (")[0], {})
    return services


MEANINGS: Mapping[int, str] = read_table()
SERVICE_MEANINGS: Mapping[str, Mapping[int, str]] = read_service_table()
