"""Association configuration profiles: what a file may say, what it comes to, and how mistakes are told."""

import asyncio
import re
from argparse import Namespace
from pathlib import Path

import pytest

from dicomio import Instance, PresentationContext, Role, StorageExtension, dataset, sop
from dicomio.cli.configs import Profile, configured, load_profile
from dicomio.cli.errors import UsageError
from dicomio.extensions import Extension
from dicomio.negotiation import Supported
from dicomio.sop import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    Verification,
)
from dicomio.testing import connected
from tests.examples.programs import blocks

from .conftest import STORESCP, Receive, Tool
from .test_storescp import receiver as store_scp

PRIVATE_CLASS = "1.2.826.0.1.3680043.9.1.2"

FILE = """
[transfer_syntaxes]
plain = ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian"]
images = ["JPEG2000Lossless", "plain"]

[sop_classes]
radiology = ["CTImageStorage", "MRImageStorage"]

[[profiles.default.contexts]]
sop_classes = ["radiology", "1.2.826.0.1.3680043.9.1.2"]
transfer_syntaxes = ["images", "plain"]

[[profiles.default.contexts]]
sop_classes = ["CTImageStorage"]
transfer_syntaxes = ["DeflatedExplicitVRLittleEndian", "ImplicitVRLittleEndian"]
role = "BOTH"

[[profiles.default.extended]]
sop_classes = ["radiology"]
coercion = 1

[[profiles.any.contexts]]
sop_classes = ["*", "Verification"]

[[profiles.implicit.contexts]]
sop_classes = ["storage"]
transfer_syntaxes = ["ImplicitVRLittleEndian"]

[[profiles.implicit.extended]]
sop_classes = ["storage"]
information = "01 02"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "association.toml"
    path.write_text(FILE)
    return path


def profile(file: Path, name: str = "default") -> Profile:
    return load_profile(str(file), name)


# what a file comes to


def test_what_a_sender_proposes(file: Path) -> None:
    images = (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    assert profile(file).proposed() == (
        PresentationContext(CTImageStorage, images),
        PresentationContext(MRImageStorage, images),
        PresentationContext(PRIVATE_CLASS, images),
        PresentationContext(CTImageStorage, (DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian), True, True),
    )


def test_what_a_receiver_accepts(file: Path) -> None:
    images = (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    assert profile(file).accepted() == {
        CTImageStorage: (*images, DeflatedExplicitVRLittleEndian),
        MRImageStorage: images,
        PRIVATE_CLASS: images,
    }
    assert profile(file, "any").accepted() == {"*": None, Verification: None}


def test_what_is_negotiated_beyond(file: Path) -> None:
    coercing = StorageExtension(coercion=1).encode()
    assert profile(file).extended == {CTImageStorage: coercing, MRImageStorage: coercing}
    assert profile(file, "implicit").extended == dict.fromkeys(sop.STORAGE, b"\1\2")


def test_any_transfer_syntax_wins_over_some(tmp_path: Path) -> None:
    rows = '[[profiles.default.contexts]]\nsop_classes = ["CTImageStorage"]\n'
    some = 'transfer_syntaxes = ["ImplicitVRLittleEndian"]\n'
    for text in (rows + rows + some, rows + some + rows):
        (tmp_path / "f").write_text(text)
        assert profile(tmp_path / "f").accepted() == {CTImageStorage: None}


@pytest.mark.parametrize("number", range(len(blocks("docs/configuration.md", "toml"))))
def test_the_page_about_it_is_right(number: int, tmp_path: Path) -> None:
    (tmp_path / "association.toml").write_text(blocks("docs/configuration.md", "toml")[number])
    assert list(profile(tmp_path / "association.toml").accepted()) == ["storage"]
    assert len(profile(tmp_path / "association.toml", "lossless").proposed()) == 6


# which profile


@pytest.mark.parametrize(
    "given, found",
    [
        ({"config": "FILE"}, 4),
        ({"config": "FILE", "config_profile": "default"}, 4),
        ({"config_file": ("FILE", "default")}, 4),
        ({}, None),
    ],
)
def test_profile_of_a_command_line(file: Path, given: dict[str, object], found: int | None) -> None:
    named: dict[str, object] = {"config": str(file)} if "config" in given else {}
    named |= {"config_file": (str(file), "default")} if "config_file" in given else {}
    args = Namespace(**({"config": None, "config_file": None, "config_profile": None} | given | named))
    profile = configured(args)
    assert (len(profile.proposed()) if profile is not None else None) == found


# mistakes


def wrong(tmp_path: Path, text: str) -> str:
    """What is said about a file."""
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(UsageError) as raised:
        load_profile(str(tmp_path / "f.toml"), "default").proposed()
    return str(raised.value).removeprefix(f"{tmp_path}/f.toml: ")


NOTHING = "is neither a keyword, the name of a list, nor a UID"
NO_KEY = "there is no such key; there are"
MANY = f"[[profiles.default.contexts]]\nsop_classes = {[f'1.2.{number}' for number in range(129)]}\n"
CONTEXT = '[[profiles.default.contexts]]\nsop_classes = ["CTImageStorage"]\n'


@pytest.mark.parametrize(
    "text, words",
    [
        ("[profile]\n", "the file: profile: there is no such key; there are profiles, sop_classes, transfer_syntaxes"),
        ("profiles = 3\n", "[profiles]: it must be a table"),
        ("[profiles]\ndefault = 3\n", "[profiles.default]: it must be a table"),
        ("[profiles.default]\n", "[profiles.default]: contexts: there must be one or more"),
        ("[profiles.default]\ncontexts = 3\n", "[profiles.default]: contexts: it must be an array of tables"),
        ("[profiles.default]\ncontexts = [3]\n", "[profiles.default] contexts 1: it must be a table"),
        (
            CONTEXT + "[profiles.default.roles]\n",
            "[profiles.default]: roles: there is no such key; there are contexts, extended",
        ),
        (
            CONTEXT + 'syntax = "x"\n',
            f"[profiles.default] contexts 1: syntax: {NO_KEY} sop_classes, transfer_syntaxes, role",
        ),
        (
            "[[profiles.default.contexts]]\n",
            "[profiles.default] contexts 1: sop_classes: it must be a list of one text or more",
        ),
        (
            CONTEXT + '[[profiles.default.contexts]]\nsop_classes = ["CTImage"]\n',
            f"[profiles.default] contexts 2: sop_classes: 'CTImage' {NOTHING}",
        ),
        (
            CONTEXT + 'transfer_syntaxes = ["CTImageStorage"]\n',
            f"[profiles.default] contexts 1: transfer_syntaxes: 'CTImageStorage' {NOTHING}",
        ),
        (
            CONTEXT + "transfer_syntaxes = []\n",
            "[profiles.default] contexts 1: transfer_syntaxes: it must be a list of one text or more",
        ),
        (
            CONTEXT + 'transfer_syntaxes = "ImplicitVRLittleEndian"\n',
            "[profiles.default] contexts 1: transfer_syntaxes: it must be a list of one text or more",
        ),
        (CONTEXT + 'role = "none"\n', "[profiles.default] contexts 1: role: 'none' is none of scu, scp, both"),
        (CONTEXT + "role = 1\n", "[profiles.default] contexts 1: role: 1 is none of scu, scp, both"),
        (
            '[sop_classes]\nCTImageStorage = ["MRImageStorage"]\n',
            "[sop_classes]: CTImageStorage: a list cannot have this name, which means something already",
        ),
        (
            '[sop_classes]\nstorage = ["MRImageStorage"]\n',
            "[sop_classes]: storage: a list cannot have this name, which means something already",
        ),
        ("[sop_classes]\na = 3\n", "[sop_classes] a: it must be a list of one text or more"),
        ('[sop_classes]\na = ["b"]\nb = ["a"]\n', "[sop_classes] a: the lists contain one another"),
        (
            '[transfer_syntaxes]\na = ["nothing"]\n',
            f"[transfer_syntaxes] a: 'nothing' {NOTHING}",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["CTImageStorage"]\nlevel = 4\n',
            "[profiles.default] extended 1: level: 4 is not a number from 0 to 3",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["CTImageStorage"]\ncoercion = true\n',
            "[profiles.default] extended 1: coercion: True is not a number from 0 to 2",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["CTImageStorage"]\ninformation = "0"\n',
            "[profiles.default] extended 1: information: '0' is not a text of hexadecimal digits",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["CTImageStorage"]\ninformation = 7\n',
            "[profiles.default] extended 1: information: 7 is not a text of hexadecimal digits",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["CTImageStorage"]\ninformation = ""\nlevel = 1\n',
            "[profiles.default] extended 1: information: it stands for all bytes, level included",
        ),
        (
            CONTEXT + '[[profiles.default.extended]]\nsop_classes = ["*"]\n',
            "[profiles.default] extended 1: sop_classes: '*' cannot be negotiated about",
        ),
        (CONTEXT, "[profiles.default], contexts 1: transfer_syntaxes: a sender has to name them"),
        (
            '[[profiles.default.contexts]]\nsop_classes = ["storage"]\n',
            "[profiles.default], contexts 1: sop_classes: 'storage' is for receivers; a sender has to name each",
        ),
        (
            MANY + 'transfer_syntaxes = ["ImplicitVRLittleEndian"]\n',
            "[profiles.default]: 129 presentation contexts; an association has 128",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    assert wrong(tmp_path, text) == words


def test_files_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.toml: No such file or directory"):
        load_profile(str(tmp_path / "nothing.toml"), "default")
    with pytest.raises(UsageError, match=r"association\.toml has no profile 'x'; it has default, any, implicit"):
        profile(file, "x")
    assert re.match(r"Expected .*\(at line 1, column 3\)", wrong(tmp_path, "a b"))
    (tmp_path / "latin").write_bytes(b"# \xe4")
    with pytest.raises(UsageError, match="latin: 'utf-8' codec"):
        profile(tmp_path / "latin")


def test_a_receiver_needs_senders(file: Path, tmp_path: Path) -> None:
    file.write_text(CONTEXT + 'role = "scp"\n')
    with pytest.raises(UsageError, match="contexts 1: role: a receiver needs a requestor that is SCU"):
        store_scp(tmp_path, "--config", file)


@pytest.mark.parametrize("option", ["-pm", "+xi", "+xa"])
def test_options_that_a_profile_leaves_no_room_for(file: Path, tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match=r"options -pm and \+x… cannot be given beside it"):
        store_scp(tmp_path, "-xf", file, "default", option)


def test_options_of_a_sender_that_a_profile_leaves_no_room_for(file: Path, tool: Tool) -> None:
    ran = tool("storescu", "localhost", 104, "x.dcm", "-xf", file, "default", "-xi")
    assert (ran.code, "options -x… cannot be given beside it" in ran.err) == (2, True)


# what becomes of it


async def test_storescp_accepts_what_its_profile_says(file: Path, tmp_path: Path) -> None:
    scp = await asyncio.to_thread(store_scp, tmp_path, "--config", file)
    offers = ImplicitVRLittleEndian, ExplicitVRLittleEndian
    contexts = [
        PresentationContext(CTImageStorage, offers),
        PresentationContext(PRIVATE_CLASS, offers),
        PresentationContext(sop.SecondaryCaptureImageStorage, offers),
        PresentationContext(Verification, offers),
    ]
    extended: dict[str, bytes | Extension] = {CTImageStorage: StorageExtension(level=1), PRIVATE_CLASS: b"\1"}
    async with connected(scp.application(), contexts=contexts, extended=extended) as association:
        accepted = {each.abstract_syntax: each.transfer_syntax for each in association.contexts.values()}
        assert accepted == {
            CTImageStorage: ExplicitVRLittleEndian,
            PRIVATE_CLASS: ExplicitVRLittleEndian,
            Verification: ExplicitVRLittleEndian,
        }
        assert association.agreement is not None
        assert association.agreement.extended == {CTImageStorage: StorageExtension(coercion=1).encode()}
        await association.store(dataset(SOPClassUID=PRIVATE_CLASS, SOPInstanceUID="1.2.3"))
    assert (tmp_path / "UNKNOWN.1.2.3").exists()


def test_a_receiver_takes_what_the_storage_group_says(file: Path, tmp_path: Path) -> None:
    app = store_scp(tmp_path, "-xf", file, "implicit").application()
    assert app.supported(CTImageStorage) == Supported(CTImageStorage, (ImplicitVRLittleEndian,), Role.SCP)
    assert app.supported(PRIVATE_CLASS) is None


def test_storescu_proposes_what_its_profile_says(file: Path, tmp_path: Path, tool: Tool, receiver: Receive) -> None:
    scp = receiver("-pm", "+xe")
    path = tmp_path / "object"
    instance = Instance.from_dataset(dataset(SOPClassUID=MRImageStorage, SOPInstanceUID="1.2.3"))
    path.write_bytes(instance.read())
    ran = tool("storescu", "127.0.0.1", scp.port, path, "--config", file)
    assert (ran.code, ran.err) == (0, "")
    scp.close()
    assert scp.contexts == [
        {
            (CTImageStorage, ExplicitVRLittleEndian),
            (CTImageStorage, ImplicitVRLittleEndian),
            (MRImageStorage, ExplicitVRLittleEndian),
            (PRIVATE_CLASS, ExplicitVRLittleEndian),
        }
    ]
    assert [each.name for each in scp.files] == ["MR.1.2.3"]


def test_tools_say_what_is_wrong_with_a_file(tmp_path: Path, tool: Tool) -> None:
    file = tmp_path / "f.toml"
    file.write_text(CONTEXT + 'role = "x"\n')
    for name in (STORESCP.name, "dcmrecv"):
        ran = tool(name, "-xf", file, "default", "-od", tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            f"dicomio {name}: {file}: [profiles.default] contexts 1: role: 'x' is none of scu, scp, both\n"
        )
