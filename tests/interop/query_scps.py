"""Independent implementations of DICOM as SCP of query and retrieve. Everything here blocks, as in `peers`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.interop.peers import RunningScp, scps, serving
from tests.interop.processes import PIXELMED_JAR, RUN_PYNETDICOM, free_port, require

__all__ = ["query_scps"]

_HOST = "127.0.0.1"
_NO_DESTINATIONS: Mapping[str, int] = {}


def _qrscp(workdir: Path, destinations: Mapping[str, int] = _NO_DESTINATIONS) -> AbstractContextManager[RunningScp]:
    """Run pynetdicom's query/retrieve server."""
    require("pynetdicom")
    port, inbox = free_port(), workdir / "inbox"
    inbox.mkdir(parents=True)
    hosts = "".join(
        f"[{title}]\naddress: {_HOST}\nport: {destination}\n" for title, destination in destinations.items()
    )
    configuration = workdir / "qrscp.ini"
    configuration.write_text(
        f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: 16382\nacse_timeout: 30\ndimse_timeout: 30\n"
        f"network_timeout: 30\nbind_address: {_HOST}\ninstance_location: {inbox}\n"
        f"database_location: {workdir / 'instances.sqlite'}\nlog_identifier: True\n{hosts}"
    )
    argv: list[str | Path] = [*RUN_PYNETDICOM, "pynetdicom", "qrscp", "-v", "-c", configuration]
    return serving(argv, port, "QRSCP", workdir, inbox)


def _pixelmed(workdir: Path, destinations: Mapping[str, int] = _NO_DESTINATIONS) -> AbstractContextManager[RunningScp]:
    """Run PixelMed's server, which keeps its index in HSQLDB."""
    require("pixelmed")
    port, inbox = free_port(), workdir / "inbox"
    inbox.mkdir(parents=True)
    properties = {
        "Dicom.ListeningPort": port,
        "Dicom.CalledAETitle": "PIXELMED",
        "Dicom.CallingAETitle": "PIXELMED",
        "Dicom.PrimaryDeviceType": "ARCHIVE",
        "Dicom.RemoteAEs": " ".join(destinations),
        "Application.SavedImagesFolderName": inbox,
        "Application.DatabaseFileName": workdir / "index",
        "WebServer.ListeningPort": free_port(),
    }
    for title, destination in destinations.items():
        properties[f"Dicom.RemoteAEs.{title}.CalledAETitle"] = title
        properties[f"Dicom.RemoteAEs.{title}.HostNameOrIPAddress"] = _HOST
        properties[f"Dicom.RemoteAEs.{title}.Port"] = destination
    configuration = workdir / "pixelmed.properties"
    configuration.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    class_path = f"{PIXELMED_JAR}:{PIXELMED_JAR.parent / 'hsqldb.jar'}"
    argv: list[str | Path] = ["java", "-cp", class_path, "com.pixelmed.server.DicomAndWebStorageServer", configuration]
    return serving(argv, port, "PIXELMED", workdir, inbox)


query_scps: Mapping[str, Callable[..., AbstractContextManager[RunningScp]]] = {
    "dcmqrscp": scps["dcmqrscp"],
    "orthanc": scps["orthanc"],
    "pynetdicom": _qrscp,
    "pixelmed": _pixelmed,
    "odil": scps["odil"],
    "dcmjs": scps["dcmjs"],
}
"""By peer: runs it with its files below an empty directory; `destinations=` are the ports of AE titles for C-MOVE."""
