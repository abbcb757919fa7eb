"""Nothing may be left running when a test of associations is over."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.association.peers import settled


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncIterator[None]:
    """Every task that a test started has ended with it."""
    before = asyncio.all_tasks()
    yield
    await settled()
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()
