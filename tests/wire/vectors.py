"""PDUs byte by byte, as the tables of PS3.8 9.3 lay them out, beside what they say."""

from dicomio.wire.items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    PresentationContextAC,
    PresentationContextRQ,
    RoleSelection,
    UserIdentityRQ,
    UserInformation,
)
from dicomio.wire.pdus import (
    PDU,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    DataTF,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
)

__all__ = ["ASSOCIATE_AC", "ASSOCIATE_RQ", "VECTORS"]

ASSOCIATE_RQ = (
    b"\x01\x00\x00\x00\x01\x28"  # PDU-type, reserved, PDU-length 296
    b"\x00\x01\x00\x00"  # Protocol-version, reserved
    b"ARCHIVE         "  # Called-AE-title
    b"MODALITY        "  # Calling-AE-title
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  # reserved
    b"\x10\x00\x00\x151.2.840.10008.3.1.1.1"  # Application Context Item
    b"\x20\x00\x00\x2e\x01\x00\x00\x00"  # Presentation Context Item, ID 1
    b"\x30\x00\x00\x111.2.840.10008.1.1"
    b"\x40\x00\x00\x111.2.840.10008.1.2"
    b"\x20\x00\x00\x2c\x03\x00\x00\x00"  # Presentation Context Item, ID 3
    b"\x30\x00\x00\x051.2.3"
    b"\x40\x00\x00\x131.2.840.10008.1.2.1"
    b"\x40\x00\x00\x041.25"
    b"\x50\x00\x00\x65"  # User Information Item
    b"\x51\x00\x00\x04\x00\x00\x40\x00"  # Maximum Length 16384
    b"\x52\x00\x00\x051.2.4"  # Implementation Class UID
    b"\x53\x00\x00\x04\x00\x08\x00\x00"  # Asynchronous Operations Window 8, 0
    b"\x54\x00\x00\x09\x00\x051.2.3\x01\x00"  # SCP/SCU Role Selection
    b"\x55\x00\x00\x05FIRST"  # Implementation Version Name
    b"\x56\x00\x00\x09\x00\x051.2.3\x01\x00"  # SOP Class Extended Negotiation
    b"\x57\x00\x00\x13\x00\x051.2.3\x00\x031.9\x00\x05\x00\x031.8"  # SOP Class Common Extended Negotiation
    b"\x58\x00\x00\x0e\x02\x01\x00\x04user\x00\x04pass"  # User Identity
)

ASSOCIATE_AC = (
    b"\x02\x00\x00\x00\x00\xb1"  # PDU-type, reserved, PDU-length 177
    b"\x00\x01\x00\x00"  # Protocol-version, reserved
    b"ARCHIVE         MODALITY        "  # reserved: as in the A-ASSOCIATE-RQ
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"  # reserved
    b"\x10\x00\x00\x151.2.840.10008.3.1.1.1"  # Application Context Item
    b"\x21\x00\x00\x19\x01\x00\x00\x00\x40\x00\x00\x111.2.840.10008.1.2"  # ID 1, acceptance
    b"\x21\x00\x00\x0c\x03\x00\x04\x00\x40\x00\x00\x041.25"  # ID 3, transfer-syntaxes-not-supported
    b"\x50\x00\x00\x23"  # User Information Item
    b"\x51\x00\x00\x04\x00\x01\x00\x00"  # Maximum Length 65536
    b"\x52\x00\x00\x051.2.5"  # Implementation Class UID
    b"\x53\x00\x00\x04\x00\x01\x00\x01"  # Asynchronous Operations Window 1, 1
    b"\x59\x00\x00\x06\x00\x04okay"  # User Identity
)

VECTORS: dict[str, tuple[bytes, PDU]] = {
    "A-ASSOCIATE-RQ": (
        ASSOCIATE_RQ,
        AssociateRQ(
            "ARCHIVE",
            "MODALITY",
            (
                PresentationContextRQ(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
                PresentationContextRQ(3, "1.2.3", ("1.2.840.10008.1.2.1", "1.25")),
            ),
            UserInformation(
                maximum_length=16384,
                implementation_class_uid="1.2.4",
                implementation_version_name="FIRST",
                async_window=AsyncOperationsWindow(8, 0),
                roles=(RoleSelection("1.2.3", True, False),),
                extended=(ExtendedNegotiation("1.2.3", b"\x01\x00"),),
                common_extended=(CommonExtendedNegotiation("1.2.3", "1.9", ("1.8",)),),
                user_identity=UserIdentityRQ(2, b"user", b"pass", True),
            ),
        ),
    ),
    "A-ASSOCIATE-AC": (
        ASSOCIATE_AC,
        AssociateAC(
            "ARCHIVE",
            "MODALITY",
            (PresentationContextAC(1, 0, "1.2.840.10008.1.2"), PresentationContextAC(3, 4, "1.25")),
            UserInformation(
                maximum_length=65536,
                implementation_class_uid="1.2.5",
                async_window=AsyncOperationsWindow(1, 1),
                user_identity_response=b"okay",
            ),
        ),
    ),
    "A-ASSOCIATE-RJ": (b"\x03\x00\x00\x00\x00\x04\x00\x01\x02\x03", AssociateRJ(1, 2, 3)),
    "P-DATA-TF": (
        b"\x04\x00\x00\x00\x00\x11\x00\x00\x00\x05\x01\x03abc\x00\x00\x00\x04\x03\x00de",
        DataTF((PresentationDataValue(1, 3, b"abc"), PresentationDataValue(3, 0, b"de"))),
    ),
    "P-DATA-TF with an empty fragment": (
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x02",
        DataTF((PresentationDataValue(1, 2, b""),)),
    ),
    "A-RELEASE-RQ": (b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00", ReleaseRQ()),
    "A-RELEASE-RP": (b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00", ReleaseRP()),
    "A-ABORT": (b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x06", Abort(2, 6)),
}
