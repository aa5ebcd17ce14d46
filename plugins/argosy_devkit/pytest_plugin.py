"""A pytest plugin: a fixture that starts library servers, and the broken promise in the report of a contract test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

pytest.register_assert_rewrite("argosy_devkit.contracts")

from argosy_devkit.client import LibraryServer, ServerFactory  # noqa: E402
from argosy_devkit.contracts.promises import HEADING, promise_of  # noqa: E402


@pytest.fixture
def library_server() -> Iterator[ServerFactory]:
    """Start library servers: ``library_server(lease_mode="strict", ttfb=0.02)``; they stop when the test ends."""
    with ExitStack() as servers:

        def start(**options: Any) -> LibraryServer:
            return servers.enter_context(LibraryServer(**options))

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the promise that a plugin broke, and where it is documented."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        promise = promise_of(item.cls, item.function, call.excinfo.value if call.excinfo else None)
        if promise is not None:
            report.sections.append((HEADING, promise))
    return report
