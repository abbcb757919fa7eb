"""Fixtures that start peers, and the peers' logs in the report of a test that failed."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interop.holdings import Holding, build_holdings
from tests.interop.peers import RunningScp, scps
from tests.interop.samples import Sample, build_samples

StartScp = Callable[..., RunningScp]

_LOG_CHARACTERS = 8000


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sample]:
    """Return the samples by name; their files are not to be changed."""
    return build_samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="session")
def holdings(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Holding]:
    """Return the objects that are queried and retrieved; their files are not to be changed."""
    return build_holdings(tmp_path_factory.mktemp("holdings"))


@pytest.fixture
def start_scp(tmp_path: Path) -> Iterator[StartScp]:
    """Return a function that runs a server until the end of the test, given its name and the options it takes."""
    with ExitStack() as stack:

        def start(name: str, **options: Any) -> RunningScp:
            return stack.enter_context(scps[name](tmp_path / name, **options))

        yield start


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """Return an empty directory for an SCU."""
    directory = tmp_path / "scu"
    directory.mkdir()
    return directory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the peers of a failed test wrote to their logs."""
    report = yield
    directory = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and directory is not None:
        for log in sorted(directory.rglob("*.log")):
            text = log.read_text(errors="replace")
            report.sections.append((str(log.relative_to(directory)), text[-_LOG_CHARACTERS:]))
    return report
