"""Nothing may be left running, and no error unnoticed, when a test of associations is over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.association.peers import settled


@pytest.fixture(autouse=True)
async def nothing_left_behind() -> AsyncIterator[None]:
    """Every task that a test started has ended with it, and asyncio had no error to complain of."""
    before = asyncio.all_tasks()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    yield
    await settled()
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()
    assert complaints == []
