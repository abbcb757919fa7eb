"""What every test gets: dicomio may not block the event loop, and properties are checked the same way everywhere."""

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest
from blockbuster import BlockBuster, BlockBusterFunction

from dicomio.pace import PACE

# The machines that run the tests are busy with other things too: an example has no deadline, the test has one.
# The examples are few, so that the suite is run often; HYPOTHESIS_PROFILE=thorough looks at many more, and "again" at
# fewer, for a Python after another one.
hypothesis.settings.register_profile("here", deadline=None, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("again", deadline=None, max_examples=5, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "here"))

PACKAGE = ["dicomio"]
# What dicomio reads and writes files with, beyond the calls that blockbuster knows of itself.
FILE_CALLS = ("fsync", "open", "preadv", "writev")


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """What a shell starts in the background ignores SIGINT, and so would everything that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def event_loop_never_blocked() -> Iterator[None]:
    """A call from dicomio that would block a running event loop raises `blockbuster.BlockingError` instead."""
    blockbuster = BlockBuster(scanned_modules=PACKAGE)
    # What takes a lock is often the standard library's business, and a signal may come while it does.
    del blockbuster.functions["threading.Lock.acquire"]
    for name in FILE_CALLS:
        blockbuster.functions[f"os.{name}"] = BlockBusterFunction(os, name, scanned_modules=PACKAGE)
    for function in blockbuster.functions.values():
        function.can_block_in("dicomio/pace.py", {"timed"})
    blockbuster.activate()
    yield
    blockbuster.deactivate()


@pytest.fixture(autouse=True)
def slow_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are taken to be slow, so that a test does not depend on how quick they have been before."""
    monkeypatch.setattr(PACE, "asked", 1 << 62)
    monkeypatch.setattr(PACE, "run", 0)


@pytest.fixture(params=[False, True], ids=["slow", "quick"])
def either_pace(request: pytest.FixtureRequest, slow_files: None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The test runs twice: files are slow, and files are quick whatever they take."""
    if request.param:
        monkeypatch.setattr(PACE, "asked", 0)
    return bool(request.param)
