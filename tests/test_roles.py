"""SCP/SCU role selection (PS3.7 D.3.3.4): every proposal, every acceptor, every answer, and who may do what then."""

from contextlib import suppress
from itertools import product

import pytest

from dicomio import (
    Application,
    EchoRequest,
    NoPresentationContext,
    PresentationContext,
    Status,
    StatusError,
    StoreRequest,
    sop,
)
from dicomio.config import Role
from dicomio.negotiation import Supported, accept, conclude
from dicomio.testing import connected
from dicomio.wire.items import PresentationContextAC, PresentationContextRQ, RoleSelection, UserInformation
from dicomio.wire.pdus import AssociateAC, AssociateRQ
from tests.association.peers import instance

CT = sop.CTImageStorage
IMPLICIT = sop.ImplicitVRLittleEndian
MAXIMUM = 16384

# "-" is no item, "none" an item with neither role; roles of the acceptor are its own.
ROLES = {"-": None, "none": Role(0), "SCU": Role.SCU, "SCP": Role.SCP, "both": Role.BOTH}
PROPOSALS = list(ROLES)
SUPPORTS = ["none", "SCU", "SCP", "both"]

# What is proposed for the requestor; what the acceptor supports; the item of its answer; what either may do then. Where
# nothing is left the context is refused, by the user (result 1).
MATRIX = """
-     none  -     refused refused
-     SCU   -     refused refused
-     SCP   -     SCU     SCP
-     both  -     SCU     SCP
none  none  -     refused refused
none  SCU   -     refused refused
none  SCP   -     SCU     SCP
none  both  -     SCU     SCP
SCU   none  -     refused refused
SCU   SCU   -     refused refused
SCU   SCP   SCU   SCU     SCP
SCU   both  SCU   SCU     SCP
SCP   none  -     refused refused
SCP   SCU   SCP   SCP     SCU
SCP   SCP   -     refused refused
SCP   both  SCP   SCP     SCU
both  none  -     refused refused
both  SCU   SCP   SCP     SCU
both  SCP   SCU   SCU     SCP
both  both  both  both    both
"""

# What is proposed, what an acceptor answers that goes by rules of its own, and what the requestor may do then.
ANSWERS = """
-     -     SCU   -
-     none  SCU   answered a role selection for {}, which was not proposed
-     SCU   SCU   answered a role selection for {}, which was not proposed
-     SCP   SCU   answered a role selection for {}, which was not proposed
-     both  SCU   answered a role selection for {}, which was not proposed
none  -     SCU   -
none  none  SCU   answered a role selection for {}, which was not proposed
none  SCU   SCU   answered a role selection for {}, which was not proposed
none  SCP   SCU   answered a role selection for {}, which was not proposed
none  both  SCU   answered a role selection for {}, which was not proposed
SCU   -     SCU   -
SCU   none  none  -
SCU   SCU   SCU   -
SCU   SCP   none  granted a role for {} that was not proposed
SCU   both  SCU   granted a role for {} that was not proposed
SCP   -     SCU   -
SCP   none  none  -
SCP   SCU   none  granted a role for {} that was not proposed
SCP   SCP   SCP   -
SCP   both  SCP   granted a role for {} that was not proposed
both  -     SCU   -
both  none  none  -
both  SCU   SCU   -
both  SCP   SCP   -
both  both  both  -
"""


def rows(table: str, columns: int) -> list[list[str]]:
    """A table, without its empty lines; the last column may have spaces in it."""
    return [line.split(maxsplit=columns - 1) for line in table.strip().splitlines()]


def items(role: Role | None) -> tuple[RoleSelection, ...]:
    """The role selection that says so."""
    return () if role is None else (RoleSelection(CT, scu=Role.SCU in role, scp=Role.SCP in role),)


def request(proposed: str) -> AssociateRQ:
    user = UserInformation(maximum_length=MAXIMUM, roles=items(ROLES[proposed]))
    return AssociateRQ("CALLED", "CALLING", (PresentationContextRQ(1, CT, (IMPLICIT,)),), user)


def counterpart(role: Role) -> Role:
    """What is left to the other side."""
    return {Role.SCU: Role.SCP, Role.SCP: Role.SCU}.get(role, role)


def test_the_tables_are_complete() -> None:
    assert [tuple(row[:2]) for row in rows(MATRIX, 5)] == list(product(PROPOSALS, SUPPORTS))
    assert [tuple(row[:2]) for row in rows(ANSWERS, 4)] == list(product(PROPOSALS, PROPOSALS))


@pytest.mark.parametrize("proposed, supported, answer, requestor, acceptor", rows(MATRIX, 5))
def test_what_an_acceptor_answers(proposed: str, supported: str, answer: str, requestor: str, acceptor: str) -> None:
    role = ROLES[supported]
    assert role is not None
    rq = request(proposed)
    ac = accept(rq, lambda uid: Supported(uid, None, role), maximum_length=MAXIMUM)
    assert ac.user.roles == items(ROLES[answer])
    for is_requestor, expected in ((True, requestor), (False, acceptor)):
        agreement = conclude(rq, ac, requestor=is_requestor)
        if expected == "refused":
            assert (dict(agreement.contexts), agreement.refused) == ({}, {1: (CT, 1)})
        else:
            assert agreement.contexts[1].role == ROLES[expected]
        noted = proposed == "none" and not is_requestor
        assert agreement.quirks == ((f"proposed neither role for {CT}; the default holds",) if noted else ())


@pytest.mark.parametrize("proposed, answered, role, quirk", rows(ANSWERS, 4))
def test_what_a_requestor_makes_of_an_answer(proposed: str, answered: str, role: str, quirk: str) -> None:
    """A peer that ignores role selection leaves the default, whatever was proposed."""
    rq = request(proposed)
    user = UserInformation(maximum_length=MAXIMUM, roles=items(ROLES[answered]))
    ac = AssociateAC("CALLED", "CALLING", (PresentationContextAC(1, 0, IMPLICIT),), user)
    agreement = conclude(rq, ac, requestor=True)
    expected = ROLES[role]
    assert expected is not None
    assert agreement.contexts[1].role == expected
    assert agreement.quirks == (() if quirk == "-" else (quirk.format(CT),))
    assert conclude(rq, ac, requestor=False).contexts[1].role == counterpart(expected)


# who may do what


def acceptor(supported: Role) -> Application:
    """An application whose handlers make for these roles; for a C-ECHO it stores something with the requestor."""
    app = Application("ACCEPTOR")
    if Role.SCP in supported:
        app.store(CT)(lambda request: None)
    if Role.SCU in supported:
        app.get(sop.STUDY_ROOT)(lambda request: [])

    @app.echo()
    async def store_back(request: EchoRequest) -> Status:
        try:
            await request.association.store(instance(uid="1.2.4"))
        except NoPresentationContext:
            return Status.NO_SUCH_SOP_CLASS
        return Status.SUCCESS

    return app


def storing(stored: list[str]) -> Application:
    """An application that remembers what was stored."""
    app = Application("REQUESTOR")

    @app.store(CT)
    async def store(request: StoreRequest) -> None:
        stored.append(request.sop_instance_uid)
        await request.read()

    return app


@pytest.mark.parametrize("supported", [Role.SCU, Role.SCP, Role.BOTH])
@pytest.mark.parametrize("proposed", [Role.SCU, Role.SCP, Role.BOTH])
async def test_each_side_stores_where_it_is_scu(proposed: Role, supported: Role) -> None:
    stored: list[str] = []
    requestor = storing(stored)
    context = PresentationContext(CT, (sop.ExplicitVRLittleEndian,), scu=Role.SCU in proposed, scp=Role.SCP in proposed)
    app = acceptor(supported)
    async with connected(app, client=requestor, contexts=[sop.Verification, context]) as association:
        may_store = False
        with suppress(NoPresentationContext):
            may_store = (await association.store(instance(uid="1.2.3"))).status == Status.SUCCESS
        with suppress(StatusError):
            await association.echo()
    # Where only the role of an SCU is wanted nothing is proposed, and the default holds.
    roles = proposed & counterpart(supported)
    assert may_store is (Role.SCU in roles)
    assert stored == (["1.2.4"] if Role.SCP in roles else [])
