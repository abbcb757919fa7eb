"""Functions of any kind, called in one way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio.from_thread
import pytest

from dicomio.calling import awaitable, call


def where() -> str:
    """The name of the thread one is in: the event loop's, or a worker's."""
    return "loop" if threading.current_thread() is threading.main_thread() else "worker"


async def native(number: int) -> tuple[int, str]:
    await asyncio.sleep(0)
    return number + 1, where()


def plain(number: int) -> tuple[int, str]:
    return number + 1, where()


def back(number: int) -> tuple[int, str]:
    """From its thread it calls back into the event loop."""
    return anyio.from_thread.run(native, number)


def wrapper(number: int) -> Any:
    return native(number)


class Native:
    async def __call__(self, number: int) -> tuple[int, str]:
        return await native(number)

    async def method(self, number: int) -> tuple[int, str]:
        return await native(number)


class Plain:
    def __call__(self, number: int) -> tuple[int, str]:
        return plain(number)


@pytest.mark.parametrize(
    "func, thread",
    [
        (native, "loop"),
        (partial(native), "loop"),
        (Native(), "loop"),
        (Native().method, "loop"),
        (plain, "worker"),
        (partial(plain), "worker"),
        (Plain(), "worker"),
        (back, "loop"),
        (wrapper, "loop"),
    ],
)
@pytest.mark.parametrize("way", [call, lambda func, number: awaitable(func)(number)])
async def test_functions_of_every_kind(way: Callable[..., Any], func: Callable[..., Any], thread: str) -> None:
    assert await way(func, 1) == (2, thread)


async def test_an_async_generator_is_what_its_function_comes_to() -> None:
    async def numbers(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    assert [number async for number in await call(numbers, 3)] == [0, 1, 2]


@pytest.mark.parametrize("func", [native, plain, wrapper])
async def test_what_they_raise_is_raised(func: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="str"):
        await call(func, "one")
