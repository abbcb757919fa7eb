"""What a client negotiates for the associations that it opens by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dicomio import (
    STUDY_ROOT,
    Application,
    Client,
    CommonExtendedNegotiation,
    PresentationContext,
    Proposal,
    Role,
    StorageExtension,
    StoreRequest,
    query,
    serve,
    sop,
)
from tests.association.peers import CT, instance

PRIVATE = "1.2.3.4.5"
RELATED = CommonExtendedNegotiation(PRIVATE, "1.2.840.10008.4.2", (sop.CTImageStorage,))


class Listener:
    """An application that notes what is proposed to it.

    Args:
        kept: the SOP class that can be stored.

    Attributes:
        proposals: as they came.
        stored: SOP class of each object that was stored.
    """

    def __init__(self, kept: str = "*") -> None:
        self.app = Application("APP")
        self.app.on_associate(self.note)
        self.app.store(kept)(self.store)
        self.app.get(STUDY_ROOT)(lambda request: [instance()])
        self.proposals: list[Proposal] = []
        self.stored: list[str] = []

    async def note(self, proposal: Proposal) -> None:
        self.proposals.append(proposal)

    async def store(self, request: StoreRequest) -> None:
        await request.read()
        self.stored.append(request.sop_class_uid)

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        """A client of it; what it proposes has to make sense as a whole."""
        async with serve(self.app, "127.0.0.1", 0) as server:
            async with Client(f"APP@127.0.0.1:{server.port}", **options) as client:
                yield client
            assert [list(proposal.association.quirks) for proposal in self.proposals] == [[]] * len(self.proposals)


def roles(proposal: Proposal) -> dict[str, tuple[bool, bool]]:
    return {item.sop_class_uid: (item.scu, item.scp) for item in proposal.pdu.user.roles}


@pytest.mark.parametrize(
    "wanted, proposed",
    [
        ({}, {}),
        ({sop.CTImageStorage: Role.SCU}, {}),
        ({sop.CTImageStorage: Role.SCP}, {sop.CTImageStorage: (True, True)}),
        ({sop.CTImageStorage: Role.BOTH, sop.MRImageStorage: Role.SCP}, {sop.CTImageStorage: (True, True)}),
    ],
)
async def test_roles_are_added_to_that_which_a_request_needs(
    wanted: dict[str, Role], proposed: dict[str, tuple[bool, bool]]
) -> None:
    listener = Listener()
    async with listener.client(roles=wanted) as client:
        assert (await client.store(instance())).status == 0
        assert [roles(proposal) for proposal in listener.proposals] == [proposed]


async def test_objects_come_by_c_get_whatever_other_role_is_wanted() -> None:
    listener = Listener()
    async with listener.client(roles={sop.CTImageStorage: Role.SCU}) as client:
        keys = query("STUDY", StudyInstanceUID="1.2")
        async with client.get(keys, storage=[sop.CTImageStorage]) as objects:
            assert [len(await request.read()) async for request in objects] == [1000]
        assert roles(listener.proposals[0]) == {sop.CTImageStorage: (True, True)}


async def test_an_association_is_told_what_is_about_its_sop_classes() -> None:
    listener = Listener()
    listener.app.extend(sop.CTImageStorage, StorageExtension(level=1))
    extended = {sop.CTImageStorage: StorageExtension(), PRIVATE: b"of ours"}
    async with listener.client(extended=extended, common_extended=[RELATED]) as client:
        await client.echo()
        async with client.reserve([CT]) as provider:
            assert provider.agreement is not None
            assert provider.agreement.extended == {sop.CTImageStorage: StorageExtension(level=1).encode()}
        async with client.reserve([PresentationContext(PRIVATE)]):
            users = [proposal.pdu.user for proposal in listener.proposals]
    assert [[item.sop_class_uid for item in user.extended] for user in users] == [
        [],
        [sop.CTImageStorage],
        [sop.CTImageStorage, PRIVATE],
    ]
    assert [user.common_extended for user in users] == [(), (), (RELATED,)]


async def test_a_special_case_is_served_as_what_it_is_a_case_of() -> None:
    listener = Listener(sop.CTImageStorage)
    async with listener.client(common_extended=[RELATED]) as client:
        assert (await client.store(instance(sop_class=PRIVATE))).status == 0
    assert listener.stored == [PRIVATE]


async def test_what_is_no_uid_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="'CT' is not a UID"):
        Client("APP@127.0.0.1", roles={"CT": Role.SCP})
