"""The archive over an association: stored, found, retrieved."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import DataElement

import dicomio
from dicomio import (
    PATIENT_ROOT,
    STUDY_ROOT,
    Address,
    Application,
    Association,
    Client,
    Instance,
    Peer,
    Proposal,
    StatusError,
    StoreRequest,
    query,
)
from dicomio.archive import Archive
from dicomio.datasets import encode
from dicomio.sop import PATIENT_STUDY_ONLY, CTImageStorage, ExplicitVRLittleEndian
from dicomio.testing import connected
from dicomio.wire.items import AsyncOperationsWindow
from tests.archive.objects import collected, ct, uid
from tests.archive.test_keeping import files, full, stored
from tests.association.test_tls import Authority, client_context, server_context

MODELS = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)
CONTEXTS = [CTImageStorage, *(uid for model in MODELS for uid in model)]
STUDY = query("STUDY", StudyInstanceUID=uid(1))


@pytest.fixture
async def peer(archive: Archive) -> AsyncIterator[Association]:
    """An association with the archive, in memory."""
    async with connected(archive.app, contexts=CONTEXTS) as association:
        yield association


async def store(peer: Association | Client, *instances: Instance) -> None:
    """Stores objects, each with Success."""
    for instance in instances:
        assert (await peer.store(instance)).status == 0


async def test_what_was_stored_is_found(archive: Archive, peer: Association) -> None:
    await store(peer, ct(1, 1, 1), ct(1, 1, 2), ct(2))
    keys = query("STUDY", StudyInstanceUID=uid(1), PatientName="", NumberOfStudyRelatedInstances="")
    (answer,) = await peer.find(keys)
    assert (answer.PatientName, answer.NumberOfStudyRelatedInstances) == ("Doe^Number1", 2)
    assert answer.RetrieveAETitle == archive.app.ae_title
    assert sorted(await stored(archive)) == sorted(path for path in files(archive) if uid(1, 1) in path.parts)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.name))
async def test_every_level_is_answered(archive: Archive, peer: Association, model: dicomio.QueryModel) -> None:
    await store(peer, ct(1, 1, 1), ct(1, 1, 2), ct(1, 2, 1))
    keys = {"PatientID": "P1", "StudyInstanceUID": uid(1), "SeriesInstanceUID": uid(1, 1), "SOPInstanceUID": ""}
    unique = dict(zip(("PATIENT", "STUDY", "SERIES", "IMAGE"), keys, strict=True))
    for level in model.levels:
        wanted = list(unique.values())[: list(unique).index(level) + 1]
        answers = await peer.find(query(level, **{keyword: keys[keyword] for keyword in wanted}), model=model)
        assert [answer.QueryRetrieveLevel for answer in answers] == [level] * (2 if level == "IMAGE" else 1)


async def test_answers_are_in_utf_8_where_they_have_to_be(archive: Archive, peer: Association) -> None:
    await store(peer, ct(1, PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100"), ct(2))
    first, second = await peer.find(query("STUDY", StudyInstanceUID="", PatientName=""))
    assert (first.SpecificCharacterSet, first.PatientName) == ("ISO_IR 192", "Müller^Jürgen")
    assert "SpecificCharacterSet" not in second
    keys = query("STUDY", StudyInstanceUID="", PatientName="müller*", SpecificCharacterSet="ISO_IR 100")
    assert [answer.StudyInstanceUID for answer in await peer.find(keys)] == [uid(1)]


async def test_a_key_the_archive_cannot_answer_is_told(archive: Archive, peer: Association) -> None:
    await store(peer, ct())
    async with peer.find(query("STUDY", StudyInstanceUID="", ImageComments="nothing like that")) as answers:
        (answer,) = [answer async for answer in answers]
    assert "ImageComments" not in answer
    assert answer.StudyInstanceUID == uid(1)


@pytest.mark.parametrize(
    "keys, comment",
    [
        (query("IMAGE", SOPInstanceUID=""), "unique key of level STUDY has to be one value"),
        (query("SERIES", StudyInstanceUID="1.2.*", SeriesInstanceUID=""), "0020,000D|level STUDY"),
        (query("SERIES", StudyInstanceUID=["1.2", "1.3"], SeriesInstanceUID=""), "unique key of level STUDY"),
        (query("STUDY", StudyDate="yesterday"), "StudyDate"),
        (query("PATIENT", PatientID=""), "Query/Retrieve Level"),
    ],
)
async def test_an_identifier_that_makes_no_sense_is_refused(peer: Association, keys: Any, comment: str) -> None:
    with pytest.raises(StatusError, match=comment) as caught:
        await peer.find(keys)
    assert caught.value.status == 0xA900
    assert await peer.find(query("STUDY", StudyInstanceUID="")) == []


async def test_a_full_disk_is_answered_with_out_of_resources(
    archive: Archive, peer: Association, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.writev", full)
    with pytest.raises(StatusError, match="No space left") as caught:
        await peer.store(ct())
    assert caught.value.status == 0xA700
    monkeypatch.undo()
    await archive.finished()
    assert files(archive) == []
    await store(peer, ct())


async def test_an_object_without_study_is_refused(archive: Archive, peer: Association) -> None:
    with pytest.raises(StatusError, match="no Study Instance UID") as caught:
        await peer.store(ct(StudyInstanceUID=None))
    assert caught.value.status == 0xA900
    assert files(archive) == []


async def test_an_object_whose_sender_did_not_know_what_its_elements_are_is_kept(
    archive: Archive, peer: Association
) -> None:
    plain = ct().dataset()
    unknown = [DataElement(each.tag, "UN", str(each.value).encode()) for each in plain if each.VR in ("UI", "PN")]
    plain.update({each.tag: each for each in unknown})
    data = encode(plain, ExplicitVRLittleEndian)
    await store(peer, Instance.from_bytes(CTImageStorage, uid(1, 1, 1), ExplicitVRLittleEndian, data))
    (answer,) = await peer.find(query("STUDY", StudyInstanceUID=uid(1), PatientName="doe*"))
    assert answer.PatientName == "Doe^Number1"


async def test_a_peer_that_is_lost_in_the_middle_leaves_nothing(archive: Archive) -> None:
    async with connected(archive.app, contexts=CONTEXTS) as peer:
        task = asyncio.create_task(store(peer, ct(pixels=bytes(8_000_000))))
        while not list((archive.root / "incoming").iterdir()):
            await asyncio.sleep(0)
        peer.abort()
        with pytest.raises(dicomio.AssociationAborted):
            await task
    await archive.finished()
    assert files(archive) == []


class Both:
    """The archive and a destination, each listening on the loopback.

    Attributes:
        client: of the archive.
        received: what the destination got: data sets by SOP Instance UID.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.received: dict[str, bytes] = {}


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    destination = Application("DEST")

    @destination.store()
    async def receive(request: StoreRequest) -> None:
        found.received[request.sop_instance_uid] = await request.read()

    async with dicomio.serve(destination, "127.0.0.1", 0) as there:
        destinations = {"DEST": f"DEST@127.0.0.1:{there.port}"}
        archive = Archive(tmp_path / "archive", ae_title="ARCHIVE", destinations=destinations)
        async with dicomio.serve(archive.app, "127.0.0.1", 0) as server:
            async with Client(f"ARCHIVE@127.0.0.1:{server.port}", ae_title="TEST") as client:
                found = Both(client)
                yield found


OBJECTS = [ct(1, 1, number, pixels=bytes([number]) * 1000 * number) for number in range(1, 5)]
SENT = {instance.sop_instance_uid: instance.read() for instance in OBJECTS}


async def test_objects_are_retrieved_with_c_get_byte_for_byte(both: Both) -> None:
    await store(both.client, *OBJECTS, ct(2))
    received = {}
    async with both.client.get(STUDY, storage=[CTImageStorage]) as objects:
        async for request in objects:
            received[request.sop_instance_uid] = await request.read()
    assert received == SENT


async def test_objects_are_sent_with_c_move_byte_for_byte(both: Both) -> None:
    await store(both.client, *OBJECTS, ct(2))
    progress = await both.client.move(STUDY, to="DEST")
    assert (progress.completed, progress.failed) == (4, 0)
    assert both.received == SENT


async def test_a_destination_may_be_a_profile_with_everything_that_is_special_about_it(tmp_path: Path) -> None:
    authority, proposals, received = Authority(tmp_path), list[Proposal](), list[str]()
    destination = Application("DEST")

    @destination.on_associate
    async def note(proposal: Proposal) -> None:
        proposals.append(proposal)

    @destination.store()
    async def receive(request: StoreRequest) -> None:
        received.append(request.sop_instance_uid)

    context = await server_context(authority.certify("localhost"))
    async with dicomio.serve(destination, "127.0.0.1", 0, ssl=context) as there:
        encrypted = await client_context(ca=authority.path)
        peer = Peer(Address("DEST", "127.0.0.1", there.port), ae_title="SPECIAL", window=4, ssl=encrypted)
        archive = Archive(tmp_path / "archive", ae_title="ARCHIVE", destinations={"SAFE": peer})
        async with connected(archive.app, contexts=CONTEXTS) as association:
            await store(association, *OBJECTS)
            assert (await association.move(STUDY, to="SAFE")).completed == len(OBJECTS)
    assert sorted(received) == sorted(SENT)
    window = AsyncOperationsWindow(4, 1)
    assert [(each.peer.ae_title, each.pdu.user.async_window) for each in proposals] == [("SPECIAL", window)]


@pytest.mark.parametrize(
    "keys",
    [
        query("STUDY", StudyInstanceUID=[uid(1), uid(7)]),
        query("SERIES", StudyInstanceUID=uid(1), SeriesInstanceUID=uid(1, 1)),
        query("SERIES", SeriesInstanceUID=uid(1, 1)),
        query("IMAGE", StudyInstanceUID=uid(1), SOPInstanceUID=list(SENT)),
    ],
    ids=["studies", "series", "series alone", "images"],
)
async def test_what_is_retrieved_is_said_by_unique_keys(archive: Archive, keys: Any) -> None:
    for instance in OBJECTS:
        await archive.add(instance)
    await archive.add(ct(2))
    assert len(await archive.instances(keys)) == len(OBJECTS)


async def test_a_patient_is_retrieved_by_id(archive: Archive) -> None:
    await archive.add(ct(1, PatientID="same"))
    await archive.add(ct(2, PatientID="same"))
    await archive.add(ct(3))
    assert len(await archive.instances(query("PATIENT", PatientID="same"), PATIENT_ROOT)) == 2
    assert len(await archive.instances(query("STUDY", PatientID="same", StudyInstanceUID=uid(3)), PATIENT_ROOT)) == 0


@pytest.mark.parametrize(
    "keys",
    [
        query("STUDY", StudyInstanceUID=""),
        query("STUDY", StudyInstanceUID="*"),
        query("STUDY", PatientID="P1"),
        query("PATIENT", PatientID=["P1", "P2"]),
        query("PATIENT", PatientID="P*"),
        query("SERIES", StudyInstanceUID=[uid(1), uid(2)], SeriesInstanceUID=uid(1, 1)),
        query("NOTHING", StudyInstanceUID=uid(1)),
    ],
)
async def test_what_to_retrieve_has_to_be_said(archive: Archive, keys: Any) -> None:
    with pytest.raises(dicomio.Refused) as caught:
        await archive.instances(keys, PATIENT_ROOT)
    assert caught.value.status == 0xA900


async def test_a_retrieval_names_as_many_uids_as_fit_an_identifier(archive: Archive) -> None:
    for instance in OBJECTS:
        await archive.add(instance)
    uids = [*SENT, *(uid(9, 9, number) for number in range(25_000))]
    assert len(await archive.instances(query("IMAGE", SOPInstanceUID=uids))) == len(OBJECTS)
    found = await collected(
        archive.find(
            query("IMAGE", StudyInstanceUID=uid(1), SeriesInstanceUID=uid(1, 1), SOPInstanceUID=uids), STUDY_ROOT
        )
    )
    assert len(found) == len(OBJECTS)
