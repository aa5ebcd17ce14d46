"""The manual pages render without a warning; `test_generated.py` proves that they are those of the commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from documents import ROOT
from missing import need

PAGES = ROOT / "docs" / "man"


def man(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run man as in a pipe of 80 columns."""
    settings = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", **environment}
    return subprocess.run(["man", *words], env=settings, capture_output=True, text=True, check=True)


def test_man_finds_the_page_of_a_command_by_its_words(tmp_path: Path) -> None:
    need("man")
    (tmp_path / "man1").symlink_to(PAGES)
    page = man("argosy", "download", MANPATH=str(tmp_path))
    assert page.stderr == ""
    assert "argosy download [OPTIONS] [CONFIG|LIST] [URL]...\n" in page.stdout
    assert "       -j, --max-workers N\n" in page.stdout
    assert (
        "argosy-download - Download the items of a configuration, or URLs"
        in man("argosy-download", MANPATH=str(tmp_path)).stdout
    )


@pytest.mark.slow
def test_no_page_has_a_warning() -> None:
    need("man", "mandoc")
    pages = sorted(PAGES.glob("*.1"))
    assert PAGES / "argosy.1" in pages
    assert man("--warnings", "-l", *pages).stderr == ""
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []  # before its first release
