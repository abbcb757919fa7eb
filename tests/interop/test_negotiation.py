"""Extended negotiation, common extended negotiation and roles with pynetdicom (PS3.7 D.3.3.4 to D.3.3.6)."""

from pathlib import Path
from typing import Any

import pytest
from pynetdicom import build_role, evt
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation, SOPClassExtendedNegotiation

from dicomio import (
    Application,
    AssociationReleased,
    CommonExtendedNegotiation,
    FindRequest,
    QueryExtension,
    Role,
    StorageExtension,
    connect,
    query,
    serve,
    sop,
)
from dicomio.archive import Archive
from dicomio.extensions import Extension
from dicomio.sop import STUDY_ROOT, CTImageStorage, Verification
from tests.archive.objects import ct
from tests.interop.agreeing import pynetdicom_scp, pynetdicom_scu
from tests.interop.ours import HOST

pytestmark = pytest.mark.interop

FIND = str(STUDY_ROOT.find)
PRIVATE = "1.2.3.4.5"
STORAGE_SERVICE = "1.2.840.10008.4.2"

ROLES = [Role.SCU, Role.SCP, Role.BOTH]


def extended(uid: str, information: bytes) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = uid
    item.service_class_application_information = information
    return item


# SOP class extended negotiation


@pytest.mark.parametrize(
    "proposed, answered",
    [
        (b"\x01", b"\x01"),
        (b"\x01\x01", b"\x01\x00"),
        (b"\x00\x00\x01", b"\x00\x00\x01"),
        (b"\x01\x01\x01\x01\x01", b"\x01\x00\x01\x00\x00"),
        (b"\x01\x02\x01\xff\x01", b"\x01\x00\x01\x00\x00"),
        (b"\x01\x01\x01\x01\x01\x01", b"\x01\x00\x01\x00\x00\x00"),
        (b"\x01" * 9, b"\x01\x00\x01\x00\x00\x00\x00"),
    ],
)
async def test_pynetdicom_proposes_queries_beyond_the_baseline(proposed: bytes, answered: bytes) -> None:
    app = Application("ARCHIVE")
    seen = []

    @app.find(STUDY_ROOT)
    async def find(request: FindRequest) -> list[dict[str, str]]:
        seen.append(request.extension)
        return []

    app.extend(STUDY_ROOT, QueryExtension(relational=True, fuzzy=True))
    async with serve(app, HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            FIND,
            ext_neg=[extended(FIND, proposed)],
            use=lambda association: (
                [status.Status for status, _ in association.send_c_find(query("STUDY", StudyInstanceUID=""), FIND)],
                association.acceptor.sop_class_extended,
            ),
        )
    assert found == ([0], {FIND: answered})
    assert seen == [QueryExtension.decode(answered)]


@pytest.mark.parametrize(
    "proposed, answered, found",
    [
        (None, None, [0xA900]),
        (b"\x01", b"\x01", [0xFF00, 0xFF00, 0]),
        (b"\x00", b"\x00", [0xA900]),
        (b"\x01\x01\x01\x01\x01", b"\x01\x01\x01\x01\x00", [0xFF00, 0xFF00, 0]),
        (b"\x00\x00\x01", b"\x00\x00\x01", [0xA900]),
    ],
)
async def test_pynetdicom_queries_the_archive_as_was_agreed_on(
    tmp_path: Path, proposed: bytes | None, answered: bytes | None, found: list[int]
) -> None:
    archive = Archive(tmp_path, fsync=False)
    images = query("IMAGE", SOPInstanceUID="", PatientName="")
    async with serve(archive.app, HOST, 0) as server:
        for number in (1, 2):
            await archive.add(ct(number))
        statuses, agreed = await pynetdicom_scu(
            server.port,
            FIND,
            ext_neg=[extended(FIND, proposed)] if proposed is not None else [],
            use=lambda association: (
                [status.Status for status, _ in association.send_c_find(images, FIND)],
                association.acceptor.sop_class_extended,
            ),
        )
    assert (statuses, agreed) == (found, {FIND: answered} if answered is not None else {})


async def test_pynetdicom_proposes_what_is_not_known_here() -> None:
    app = Application("ARCHIVE")
    async with serve(app, HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            Verification,
            ext_neg=[extended(Verification, b"anything")],
            use=lambda association: association.acceptor.sop_class_extended,
        )
    assert found == {}


async def test_pynetdicom_is_told_what_storage_does_with_objects() -> None:
    app = Application("ARCHIVE")
    app.store(CTImageStorage)(lambda request: None)
    app.extend(CTImageStorage, StorageExtension(level=1, signatures=2, coercion=1))
    async with serve(app, HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            CTImageStorage,
            ext_neg=[extended(CTImageStorage, StorageExtension().encode())],
            use=lambda association: association.acceptor.sop_class_extended,
        )
    assert found == {CTImageStorage: b"\x01\x00\x02\x00\x01\x00"}


async def test_we_propose_queries_beyond_the_baseline() -> None:
    seen: list[dict[str, bytes]] = []

    def answer(event: Any) -> dict[str, bytes]:
        seen.append(dict(event.app_info))
        return {FIND: b"\x01\x00\x00"}

    wanted: dict[str, bytes | Extension] = {
        FIND: QueryExtension(relational=True, fuzzy=True),
        Verification: b"anything",
    }
    handlers = [(evt.EVT_SOP_EXTENDED, answer)]
    async with (
        pynetdicom_scp(FIND, Verification, handlers=handlers) as address,
        connect(address, contexts=[FIND, Verification], extended=wanted) as association,
    ):
        assert association.agreement is not None
        assert association.agreement.extended == {FIND: b"\x01\x00\x00"}
        assert QueryExtension.decode(association.agreement.extended[FIND]) == QueryExtension(relational=True)
        assert list(association.quirks) == []
    assert seen == [{FIND: b"\x01\x00\x01", Verification: b"anything"}]


# SOP class common extended negotiation


def common(uid: str, *related: str) -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid, item.service_class_uid = uid, STORAGE_SERVICE
    item.related_general_sop_class_identification = list(related)
    return item


@pytest.mark.parametrize(
    "items, accepted",
    [
        ([], [CTImageStorage]),
        ([common(PRIVATE, sop.MRImageStorage)], [CTImageStorage]),
        ([common(PRIVATE, sop.MRImageStorage, CTImageStorage)], [CTImageStorage, PRIVATE]),
    ],
)
async def test_pynetdicom_says_that_a_sop_class_is_a_special_case(
    items: list[SOPClassCommonExtendedNegotiation], accepted: list[str]
) -> None:
    app = Application("ARCHIVE")
    app.store(CTImageStorage)(lambda request: None)
    async with serve(app, HOST, 0) as server:
        found = await pynetdicom_scu(
            server.port,
            CTImageStorage,
            PRIVATE,
            ext_neg=items,
            use=lambda association: [context.abstract_syntax for context in association.accepted_contexts],
        )
    assert found == accepted


async def test_we_say_that_a_sop_class_is_a_special_case() -> None:
    seen: list[Any] = []

    def look(event: Any) -> dict[str, Any]:
        seen.extend(
            (uid, item.service_class_uid, list(item.related_general_sop_class_identification))
            for uid, item in event.items.items()
        )
        return dict(event.items)

    related = CommonExtendedNegotiation(PRIVATE, STORAGE_SERVICE, (sop.MRImageStorage, CTImageStorage))
    async with (
        pynetdicom_scp(PRIVATE, Verification, handlers=[(evt.EVT_SOP_COMMON, look)]) as address,
        connect(address, contexts=[PRIVATE, Verification], common_extended=[related]) as association,
    ):
        assert len(association.contexts) == 2
        assert await association.echo() > 0
    assert seen == [(PRIVATE, STORAGE_SERVICE, [sop.MRImageStorage, CTImageStorage])]


# roles


@pytest.mark.parametrize("supported", ROLES)
@pytest.mark.parametrize("proposed", [Role.SCP, Role.BOTH])
async def test_pynetdicom_grants_roles(proposed: Role, supported: Role) -> None:
    """Where the role of an SCU is all that is wanted there is nothing to propose, and nothing to grant."""
    contexts, roles = [CTImageStorage, Verification], {CTImageStorage: proposed}
    async with (
        pynetdicom_scp(Verification, roles={CTImageStorage: supported}) as address,
        connect(address, contexts=contexts, roles=roles) as association,
    ):
        found = [each.role for each in association.contexts.values() if each.abstract_syntax == CTImageStorage]
    granted = proposed & supported
    assert found == ([granted] if granted else [])


def role_of(association: Any) -> list[tuple[bool, bool]]:
    """What pynetdicom may do for CT images: as SCU, as SCP."""
    return [
        (each.as_scu, each.as_scp) for each in association.accepted_contexts if each.abstract_syntax == CTImageStorage
    ]


@pytest.mark.parametrize("proposed", ROLES)
@pytest.mark.parametrize("supported", [Role.SCU, Role.BOTH])
async def test_pynetdicom_is_granted_roles(proposed: Role, supported: Role) -> None:
    """Whoever stores gives the role of an SCU; who sends objects by C-GET, that of an SCP too."""
    app = Application("ARCHIVE")
    app.store(CTImageStorage)(lambda request: None)
    if supported is Role.BOTH:
        app.get(STUDY_ROOT)(lambda request: [])
    ended: list[Exception | None] = []
    app.on_close(lambda association: ended.append(association.ended))
    role = build_role(CTImageStorage, scu_role=Role.SCU in proposed, scp_role=Role.SCP in proposed)
    async with serve(app, HOST, 0) as server:
        found = await pynetdicom_scu(server.port, CTImageStorage, Verification, ext_neg=[role], use=role_of)
    granted = proposed & supported
    assert found == ([(Role.SCU in granted, Role.SCP in granted)] if granted else [])
    assert [type(reason) for reason in ended] == [AssociationReleased]
