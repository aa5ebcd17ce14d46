"""The file stores with `encrypt`: no token on the disk, one key for a file, and a file that is left as it is without it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import ConfigError, StoreSealed
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy.toolkit.secrets import new_key
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.sqlite import SqliteStore

TOKEN = "a-token-that-is-easily-found"
RECORD = SessionRecord("default", 1, (Cookie("token", TOKEN, "library.example"),), logins=1)
OTHER = SessionRecord("other", 1, (Cookie("token", TOKEN, "library.example"),), logins=1)

Open = Callable[..., CookieStore]


@pytest.fixture(params=[JsonFileStore, SqliteStore], ids=["json-file", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open the store in `tmp_path` with a key of some name; none where it is None."""
    opened: list[CookieStore] = []

    def make(key: str | None = "KEY") -> CookieStore:
        options: dict[str, Any] = {"path": "cookies"}
        if key is not None:
            if key not in os.environ:
                monkeypatch.setenv(key, new_key())
            options["encrypt"] = {"env": key}
        opened.append(request.param(options, PluginContext(base=tmp_path, directory=tmp_path)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def on_disk(folder: Path) -> dict[str, bytes]:
    """Return all bytes in the folder but those of SQLite's index of its log, and locks."""
    names = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".lock", "-shm"))]
    return {path.name: path.read_bytes() for path in names}


def with_token(folder: Path) -> list[str]:
    return [name for name, data in on_disk(folder).items() if TOKEN.encode() in data]


def next_of(record: SessionRecord) -> SessionRecord:
    return SessionRecord(record.session, record.generation + 1, record.cookies, logins=1)


def test_no_token_is_on_the_disk_at_any_time(open_store: Open, tmp_path: Path) -> None:
    store, record = open_store(), RECORD
    for _ in range(50):
        store.write(record, record.generation - 1)
        assert with_token(tmp_path) == []
        record = next_of(record)
    hold = store.acquire("default")
    assert hold is not None
    hold()
    store.sync()
    store.close()
    assert with_token(tmp_path) == []
    again = open_store()
    assert (again.read("default"), again.sessions()) == (
        SessionRecord("default", 50, RECORD.cookies, logins=1),
        ["default"],
    )


def test_a_wrong_key_leaves_the_file_as_it_is(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.write(RECORD, 0)
    store.close()
    before = on_disk(tmp_path)
    for key, why in (
        ("ANOTHER", "cannot be opened with this key"),
        (None, "is encrypted, and no key for it is given"),
    ):
        store = open_store(key)
        calls: list[Callable[[], object]] = [
            lambda: store.read("default"),  # noqa: B023 - called at once
            lambda: store.write(RECORD, 0),  # noqa: B023 - called at once
            lambda: store.write(next_of(RECORD), 1),  # noqa: B023 - called at once
            lambda: store.read("other"),  # noqa: B023 - called at once
            lambda: store.write(OTHER, 0),  # noqa: B023 - called at once
        ]
        for call in calls:
            with pytest.raises(StoreSealed, match=why) as error:
                call()
            assert error.value.hint
        store.close()
        assert on_disk(tmp_path) == before
    assert open_store().read("default") == RECORD


def test_a_file_in_the_clear_is_refused_and_left_as_it_is(open_store: Open, tmp_path: Path) -> None:
    """Somebody who can write the file must not be able to give us a session; and nothing is left in the clear unsaid."""
    store = open_store(None)
    store.write(RECORD, 0)
    store.close()
    before = on_disk(tmp_path)
    store = open_store()
    calls: list[Callable[[], object]] = [
        lambda: store.read("default"),
        lambda: store.write(OTHER, 0),
        lambda: store.write(next_of(RECORD), 1),
    ]
    for call in calls:
        with pytest.raises(StoreSealed, match="keeps the session 'default' in the clear") as error:
            call()
        assert f"argosy session copy --from {store.name}:{tmp_path / 'cookies'} --to CONFIG" in (error.value.hint or "")
    store.close()
    assert on_disk(tmp_path) == before


def test_an_emptied_file_takes_a_key_or_none(open_store: Open, tmp_path: Path) -> None:
    store = open_store(None)
    for key in ("KEY", None, "ANOTHER"):
        store.write(RECORD, 0)
        store.remove("default")
        store.close()
        assert with_token(tmp_path) == []
        store = open_store(key)


def test_nothing_is_left_of_a_session_that_was_removed(open_store: Open, tmp_path: Path) -> None:
    """Not in a free part of the file, and not in SQLite's log; also while others have it open."""
    store, other = open_store(None), open_store(None)
    large = tuple(Cookie(f"c{n}", TOKEN * 20, "library.example") for n in range(40))  # pages of its own
    for generation in range(1, 4):
        store.write(SessionRecord("default", generation, large, logins=1), generation - 1)
    store.write(SessionRecord("other", 1), 0)
    assert other.read("default") is not None
    assert with_token(tmp_path)
    store.remove("default")
    assert with_token(tmp_path) == []
    assert other.read("default") is None
    assert store.sessions() == ["other"]


def test_what_sqlite_cannot_take_away_yet_is_said(tmp_path: Path) -> None:
    """A program that reads for hours keeps the log."""
    notices: list[str] = []
    store = SqliteStore({"path": "cookies"}, PluginContext(base=tmp_path, notice=notices.append))
    store.write(RECORD, 0)
    store._database.rows("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(tmp_path / "cookies", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    store.remove("default")
    reader.close()
    store.close()
    assert len(notices) == 1
    assert "remains in" in notices[0]
    assert with_token(tmp_path) == []


@pytest.mark.slow
def test_many_processes_with_one_key(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin with no file, agree on one salt, and count together."""
    processes = 8
    if open_store().name == "sqlite":
        processes = 3  # a passphrase takes each of them longer
        monkeypatch.setenv("KEY", "correct horse battery staple")
    program = (
        "import sys, argosy; from argosy_devkit.contracts.store_processes import count\n"
        "store = argosy.open_store(sys.argv[1], path=sys.argv[2], encrypt={'env': 'KEY'}); count(store, 20)"
    )
    command = [sys.executable, "-c", program, open_store().name, str(tmp_path / "cookies")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(processes)]
    ends = [(process.communicate(timeout=100)[1], process.returncode) for process in running]
    assert ends == [("", 0)] * processes
    found = open_store().read("default")
    assert found is not None
    assert [(cookie.name, cookie.value) for cookie in found.cookies] == [("count", str(20 * processes))]
    assert not any(b"count" in data for data in on_disk(tmp_path).values())


def test_a_secret_that_is_not_there_is_said_before_anything_is_touched(open_store: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KEY_OF_NOBODY"):
        SqliteStore({"encrypt": {"env": "KEY_OF_NOBODY"}}, PluginContext(base=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_library_that_is_missing_is_named(tmp_path: Path) -> None:
    """In a process of its own, where cryptography cannot be imported; plain stores do without it."""
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import argosy\n"
        "from argosy.models.session import SessionRecord\n"
        "store = argosy.open_store('json-file', path=sys.argv[1]); store.write(SessionRecord('default', 1), 0)\n"
        "try:\n    argosy.open_store('json-file', path=sys.argv[1], encrypt={'file': 'key'})\n"
        "except argosy.ArgosyError as error:\n    print(error.exit_code, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c.json")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith('2 "encrypt" needs the cryptography library')
    assert "pip install 'argosy[encrypt]'" in done.stdout
