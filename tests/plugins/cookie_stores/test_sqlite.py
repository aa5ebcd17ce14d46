"""The SQLite store: whose file it is, who may read it, and what happens when it is moved under a running program."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.errors import GenerationMoved, StoreDamaged, StoreError
from argosy.interfaces.base import PluginContext
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores.sqlite import SqliteStore

RECORD = SessionRecord("default", 1, (Cookie("token", "s3cret", "library.example"),), logins=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cookies.sqlite"


def open_store(path: Path) -> SqliteStore:
    return SqliteStore({"path": str(path)}, PluginContext(base=path.parent, directory=path.parent))


def keep(path: Path) -> None:
    """Leave a closed store with one session."""
    store = open_store(path)
    store.write(RECORD, 0)
    store.close()


def change(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.execute(sql)
    db.commit()
    db.close()


def somebodys_database(path: Path) -> None:
    change(path, "CREATE TABLE letters (text TEXT)")


def somebodys_log(path: Path) -> None:
    """A database of somebody else with changes that are not in the file yet."""
    program = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA journal_mode = WAL');"
        "db.execute('CREATE TABLE letters (text TEXT)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


@pytest.mark.parametrize("make", [somebodys_database, somebodys_log], ids=lambda make: make.__name__)
def test_a_database_of_somebody_else_is_left_as_it_is(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    store = open_store(path)
    for call in (lambda: store.read("default"), lambda: store.write(RECORD, 0), store.sessions):
        with pytest.raises(StoreDamaged, match="not a session database of argosy") as error:
            call()
        assert "a path of its own" in (error.value.hint or "")
    store.close()
    after = {file.name: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith(".lock")}
    assert after == before


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "UPDATE sessions SET record = replace(record, 's3cret', 'stolen')",
            "checksum of the session 'default'",
        ),
        ("UPDATE sessions SET session = 'other'", "checksum of the session 'other'"),
        ("UPDATE sessions SET generation = 7", "holds another one"),
        ("UPDATE sessions SET record = x'ff00'", "checksum"),
        ("UPDATE sessions SET record = CAST(x'ff00' AS TEXT)", "UTF-8"),
        ("DROP TABLE sessions", "no such table"),
        ("ALTER TABLE sessions DROP COLUMN checksum", "no such column"),
    ],
)
def test_a_damaged_row_is_refused_and_left_as_it_is(path: Path, sql: str, why: str) -> None:
    keep(path)
    change(path, sql)
    before = path.read_bytes()
    store = open_store(path)
    name = "other" if "other" in sql else "default"
    calls: list[Callable[[], object]] = [
        lambda: store.read(name),
        lambda: store.write(SessionRecord(name, 2), 1),
    ]
    for call in calls:
        with pytest.raises(StoreDamaged, match=why) as error:
            call()
        assert "argosy login CONFIG" in (error.value.hint or "")
        assert "s3cret" not in str(error.value)
    store.close()
    assert path.read_bytes() == before


def test_one_damaged_session_leaves_the_others(path: Path) -> None:
    keep(path)
    store = open_store(path)
    store.write(SessionRecord("other", 1), 0)
    store.close()
    change(path, "UPDATE sessions SET checksum = 'x' WHERE session = 'default'")
    assert open_store(path).read("other") == SessionRecord("other", 1)


# -- who may read it


def test_a_file_that_others_may_read_is_taken_back(path: Path) -> None:
    keep(path)
    path.chmod(0o664)
    notices: list[str] = []
    store = SqliteStore({"path": str(path)}, PluginContext(notice=notices.append))
    assert store.read("default") == RECORD
    assert len(notices) == 1
    assert "(mode 664)" in notices[0]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert len(modes) == 4, "the file, its lock, and what SQLite keeps beside it while it is open"
    assert set(modes.values()) == {0o600}
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
def test_a_file_of_somebody_else_that_others_may_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cookies.sqlite")
        keep(path)
        path.chmod(0o666)
        path.parent.chmod(0o777)
        store = open_store(path)
        os.seteuid(54321)
        try:
            with pytest.raises(StoreError, match="Other users can read the session") as error:
                store.read("default")
        finally:
            os.seteuid(0)
        assert f"chmod 600 {path}" in (error.value.hint or "")


# -- what lies under its name


@pytest.mark.parametrize("what", ["directory", "fifo", "below a file"])
def test_what_is_no_file_is_refused(path: Path, what: str) -> None:
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("a file", "utf-8")
        path = path / "cookies.sqlite"
    store = open_store(path)
    with pytest.raises(StoreError):
        store.read("default")
    with pytest.raises(StoreError):
        store.write(RECORD, 0)


def test_two_names_of_one_file_are_one_store(path: Path) -> None:
    keep(path)
    other = path.with_name("link")
    other.symlink_to(path)
    first, second = open_store(path), open_store(other)
    hold = first.acquire("default")
    assert hold is not None
    assert second.acquire("default", wait=False) is None
    hold()
    first.write(SessionRecord("default", 2), 1)
    assert second.read("default") == SessionRecord("default", 2)
    first.close()
    second.close()
    assert not second.path.is_symlink()


def test_a_file_that_is_replaced_is_read_anew(path: Path) -> None:
    keep(path)
    running = open_store(path)
    assert running.read("default") == RECORD
    other = path.with_name("other.sqlite")
    store = open_store(other)
    store.write(SessionRecord("default", 9), 0)
    store.close()
    other.replace(path)
    assert running.read("default") == SessionRecord("default", 9)
    running.write(SessionRecord("default", 10), 9)
    running.close()
    assert open_store(path).read("default") == SessionRecord("default", 10)


def test_a_file_that_is_removed_is_no_session_and_is_not_made_by_reading(path: Path) -> None:
    keep(path)
    running = open_store(path)
    assert running.read("default") == RECORD
    path.unlink()
    assert (running.read("default"), running.sessions()) == (None, [])
    running.sync()
    running.remove("default")
    with pytest.raises(GenerationMoved):
        running.write(SessionRecord("default", 2), 1)
    assert not path.exists()
    running.write(SessionRecord("default", 1), 0)
    assert open_store(path).read("default") == SessionRecord("default", 1), "nothing of the old file came back"
    running.close()


def test_a_log_that_was_left_behind_is_not_taken_over(path: Path) -> None:
    """Whoever removes the file alone must not find its last sessions in the next one."""
    keep(path)
    program = (
        "import os, sys, argosy; from argosy.models.session import SessionRecord\n"
        "store = argosy.open_store('sqlite', path=sys.argv[1])\n"
        "store.write(SessionRecord('default', 2, logins=7), 1); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert Path(f"{path}-wal").stat().st_size > 0
    path.unlink()
    store = open_store(path)
    store.write(SessionRecord("new", 1), 0)
    assert store.sessions() == ["new"]
    store.close()


def test_a_process_that_was_killed_while_it_made_the_file_is_cleared_away(path: Path) -> None:
    half = path.with_name(f".{path.name}.tmp")
    half.write_bytes(b"half a database")
    Path(f"{half}-wal").write_bytes(b"and its log")
    keep(path)
    assert open_store(path).read("default") == RECORD
    assert [file.name for file in path.parent.iterdir() if ".tmp" in file.name] == []


def test_closing_leaves_one_file(path: Path) -> None:
    keep(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["cookies.sqlite", "cookies.sqlite.lock"]


def test_a_second_store_in_one_program_does_not_drop_the_locks_of_the_first(path: Path) -> None:
    """POSIX drops all of a process's locks on a file when any descriptor of it is closed; SQLite knows, and so must we."""
    if not Path("/proc/locks").exists():
        pytest.skip("this system does not list its locks in /proc/locks")
    first = open_store(path)
    first.write(RECORD, 0)
    inode = path.stat().st_ino

    def locks() -> int:
        return sum(f":{inode} " in line and "POSIX" in line for line in Path("/proc/locks").read_text().splitlines())

    before = locks()
    assert before, "SQLite holds a lock on an open database"
    second = open_store(path)
    assert second.read("default") == RECORD
    second.close()
    assert locks() == before
    first.close()
