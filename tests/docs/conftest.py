"""A folder in which what stands in the documents can be run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from argosy.cli.config import to_toml
from voyage import Voyage

SetSail = Callable[..., Voyage]


@pytest.fixture
def place(set_sail: SetSail) -> Voyage:
    """A library server, and a folder with ``argosy.toml``, ``password.txt`` and a session in ``cookies.json``."""
    voyage = set_sail(items=6, max_workers=4)
    text = "".join(f"{key} = {to_toml(value)}\n" for key, value in voyage.config.items())
    (voyage.root / "argosy.toml").write_text(text, "utf-8")
    login = [sys.executable, "-m", "argosy", "login", "argosy.toml"]
    subprocess.run(login, cwd=voyage.root, check=True, capture_output=True)
    return voyage
