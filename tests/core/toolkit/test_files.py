"""Files that are written atomically."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.toolkit.files import atomic_write


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_write(path) as file:
        file.write("new \udc80")
        assert path.read_text() == "old"
    assert path.read_text() == "new \\udc80"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
