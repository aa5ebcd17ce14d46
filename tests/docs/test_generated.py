"""What is generated is fresh, and what the reference lists by hand is complete."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import argosy_schemas
from argosy import errors
from argosy.events import EventKind
from documents import ROOT

REFERENCE = ROOT / "docs" / "reference"


def test_generated_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_page_that_is_not_fresh_is_named_with_the_command_that_helps(tmp_path: Path) -> None:
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = docs / "reference" / "configuration.md"
    page.write_text(page.read_text("utf-8").replace("max_workers", "max_wokers"), "utf-8")
    command = [sys.executable, str(docs / "generate.py")]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "configuration.md" in done.stderr
    assert "python docs/generate.py" in done.stderr
    subprocess.run(command, capture_output=True, check=True)
    assert page.read_bytes() == (REFERENCE / "configuration.md").read_bytes()


@pytest.mark.parametrize("command", [(), ("download",), ("config", "new"), ("demo",)])
def test_the_help_on_the_page_is_what_is_printed(command: tuple[str, ...]) -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "-m", "argosy", *command, "--help"]
    printed = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"```text\n{printed}```\n" in (REFERENCE / "command-line.md").read_text("utf-8")


def test_every_error_stands_beside_its_exit_code() -> None:
    rows = (REFERENCE / "exit-codes.md").read_text("utf-8").splitlines()
    known = [error for _, error in inspect.getmembers(errors, inspect.isclass)]
    missing = [
        error.__name__
        for error in known
        if issubclass(error, errors.ArgosyError)
        and error is not errors.ArgosyError
        and not any(row.startswith(f"| {error.exit_code} |") and f"`{error.__name__}`" in row for row in rows)
    ]
    assert missing == []


def test_every_event_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "watch-a-run.md").read_text("utf-8")
    assert [kind.value for kind in EventKind if f"`{kind.value}`" not in page] == []


def test_every_key_of_a_manifest_is_explained() -> None:
    page = (REFERENCE / "manifest.md").read_text("utf-8")
    assert [key for key in argosy_schemas.load("manifest-line.v1")["properties"] if f"`{key}`" not in page] == []
