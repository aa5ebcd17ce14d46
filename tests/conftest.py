"""What tests at every level share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# a busy machine is no reason to fail
settings.register_profile("argosy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("argosy")

# Containers often set it; then each of the many processes of a test run compiles argosy anew, which doubles its CPU time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest.register_assert_rewrite("lease_suite")

import warm  # noqa: E402
from argosy_devkit import LibraryServer  # noqa: E402
from voyage import Voyage, set_out  # noqa: E402

warm.use_for_servers()

#: Starts a library server and sets a download out on it: ``set_sail(items=9, lease_mode="revoke")``.
SetSail = Callable[..., Voyage]

SERVER_OPTIONS = {"lease_mode", "ttfb", "rate", "faults", "grace", "slide_every", "commit", "max_sessions"}
SERVER_OPTIONS |= {
    "cookie_attributes",
    "second_cookie",
    "noise_cookie",
    "date_offset",
    "on_too_many",
    "seed",
    "headers",
    "password",
}


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the variants of tests that start worker processes as slow; those with threads stay fast."""
    for item in items:
        if re.search("multiprocess|processes|spawn|forkserver", item.name.partition("[")[2]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test hold back another, nor the programs of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def set_sail(tmp_path: Path, library_server: Callable[..., LibraryServer]) -> SetSail:
    """Set out on a server of its own; options are the server's, the manifest's or the configuration's."""

    def start(*, items: int, **options: Any) -> Voyage:
        server_options = {name: options.pop(name) for name in SERVER_OPTIONS & options.keys()}
        return set_out(tmp_path, library_server(**server_options), items=items, **options)

    return start
