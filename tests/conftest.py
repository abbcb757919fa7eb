"""What every test gets: dicomio may not block the event loop, and properties are checked the same way everywhere."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from blockbuster import BlockBuster, BlockBusterFunction

# The machines that run the tests are busy with other things too: an example has no deadline, the test has one.
# The examples are few, so that the suite is run often; HYPOTHESIS_PROFILE=thorough looks at many more.
hypothesis.settings.register_profile("here", deadline=None, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "here"))

PACKAGE = ["dicomio"]
# What dicomio reads and writes files with, beyond the calls that blockbuster knows of itself.
FILE_CALLS = ("fsync", "open", "preadv", "writev")


@pytest.fixture(scope="session", autouse=True)
def event_loop_never_blocked() -> Iterator[None]:
    """A call from dicomio that would block a running event loop raises `blockbuster.BlockingError` instead."""
    blockbuster = BlockBuster(scanned_modules=PACKAGE)
    for name in FILE_CALLS:
        blockbuster.functions[f"os.{name}"] = BlockBusterFunction(os, name, scanned_modules=PACKAGE)
    blockbuster.activate()
    yield
    blockbuster.deactivate()
