"""The pytest plugin: a fixture that starts library servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from argosy.testing.client import LibraryServer, ServerFactory


@pytest.fixture
def library_server() -> Iterator[ServerFactory]:
    """Start library servers: ``library_server(discipline="strict", ttfb=0.02)``; all are stopped in the end."""
    with ExitStack() as servers:

        def start(**options: Any) -> LibraryServer:
            return servers.enter_context(LibraryServer(**options))

        yield start
