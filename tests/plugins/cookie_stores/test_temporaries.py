"""Temporary files of the json-file store: private, made ahead, and never left behind for long."""

from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.interfaces.base import PluginContext
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores._temporaries import AHEAD, Temporaries
from argosy_plugins.cookie_stores.json_file import JsonFileStore


def _left(folder: Path) -> list[Path]:
    return sorted(folder.glob(".cookies.json.*.tmp"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cookies.json"


def test_they_are_private_and_made_ahead(path: Path) -> None:
    umask = os.umask(0)
    try:
        made = Temporaries(path)
        made.make_ahead()
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(file.stat().st_mode) for file in _left(path.parent)] == [0o600] * AHEAD
    taken = [made.take() for _ in range(AHEAD + 1)]
    assert len({name for _, name in taken}) == AHEAD + 1
    for fd, _ in taken:
        os.close(fd)


def test_they_go_with_their_owner(path: Path) -> None:
    made = Temporaries(path)
    made.make_ahead()
    assert _left(path.parent)
    del made
    gc.collect()
    assert _left(path.parent) == []


def test_those_of_a_dead_process_are_removed_and_those_of_a_living_one_are_not(path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    others = [path.with_name(f".cookies.json.{pid}-0.tmp") for pid in (dead.pid, os.getppid())]
    for file in others:
        file.touch()
    Temporaries(path).make_ahead()
    assert [file.exists() for file in others] == [False, True]


def test_a_store_that_misses_one_makes_another(path: Path) -> None:
    store = JsonFileStore({}, PluginContext(base=path.parent, directory=path.parent))
    release = store.acquire("default")
    assert release is not None
    release()
    assert len(_left(path.parent)) == AHEAD
    for file in _left(path.parent):
        file.unlink()
    store.write(SessionRecord("default", 1), 0)
    assert store.read("default") == SessionRecord("default", 1)
