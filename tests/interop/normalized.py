"""Scripts that speak DIMSE-N with other implementations, and tell in lines of JSON what they heard."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomio import Address
from tests.interop.ours import HOST
from tests.interop.processes import DCMJS_DIRECTORY, RUN_PYNETDICOM, free_port, require, run, running, wait_for

__all__ = ["SCRIPTS", "NormalizedScp", "ask", "heard", "normalized_scp"]

# What runs a script that takes the same arguments in either role.
SCRIPTS: Mapping[str, Sequence[str | Path]] = {
    "pynetdicom": [*RUN_PYNETDICOM, Path(__file__).parent / "pynetdicom_normalized.py"],
    "dcmjs": ["node", DCMJS_DIRECTORY / "normalized.mjs"],
}


def heard(output: str) -> list[dict[str, Any]]:
    """The lines of JSON in what a script has written."""
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"')]


@dataclass
class NormalizedScp:
    """A peer that keeps instances.

    Attributes:
        address: where it listens.
        log: returns what it has written so far.
    """

    address: Address
    log: Callable[[], str]

    async def told(self, count: int) -> list[dict[str, Any]]:
        """What it heard, once it has heard so much; the test's timeout ends it."""
        return await asyncio.to_thread(wait_for, lambda: heard(self.log()), lambda found: len(found) >= count)


@asynccontextmanager
async def normalized_scp(name: str, workdir: Path, *sop_classes: str) -> AsyncIterator[NormalizedScp]:
    """Runs a peer as SCP."""
    require(name)
    port, log = free_port(), workdir / "scp.log"
    peer = running([*SCRIPTS[name], "scp", str(port), *sop_classes], [port], log, workdir, patience=0.2)
    await asyncio.to_thread(peer.__enter__)
    try:
        yield NormalizedScp(Address(name.upper(), HOST, port), log.read_text)
    finally:
        await asyncio.to_thread(peer.__exit__, None, None, None)


async def ask(name: str, port: int, called: str, sop_classes: Sequence[str], requests: Any) -> list[dict[str, Any]]:
    """Has a peer send requests to a port of this host; returns what it heard."""
    require(name)
    argv = [*SCRIPTS[name], "scu", str(port), called, *sop_classes]
    result = await asyncio.to_thread(run, argv, given=json.dumps(requests))
    assert result.code == 0, result.output
    return heard(result.output)
