"""Small real distributions for tests of what is installed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

#: name, source of its one module, entry points (name -> module or module:attribute), version
Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder that plays the part of site-packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def install(site: Path) -> Install:
    """Return what installs a distribution of one module, as an installer lays it out on the disk."""

    def install(
        name: str, source: str, entry_points: dict[str, str], version: str = "1.0", group: str = "argosy"
    ) -> Path:
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), "utf-8")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]), "utf-8")
        return site

    return install
