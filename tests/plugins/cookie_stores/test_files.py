"""The file of a cookie store: what has not changed is not read again, and whatever changes it is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy_plugins.cookie_stores._files import MOST_REPLACED, StoreFile

LIMIT = 1000


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    file = StoreFile(tmp_path / "cookies.json", lambda message: None)
    file.write(b"first")
    assert file.read(LIMIT) == b"first"
    return file


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def replace(path: Path) -> None:
    """Replace the file as another process does, twice, so that the system may use the first inode number again."""
    for text in ("other", "again"):
        temporary = path.with_name("temporary")
        temporary.write_text(text)
        temporary.chmod(0o600)
        temporary.replace(path)


def write_in_place(path: Path) -> None:
    path.write_text("again")


def same_time(path: Path) -> None:
    before = path.stat()
    replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replace, write_in_place, same_time])
def test_a_change_of_another_program_is_seen(file: StoreFile, change: Callable[[Path], None]) -> None:
    os.utime(file.path, ns=(0, 0))
    assert file.read(LIMIT) == b"first"
    change(file.path)
    assert file.read(LIMIT) == b"again"
    file.write(b"own")
    assert file.read(LIMIT) == file.path.read_bytes() == b"own"


def test_a_file_that_is_gone_is_gone(file: StoreFile) -> None:
    file.path.unlink()
    assert file.read(LIMIT) is None


def test_an_unchanged_file_is_not_read_again(file: StoreFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(fd: int, size: int) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr(os, "read", read)
    assert file.read(LIMIT) == b"first"


def test_a_shared_file_is_read_each_time(tmp_path: Path) -> None:
    """A program that writes in place can leave size and time as they were."""
    path = tmp_path / "cookies.txt"
    file = StoreFile(path, lambda message: None, shared=True)
    file.write(b"first")
    time = path.stat().st_mtime_ns
    path.write_bytes(b"again")
    os.utime(path, ns=(time, time))
    assert file.read(LIMIT) == b"again"


def test_a_mode_that_lets_others_read_is_taken_back(file: StoreFile) -> None:
    file.path.chmod(0o644)
    assert file.read(LIMIT) == b"first"
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell its descriptors")
def test_replaced_versions_do_not_pile_up(file: StoreFile) -> None:
    before = descriptors()
    for number in range(5 * MOST_REPLACED):
        file.write(b"%d" % number)
        assert descriptors() <= before + MOST_REPLACED
    file.clean()
    assert descriptors() == before
    file.close()
    assert descriptors() == before - 1
