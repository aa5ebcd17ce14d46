"""The commands of the page about other programs, run as a reader does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT, blocks
from missing import need
from voyage import Voyage

PAGE = ROOT / "docs" / "how-to" / "use-other-programs.md"


@pytest.mark.slow
def test_it_can_be_done(place: Voyage) -> None:
    need("curl")
    (configuration, *_) = blocks("toml", document=PAGE)
    shell = [block.text for block in blocks("sh", document=PAGE) if block.mark == "server"]
    assert len(shell) == 2

    def here(text: str) -> str:
        return text.replace("/books/", "/files/").replace("https://library.example", place.server.url)

    (place.root / "argosy.toml").write_text(here(configuration.text), "utf-8")
    place.server.reset_stats()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here("".join(shell))],
        cwd=place.root,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all((place.root / f"{number}.html").exists() for number in range(1, 8))
    stats = place.server.stats()
    assert (stats.logins, stats.refused, stats.anonymous, stats.replaced_tokens_sent) == (0, 0, 0, 0)
