"""What is given wrongly is said in words, where it is given."""

from collections.abc import Callable
from typing import Any

import pytest

import dicomio
from dicomio import Address, Application, Client, Limits, Peer, Timeout, sop

ADDRESS = "A@127.0.0.1:1"


class TestRegistration:
    @pytest.mark.parametrize("method", ["find", "move", "get"])
    def test_what_is_neither_uid_nor_model(self, method: str) -> None:
        app = Application("APP")
        with pytest.raises(
            ValueError, match=r"'STUDY' is not a UID; query models are constants .* dicomio\.STUDY_ROOT"
        ):
            getattr(app, method)("STUDY")
        with pytest.raises(TypeError, match="are the parentheses of a decorator missing"):
            getattr(app, method)(lambda request: None)
        assert not app.handlers

    @pytest.mark.parametrize("method", ["n_create", "n_set", "n_get", "n_action", "n_delete", "n_event_report"])
    def test_names_of_sop_classes(self, method: str) -> None:
        app = Application("APP")
        with pytest.raises(ValueError, match=r"'Printer' is not a UID; the names of SOP classes are constants"):
            getattr(app, method)("Printer")
        assert not app.handlers

    def test_uids_of_private_sop_classes_are_taken(self) -> None:
        app = Application("APP")
        app.find("1.2.3.4")(lambda request: [])
        assert app.supported("1.2.3.4") is not None

    @pytest.mark.parametrize("func", [lambda: None, lambda request, more: None, lambda *, request: None])
    def test_handlers_that_could_not_be_called(self, func: Callable[..., Any]) -> None:
        app = Application("APP")
        registrations: list[Callable[[Any], object]] = [
            app.echo(),
            app.store(),
            app.find(dicomio.STUDY_ROOT),
            app.move(dicomio.STUDY_ROOT),
            app.get(dicomio.STUDY_ROOT),
            app.n_get(sop.Printer),
            app.unknown,
        ]
        for register in registrations:
            with pytest.raises(TypeError, match="cannot be a handler: it is called with a request and nothing else"):
                register(func)
        assert not any(app.handlers.values())
        assert app.unknown_handler is None

    def test_what_is_no_function(self) -> None:
        with pytest.raises(TypeError, match="'save' is given where a handler is expected"):
            Application("APP").store()("save")  # type: ignore[type-var]

    @pytest.mark.parametrize("func", [lambda request, more=1: None, lambda *args: None, dict, max])
    def test_handlers_that_can_be_called(self, func: Callable[..., Any]) -> None:
        app = Application("APP")
        assert app.store()(func) is func


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.find(dicomio.query("STUDY"), model="STUDY"),
        lambda client: client.move(dicomio.query("STUDY"), to="B", model="STUDY"),
        lambda client: client.get(dicomio.query("STUDY"), model="STUDY"),
    ],
)
def test_models_of_requests(call: Callable[[Client], object]) -> None:
    with pytest.raises(ValueError, match="'STUDY' is not a UID; query models are"):
        call(Client(ADDRESS))


@pytest.mark.parametrize("given", [True, "cert.pem"])
class TestTLS:
    async def test_asking(self, given: Any) -> None:
        with pytest.raises(TypeError, match=r"ssl is .*; a TLS context is expected, as dicomio\.tls\.client_context"):
            await dicomio.echo(ADDRESS, ssl=given)
        with pytest.raises(TypeError, match=r"dicomio\.tls\.client_context"):
            dicomio.connect(ADDRESS, contexts=[sop.Verification], ssl=given)
        with pytest.raises(TypeError, match=r"dicomio\.tls\.client_context"):
            Application("APP").connect(ADDRESS, contexts=[sop.Verification], ssl=given)
        with pytest.raises(TypeError, match=r"dicomio\.tls\.client_context"):
            Peer(Address("A", "127.0.0.1"), ssl=given)

    def test_serving(self, given: Any) -> None:
        with pytest.raises(TypeError, match=r"ssl is .*; a TLS context is expected, as dicomio\.tls\.server_context"):
            dicomio.serve(Application("APP"), ssl=given)


class TestNumbers:
    @pytest.mark.parametrize("value", ["5", True, [5]])
    def test_deadlines(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"Timeout\.default is .*; it must be a number of seconds, or None"):
            Client(ADDRESS, timeout=value)
        with pytest.raises(TypeError, match=r"Timeout\.idle is"):
            Timeout(idle=value)

    @pytest.mark.parametrize("value", ["5", True, [5]])
    def test_limits(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"Limits\.associations is .*; it must be a number"):
            Limits(associations=value)

    def test_windows(self) -> None:
        with pytest.raises(TypeError, match="window is '8'; it must be a number"):
            Client(ADDRESS, window="8")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"window is \(8, 2\); an application has one number for both directions"):
            Application("APP", window=(8, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what, kind, message",
    [
        ({"address": "A@h"}, TypeError, r"address is 'A@h'; dicomio\.Address\.parse makes"),
        ({"ae_title": "MUCH TOO LONG A TITLE"}, ValueError, "is not an AE title"),
        ({"window": (1, 70_000)}, ValueError, r"window is \(1, 70000\)"),
        ({"window": "8"}, TypeError, "window is '8'"),
        ({"max_pdu": 3}, ValueError, r"Limits\.max_pdu is 3"),
        ({"associations": 0}, ValueError, r"Limits\.associations is 0"),
        ({"timeout": 5}, TypeError, r"timeout is 5; a dicomio\.Timeout is expected"),
    ],
)
def test_profiles_made_in_code(what: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Peer(**{"address": Address("A", "h"), **what})
