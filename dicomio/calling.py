"""Functions of other people, called in one way whatever their kind."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec

import anyio.to_thread

__all__ = ["awaitable", "call", "checked_handler"]

P = ParamSpec("P")


def is_kind(kind: Callable[[object], bool], func: Callable[..., Any]) -> bool:
    """Whether a function is of a kind, or an object that is called like one."""
    return kind(func) or kind(getattr(func, "__call__", None))  # noqa: B004


async def call(func: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
    """What a function comes to; an async generator function, to its generator.

    A plain function runs in a worker thread, where `anyio.from_thread.run` works.
    """
    if is_kind(inspect.isasyncgenfunction, func):
        return func(*args, **kwargs)
    if is_kind(inspect.iscoroutinefunction, func):
        return await func(*args, **kwargs)
    result = await anyio.to_thread.run_sync(partial(func, *args, **kwargs))
    # What looks like a plain function may be a wrapper around an async one.
    return await result if inspect.isawaitable(result) else result


def checked_handler(func: Callable[..., Any], what: str = "a request") -> None:
    """Looks whether a function can be called with one argument, which is all that a handler gets.

    Raises:
        TypeError: it cannot.
    """
    if not callable(func):
        raise TypeError(f"{func!r} is given where a handler is expected, a function that gets {what}")
    try:
        signature = inspect.signature(func)
    except ValueError:
        # There are functions written in C that do not tell.
        return
    try:
        signature.bind(what)
    except TypeError as error:
        name = getattr(func, "__qualname__", repr(func))
        raise TypeError(f"{name}{signature} cannot be a handler: it is called with {what} and nothing else") from error


def awaitable(func: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
    """A function as one to await."""
    return func if is_kind(inspect.iscoroutinefunction, func) else partial(call, func)
