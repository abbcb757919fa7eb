"""The value objects: what they take, what they refuse, and what they say of it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomio import Application, Client, config, connect
from dicomio.config import Address, Limits, PresentationContext, Role, Timeout

DEADLINES = [field.name for field in dataclasses.fields(Timeout)]
# What `Timeout.default` does not stand for.
ON_THEIR_OWN = {"default": 30.0, "response": None, "idle": 600.0, "pool": None}
AE_TITLES = st.text(st.sampled_from([chr(code) for code in range(0x20, 0x7F) if code != 0x5C]), min_size=1, max_size=16)


class TestAddress:
    @pytest.mark.parametrize(
        "text, address",
        [
            ("PACS@pacs.example:104", Address("PACS", "pacs.example", 104)),
            ("PACS@pacs.example", Address("PACS", "pacs.example", 104)),
            ("pacs.example:11112", Address("ANY-SCP", "pacs.example", 11112)),
            ("pacs.example", Address("ANY-SCP", "pacs.example", 104)),
            ("@pacs.example", Address("ANY-SCP", "pacs.example", 104)),
            ("PACS@[::1]:104", Address("PACS", "::1", 104)),
            ("[fe80::1%eth0]", Address("ANY-SCP", "fe80::1%eth0", 104)),
            ("PACS@127.0.0.1:65535", Address("PACS", "127.0.0.1", 65535)),
            ("  PACS @127.0.0.1:1\n", Address("PACS", "127.0.0.1", 1)),
            ("STORE@NIGHT@host:104", Address("STORE@NIGHT", "host", 104)),
            ("TWO WORDS@host", Address("TWO WORDS", "host", 104)),
            ("A:B@host", Address("A:B", "host", 104)),
        ],
    )
    def test_reads(self, text: str, address: Address) -> None:
        assert Address.parse(text) == address

    @pytest.mark.parametrize("text", ["", "@", "PACS@", "PACS@:104", "host:", "host:port", "::1", "[]:104", "a[b]:1"])
    def test_refuses_what_is_no_address(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not an address of the form AET@host:port"):
            Address.parse(text)

    @pytest.mark.parametrize("port", ["0", "65536", "999999999"])
    def test_refuses_what_is_no_port(self, port: str) -> None:
        with pytest.raises(ValueError, match=f"port {port} is not between 1 and 65535"):
            Address.parse(f"PACS@host:{port}")

    @pytest.mark.parametrize("ae_title", ["SEVENTEEN-LETTERS", "BACK\\SLASH", "NUL\0", "TAB\tTAB", "RÖNTGEN"])
    def test_refuses_what_is_no_ae_title(self, ae_title: str) -> None:
        with pytest.raises(ValueError, match="is not an AE title"):
            Address.parse(f"{ae_title}@host")

    def test_title_for_a_text_without(self) -> None:
        assert Address.parse("host", ae_title="ARCHIVE") == Address("ARCHIVE", "host")
        assert Address.parse("PACS@host", ae_title="ARCHIVE") == Address("PACS", "host")

    def test_an_address_is_itself(self) -> None:
        address = Address("PACS", "host")
        assert Address.parse(address, ae_title="OTHER") is address

    @given(
        AE_TITLES.map(str.strip).filter(bool),
        st.one_of(st.ip_addresses().map(str), st.from_regex("[a-z][a-z0-9.-]{0,20}", fullmatch=True)),
        st.integers(1, 65535),
    )
    def test_its_text_is_read_as_itself(self, ae_title: str, host: str, port: int) -> None:
        address = Address(ae_title, host, port)
        assert Address.parse(str(address)) == address

    def test_titles_from_the_network_are_escaped(self) -> None:
        assert str(Address("\x1b[31m\n", "::1", 104)) == "\\x1b[31m\\n@[::1]:104"


class TestPresentationContext:
    def test_transfer_syntaxes_by_default(self) -> None:
        # Explicit VR before the one that everybody has to know.
        assert PresentationContext("1.2.3").transfer_syntaxes == ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")

    @pytest.mark.parametrize(
        "scu, scp, role",
        [(True, False, Role.SCU), (False, True, Role.SCP), (True, True, Role.BOTH), (False, False, Role(0))],
    )
    def test_role(self, scu: bool, scp: bool, role: Role) -> None:
        assert PresentationContext("1.2.3", scu=scu, scp=scp).role == role

    @pytest.mark.parametrize("transfer_syntaxes", ["1.2.840.10008.1.2", "", (), []])
    def test_refuses_what_is_no_sequence_of_uids(self, transfer_syntaxes: Any) -> None:
        with pytest.raises(ValueError, match="must be a sequence of UIDs"):
            PresentationContext("1.2.3", transfer_syntaxes)


class TestTimeout:
    def test_by_default_only_operations_and_queues_may_take_for_ever(self) -> None:
        timeout = Timeout()
        assert {name: getattr(timeout, name) for name in DEADLINES} == dict.fromkeys(DEADLINES, 30.0) | ON_THEIR_OWN

    @pytest.mark.parametrize("default", [5.0, 0.0, None])
    def test_default_stands_for_what_is_not_given(self, default: float | None) -> None:
        timeout = Timeout(default, connect=1.5)
        expected = dict.fromkeys(DEADLINES, default) | ON_THEIR_OWN | {"default": default, "connect": 1.5}
        assert {name: getattr(timeout, name) for name in DEADLINES} == expected

    @pytest.mark.parametrize("name", DEADLINES)
    @pytest.mark.parametrize("value", [0.0, 7.5, None])
    def test_every_deadline_can_be_given(self, name: str, value: float | None) -> None:
        assert getattr(Timeout(**{name: value}), name) == value

    @pytest.mark.parametrize("name", DEADLINES)
    @pytest.mark.parametrize("value", [-1.0, -0.001, float("nan")])
    def test_refuses_what_is_no_duration(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=rf"Timeout.\w+ is {value}; it must be a number of seconds, or None"):
            Timeout(**{name: value})

    def test_what_parameters_take(self) -> None:
        timeout = Timeout(3, idle=None)
        assert Timeout.of(timeout) is timeout
        assert Timeout.of(3) == Timeout(3)
        assert Timeout.of(None) == Timeout(None)

    def test_replacing_one(self) -> None:
        assert dataclasses.replace(Timeout(3), connect=1) == Timeout(3, connect=1)

    def test_is_immutable_and_hashable(self) -> None:
        timeout = Timeout()
        with pytest.raises(dataclasses.FrozenInstanceError):
            timeout.connect = 1.0  # type: ignore[misc]
        assert {timeout: "found"}[Timeout()] == "found"


class TestLimits:
    def test_the_largest_request_fits_by_default(self) -> None:
        # PS3.8 9.3.2.2: 128 presentation contexts, each with a UID and thirty transfer syntaxes of 64 characters.
        limits = Limits()
        assert limits.contexts == 128
        assert 128 * (8 + 4 + 64 + 30 * (4 + 64)) < limits.associate_pdu

    @pytest.mark.parametrize("max_pdu", [0, 4096, 0xFFFFFFFF])
    def test_maximum_length(self, max_pdu: int) -> None:
        assert Limits(max_pdu=max_pdu).max_pdu == max_pdu

    @pytest.mark.parametrize("max_pdu", [-1, 1, 4095, 0x100000000])
    def test_refuses_what_is_no_maximum_length(self, max_pdu: int) -> None:
        with pytest.raises(ValueError, match=f"Limits.max_pdu is {max_pdu};"):
            Limits(max_pdu=max_pdu)

    @pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
    def test_refuses_limits_below_zero(self, name: str) -> None:
        with pytest.raises(ValueError, match=rf"Limits.{name} is -1;"):
            Limits(**{name: -1})

    @pytest.mark.parametrize(
        "name", sorted({field.name for field in dataclasses.fields(Limits)} - {"max_pdu", "keepalive"})
    )
    def test_refuses_limits_that_let_nothing_through(self, name: str) -> None:
        with pytest.raises(ValueError, match=rf"Limits.{name} is 0; at least 1 is needed"):
            Limits(**{name: 0})

    def test_refuses_contexts_that_have_no_id(self) -> None:
        # PS3.8 9.3.2.2: odd integers between 1 and 255.
        with pytest.raises(ValueError, match=r"Limits\.contexts is 129; an association has room for 128"):
            Limits(contexts=129)

    @pytest.mark.parametrize("keepalive", [0.0, 60.0, None])
    def test_keepalive(self, keepalive: float | None) -> None:
        assert Limits(keepalive=keepalive).keepalive == keepalive


def test_roles() -> None:
    assert Role.BOTH == Role.SCU | Role.SCP


def test_exports() -> None:
    assert set(config.__all__) <= set(vars(config))


class TestWindow:
    @pytest.mark.parametrize("window", [0, 1, 65_535, (8, 2), (0, 0)])
    def test_taken(self, window: int | tuple[int, int]) -> None:
        assert config.checked_window(window) == window

    @pytest.mark.parametrize("window", [-1, 65_536, (), (1, -1), (1, 2, 3)])
    def test_refused(self, window: Any) -> None:
        with pytest.raises(ValueError, match="it must be a number from 0 to 65535, or two of them"):
            config.checked_window(window)

    @pytest.mark.parametrize("window", [True, 1.5, "8", (1, "2"), {"us": 8}])
    def test_not_made_of_numbers(self, window: Any) -> None:
        with pytest.raises(TypeError, match="it must be a number from 0 to 65535, or two of them"):
            config.checked_window(window)

    @pytest.mark.parametrize(
        "make",
        [
            lambda window: Application("APP", window=window),
            lambda window: Client("APP@127.0.0.1:1", window=window),
        ],
    )
    def test_refused_before_anybody_connects(self, make: Callable[[int], object]) -> None:
        with pytest.raises(ValueError, match="window is -1"):
            make(-1)

    async def test_an_association_is_not_opened_with_one_that_cannot_be(self) -> None:
        with pytest.raises(ValueError, match=r"window is \(1, 70000\)"):
            await connect("APP@127.0.0.1:1", contexts=["1.2.840.10008.1.1"], window=(1, 70_000))
