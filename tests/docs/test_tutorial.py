"""The tutorial, done as a reader does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT, blocks

TUTORIAL = ROOT / "docs" / "tutorial" / "first-download.md"
PLACEHOLDER = "http://127.0.0.1:8000/login"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the tutorial's commands need a POSIX shell")
def test_it_can_be_done(tmp_path: Path) -> None:
    (program,) = blocks("python", document=TUTORIAL)
    (configuration,) = blocks("toml", document=TUTORIAL)
    shell = [block.text for block in blocks("sh", document=TUTORIAL) if block.mark == "tutorial"]
    (tmp_path / "library.py").write_text(program.text, "utf-8")
    library = subprocess.Popen(
        [sys.executable, "library.py"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert library.stdout is not None
        login = library.stdout.readline().strip().removeprefix("login page: ")
        assert PLACEHOLDER in configuration.text
        (tmp_path / "argosy.toml").write_text(configuration.text.replace(PLACEHOLDER, login), "utf-8")
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "".join(shell)],
            cwd=tmp_path,
            env={**os.environ, "PATH": programs},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        library.communicate("\n", timeout=20)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 items" in done.stderr
    assert "1 login, 0 refusals" in done.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (report["counts"]["done"], report["logins"], report["refusals"]) == (12, 1, 0)
    assert len(list((tmp_path / "library").glob("*/*.bin"))) == 24
