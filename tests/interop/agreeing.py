"""Peers that negotiate what others do not: dcmjs and pynetdicom, with windows, identities, extensions and TLS."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association as PynetdicomAssociation

from dicomio import Address, Role
from tests.interop.ours import HOST
from tests.interop.peers import RunningScp, serving
from tests.interop.processes import DCMJS_DIRECTORY, free_port, require, run
from tests.interop.pynetdicom_steady import mend

__all__ = ["DcmjsResult", "dcmjs_scp", "dcmjs_scu", "pynetdicom_scp", "pynetdicom_scu", "reports"]

SCRIPT = DCMJS_DIRECTORY / "agreements.mjs"
MARK = "REPORT "
PYNETDICOM = "PYNETDICOM"

mend()


@dataclass(frozen=True, slots=True)
class DcmjsResult:
    """What came of dcmjs as SCU.

    Attributes:
        code: 0 if every response was a success.
        facts: what it reported: window, identityResponse, rejected, failed, order.
        output: everything it wrote.
    """

    code: int
    facts: Mapping[str, Any]
    output: str


def reports(output: str) -> list[Mapping[str, Any]]:
    """What the script reported, in order."""
    return [json.loads(line.removeprefix(MARK)) for line in output.splitlines() if line.startswith(MARK)]


def dcmjs_scu(port: int, **options: Any) -> DcmjsResult:
    """Have dcmjs send C-ECHOs, by default one."""
    require("dcmjs")
    given = {"port": port, "called": "ARCHIVE", "count": 1, **options}
    result = run(["node", SCRIPT, json.dumps(given)])
    facts: dict[str, Any] = {}
    for each in reports(result.output):
        facts |= each
    return DcmjsResult(result.code, facts, result.output)


@contextmanager
def dcmjs_scp(workdir: Path, **options: Any) -> Iterator[RunningScp]:
    """Run dcmjs as a server that answers one request at a time, unless told otherwise."""
    require("dcmjs")
    workdir.mkdir()
    given = {"listen": True, "port": free_port(), "hold": 1, **options}
    with serving(["node", SCRIPT, json.dumps(given)], given["port"], "DCMJS", workdir, workdir) as scp:
        yield scp


@asynccontextmanager
async def pynetdicom_scp(
    *sop_classes: str, handlers: Any = (), roles: Mapping[str, Role] = MappingProxyType({}), **options: Any
) -> AsyncIterator[Address]:
    """Run pynetdicom as a server in a thread.

    `roles` are those that requestors may have for some of the SOP classes, `options` those of its `start_server`.
    """
    require("pynetdicom")
    entity = AE(PYNETDICOM)
    for uid in sop_classes:
        entity.add_supported_context(uid)
    for uid, role in roles.items():
        entity.add_supported_context(uid, scu_role=Role.SCU in role, scp_role=Role.SCP in role)
    server = await asyncio.to_thread(
        entity.start_server, (HOST, 0), block=False, evt_handlers=list(handlers), **options
    )
    assert server is not None
    assert server.socket is not None
    try:
        yield Address(PYNETDICOM, HOST, server.socket.getsockname()[1])
    finally:
        await asyncio.to_thread(server.shutdown)


async def pynetdicom_scu(
    port: int, *sop_classes: str, use: Callable[[PynetdicomAssociation], Any], **options: Any
) -> Any:
    """Open an association with pynetdicom in a thread, and return what `use` makes of it; `None` without one."""

    require("pynetdicom")

    def associate() -> Any:
        entity = AE(PYNETDICOM)
        for uid in sop_classes:
            entity.add_requested_context(uid)
        association = entity.associate(HOST, port, ae_title="ARCHIVE", **options)
        if not association.is_established:
            return None
        found = use(association)
        association.release()
        return found

    return await asyncio.to_thread(associate)
