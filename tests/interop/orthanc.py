"""Orthanc, which is a server only: as SCU it is driven through its REST interface."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.interop.processes import ScuResult, free_port, program, running

__all__ = ["Orthanc", "orthanc", "orthanc_ask", "orthanc_echo", "orthanc_move", "orthanc_store"]

_REQUEST_SECONDS = 30.0


class Orthanc:
    """A running Orthanc.

    Attributes:
        port: its DICOM port.
        log: the file that it writes its log to.
    """

    def __init__(self, port: int, http_port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self._url = f"http://127.0.0.1:{http_port}"

    def get(self, path: str) -> bytes:
        """Send a GET request, and return the body of the response."""
        return self._request(urllib.request.Request(self._url + path))

    def post(self, path: str, body: bytes) -> Any:
        """Send a POST request, and return the JSON of the response.

        Raises:
            urllib.error.HTTPError: Orthanc says why in the body.
        """
        return json.loads(self._request(urllib.request.Request(self._url + path, data=body)) or b"null")

    def delete(self, path: str) -> None:
        """Send a DELETE request."""
        self._request(urllib.request.Request(self._url + path, method="DELETE"))

    def upload(self, path: Path) -> str:
        """Add a file, and return Orthanc's id of the instance."""
        instance_id: str = self.post("/instances", path.read_bytes())["ID"]
        return instance_id

    def download(self, directory: Path) -> list[Path]:
        """Write every instance that Orthanc has into `directory`."""
        paths = []
        for instance_id in json.loads(self.get("/instances")):
            path = directory / f"{instance_id}.dcm"
            path.write_bytes(self.get(f"/instances/{instance_id}/file"))
            paths.append(path)
        return paths

    def _request(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:
            body: bytes = response.read()
            return body


def _configuration(
    port: int,
    http_port: int,
    ae_title: str,
    modalities: Mapping[str, Sequence[Any]],
    options: Mapping[str, Any],
) -> str:
    return json.dumps(
        {
            "Name": ae_title,
            "DicomAet": ae_title,
            "DefaultEncoding": "Utf8",
            "DicomPort": port,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomCheckCalledAet": False,
            "DicomCheckModalityHost": False,
            "DicomModalities": modalities,
            "UnknownSopClassAccepted": True,
            "SynchronousCMove": True,
            "StorageDirectory": "storage",
            "IndexDirectory": "storage",
            "Plugins": [],
            **options,
        }
    )


@contextmanager
def orthanc(
    workdir: Path,
    ae_title: str,
    modalities: Mapping[str, Sequence[Any]],
    port: int | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Orthanc]:
    """Run Orthanc with its files below `workdir`; modalities are named `[AE title, host, port]`.

    `options` are added to its configuration.
    """
    port, http_port = port or free_port(), free_port()
    configuration = workdir / "orthanc.json"
    configuration.write_text(_configuration(port, http_port, ae_title, modalities, options))
    log = workdir / "orthanc.log"
    # It takes its time to end in good order, for the sake of a database that nobody needs any more.
    argv: list[str | Path] = [str(program("Orthanc")), "--verbose", configuration]
    with running(argv, [port, http_port], log, workdir, patience=0.2):
        yield Orthanc(port, http_port, log)


def orthanc_echo(host: str, port: int, called_aet: str, workdir: Path) -> ScuResult:
    """Have Orthanc send one C-ECHO."""
    with orthanc(workdir, "ORTHANC", {"peer": [called_aet, host, port]}) as server:
        return _post(server, "/modalities/peer/echo", {})


def orthanc_store(port: int, aet: str, paths: Sequence[Path], workdir: Path) -> ScuResult:
    """Have Orthanc send files, after they were uploaded to it."""
    with orthanc(workdir, "ORTHANC", {"peer": [aet, "127.0.0.1", port]}) as server:
        resources = [server.upload(path) for path in paths]
        return _post(server, "/modalities/peer/store", {"Resources": resources, "Synchronous": True})


def _post(server: Orthanc, path: str, body: Mapping[str, Any]) -> ScuResult:
    try:
        answer = server.post(path, json.dumps(body).encode())
    except urllib.error.HTTPError as error:
        with error:
            reason = error.read().decode(errors="replace")
        return ScuResult(1, f"{error}\n{reason}\n{server.log.read_text(errors='replace')}")
    failed = answer.get("FailedInstancesCount", 0)
    return ScuResult(1 if failed else 0, f"{answer}\n{server.log.read_text(errors='replace')}")


def orthanc_ask(server: Orthanc, level: str, keys: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Have Orthanc send one C-FIND to the modality `peer`, and return the matches by keyword."""
    body = {"Level": level.capitalize(), "Query": keys, "Normalize": False}
    answer = server.post("/modalities/peer/query", json.dumps(body).encode())
    matches: list[Mapping[str, str]] = json.loads(server.get(f"/queries/{answer['ID']}/answers?expand&simplify"))
    return matches


def orthanc_move(server: Orthanc, level: str, keys: Mapping[str, str], destination: str) -> ScuResult:
    """Have Orthanc send one C-MOVE to the modality `peer`."""
    body = {"Level": level.capitalize(), "Resources": [keys], "TargetAet": destination, "Synchronous": True}
    return _post(server, "/modalities/peer/move", body)
