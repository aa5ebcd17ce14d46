"""Moving sessions to another store: they are never lost, doubled, or moved while in use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.cli.move import move, move_sessions
from argosy.errors import ArgosyError, BusyError, ConfigError, SessionInDoubt, StoreError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.lease import in_doubt
from argosy.leasing.manager import doubt_error
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy.plugins.manager import PluginManager
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from argosy_plugins.cookie_stores.sqlite import SqliteStore

COOKIES = (Cookie("token", "s3cret", "library.example"),)
RECORD = SessionRecord(
    "default",
    41,
    COOKIES,
    logins=3,
    logged_in=1e9,
    credentials={"refresh_token": "s3cret, too"},
    refreshes=2,
    learned={"calm": 2},
    synced=True,
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[CookieStore, CookieStore]]:
    context = PluginContext(base=tmp_path, directory=tmp_path)
    made = JsonFileStore({"path": "old.json"}, context), SqliteStore({"path": "new.sqlite"}, context)
    yield made
    for store in made:
        store.close()


def without_stamps(record: SessionRecord | None) -> SessionRecord | None:
    return record and replace(record, generation=0, saved=0.0, boot="", synced=False)


def test_a_session_moves_with_all_it_has(stores: tuple[CookieStore, CookieStore]) -> None:
    source, target = stores
    others = [
        replace(RECORD, session=name, status=status) for name, status in (("a/b", Status.DEAD), ("c", Status.RETIRED))
    ]
    for record in (RECORD, *others):
        source.write(record, 0)
    assert move_sessions(source, target) == ("a/b", "c", "default")
    assert (source.sessions(), target.sessions()) == ([], ["a/b", "c", "default"])
    for record in (RECORD, *others):
        found = target.read(record.session)
        assert without_stamps(found) == without_stamps(record)
        assert found is not None
        assert found.synced
        assert found.generation > RECORD.generation
        assert not in_doubt(found, target.scope)
    for store in stores:
        for name in ("default", "c"):
            hold = store.acquire(name, wait=False)
            assert hold is not None, "it is held no more"
            hold()


def test_one_of_several(stores: tuple[CookieStore, CookieStore]) -> None:
    source, target = stores
    for name in ("one", "two"):
        source.write(replace(RECORD, session=name), 0)
    assert move_sessions(source, target, ["two"]) == ("two",)
    assert (source.sessions(), target.sessions()) == (["one"], ["two"])
    assert move_sessions(source, target, ["two", "one"]) == ("one",), "as after a call that was cut off"
    with pytest.raises(ConfigError, match=r"no session 'one' or 'two' in json-file"):
        move_sessions(source, target, ["two", "one"])


def test_keep_leaves_it_where_it_is(stores: tuple[CookieStore, CookieStore]) -> None:
    source, target = stores
    source.write(RECORD, 0)
    move_sessions(source, target, keep=True)
    assert source.read("default") == RECORD
    assert without_stamps(target.read("default")) == without_stamps(RECORD)


def test_what_is_there_is_replaced_only_by_force(stores: tuple[CookieStore, CookieStore]) -> None:
    source, target = stores
    source.write(RECORD, 0)
    there = SessionRecord("default", 99, logins=1)
    target.write(there, 0)
    with pytest.raises(ConfigError, match=r"sqlite \(.*new.sqlite\) already has a session 'default'") as error:
        move_sessions(source, target)
    assert error.value.hint == "--force replaces it."
    assert (source.read("default"), target.read("default")) == (RECORD, there)
    move_sessions(source, target, force=True)
    found = target.read("default")
    assert without_stamps(found) == without_stamps(RECORD)
    assert found is not None
    assert found.generation > 99
    assert source.sessions() == []


@pytest.mark.parametrize("which", [0, 1], ids=["source", "target"])
def test_a_session_in_use_is_not_moved(stores: tuple[CookieStore, CookieStore], which: int) -> None:
    source, target = stores
    for name in ("a", "default"):
        source.write(replace(RECORD, session=name), 0)
    hold = stores[which].acquire("default")
    assert hold is not None
    with pytest.raises(BusyError, match=r"'default' .* is in use; nothing was moved") as error:
        move_sessions(source, target)
    assert error.value.exit_code == 6
    assert (source.sessions(), target.sessions()) == (["a", "default"], [])
    hold()
    assert move_sessions(source, target) == ("a", "default")


@pytest.mark.parametrize("keep", [True, False])
def test_a_session_in_doubt_is_not_moved(stores: tuple[CookieStore, CookieStore], keep: bool) -> None:
    source, target = stores
    source.write(replace(RECORD, session="a"), 0)
    doubtful = replace(RECORD, status=Status.IN_FLIGHT, holder=this_holder())
    source.write(doubtful, 0)
    with pytest.raises(SessionInDoubt, match="is in doubt") as error:
        move_sessions(source, target, keep=keep, force=True)
    assert "argosy login CONFIG" in (error.value.hint or "")
    assert (source.read("default"), source.sessions(), target.sessions()) == (doubtful, ["a", "default"], [])


def test_what_is_not_there_is_said(stores: tuple[CookieStore, CookieStore]) -> None:
    source, target = stores
    with pytest.raises(ConfigError, match="There is no session in json-file"):
        move_sessions(source, target)
    source.write(RECORD, 0)
    with pytest.raises(ConfigError, match="There is no session 'defualt'") as error:
        move_sessions(source, target, ["defualt"])
    assert "'default'" in (error.value.hint or "")


def test_stores_that_are_no_use_are_refused(stores: tuple[CookieStore, CookieStore], tmp_path: Path) -> None:
    source, _ = stores
    source.write(RECORD, 0)
    memory = MemoryStore({}, PluginContext())
    for pair in ((source, memory), (memory, source)):
        with pytest.raises(ConfigError, match="'memory' keeps sessions for one process alone"):
            move_sessions(*pair)
    (tmp_path / "link.json").symlink_to("old.json")
    same = JsonFileStore({"path": "link.json"}, PluginContext(base=tmp_path))
    with pytest.raises(ConfigError, match=r"Both stores are the file .*old.json"):
        move_sessions(source, same)
    assert source.read("default") == RECORD


# -- what fails, or is killed, on the way


class Fails(SqliteStore):
    """Fails at one of its writes or syncs."""

    fails_at = 0
    calls = 0

    def write(self, record: SessionRecord, expected: int) -> None:
        self._count()
        super().write(record, expected)

    def sync(self) -> None:
        self._count()
        super().sync()

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise StoreError("The disk is full.", hint="Make room.")


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_target_that_fails_leaves_one_good_session(
    stores: tuple[CookieStore, CookieStore], tmp_path: Path, fails_at: int
) -> None:
    source, _ = stores
    source.write(RECORD, 0)
    target = Fails({"path": "fails.sqlite"}, PluginContext(base=tmp_path, directory=tmp_path))
    target.fails_at = fails_at
    with pytest.raises(StoreError, match="disk is full"):
        move_sessions(source, target)
    left, arrived = source.read("default"), target.read("default")
    assert left is not None
    assert (without_stamps(left) == without_stamps(RECORD)) is (arrived is None), "one of them is good"
    assert move_sessions(source, target) == ("default",)
    assert source.sessions() == []
    assert without_stamps(target.read("default")) == without_stamps(RECORD)
    target.close()


#: Moves a session in forks of itself; each is killed before another call that changes a store.
_KILLED = """
import os, signal, sys
from argosy.interfaces.cookie_store import CookieStore
from argosy.cli.move import move_sessions
from test_move import RECORD, open_pair

def kill_before(number):
    left = [number]
    def counted(function):
        def call(self, *args):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(self, *args)
        return call
    from argosy_plugins.cookie_stores.json_file import JsonFileStore
    from argosy_plugins.cookie_stores.sqlite import SqliteStore
    for cls in (JsonFileStore, SqliteStore):
        for name in ("write", "sync", "remove"):
            setattr(cls, name, counted(getattr(cls, name)))

root, backwards, number = sys.argv[1], sys.argv[2] == "backwards", 0
while True:
    number += 1
    folder = os.path.join(root, str(number))
    os.mkdir(folder)
    pid = os.fork()
    if pid == 0:
        source, target = open_pair(folder, backwards)
        source.write(RECORD, 0)
        kill_before(number)
        move_sessions(source, target)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(code)
    if code != -signal.SIGKILL:
        break
"""


def open_pair(folder: str, backwards: bool) -> tuple[CookieStore, CookieStore]:
    context = PluginContext(base=Path(folder), directory=Path(folder))
    made = JsonFileStore({"path": "c.json"}, context), SqliteStore({"path": "c.sqlite"}, context)
    return (made[1], made[0]) if backwards else made


@pytest.mark.parametrize("direction", ["forwards", "backwards"])
def test_killed_at_any_step_it_is_never_gone_and_never_twice(tmp_path: Path, direction: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), direction],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    codes = done.stdout.split()
    assert (codes[-1], set(codes[:-1])) == ("0", {"-9"}), done.stderr
    assert len(codes) > 7
    for number in range(1, len(codes)):
        source, target = open_pair(str(tmp_path / str(number)), direction == "backwards")
        found = [record for store in (source, target) if (record := store.read("default")) is not None]
        assert found, "it is gone"
        assert all(record.cookies == COOKIES for record in found)
        usable = [record for record in found if not in_doubt(record, source.scope)]
        assert len(usable) < 2, "two stores have a token that may be sent"
        for record in found:
            if record not in usable:
                assert "Run the same `argosy session copy` again" in (doubt_error(record).hint or "")
        if source.read("default") is not None:
            assert move_sessions(source, target) == ("default",)
        assert source.sessions() == []
        assert without_stamps(target.read("default")) == without_stamps(RECORD)
        for store in (source, target):
            store.close()


def test_a_move_that_was_cut_off_is_not_taken_for_another_session(
    stores: tuple[CookieStore, CookieStore],
) -> None:
    """A target that has another login of the same name is not what the move has written."""
    source, target = stores
    mark = replace(this_holder(), thread="argosy session copy: idle")
    source.write(replace(RECORD, status=Status.IN_FLIGHT, holder=mark), 0)
    newer = SessionRecord("default", 60, logins=4, logged_in=2e9)
    target.write(newer, 0)
    with pytest.raises(ConfigError, match="already"):
        move_sessions(source, target)
    with pytest.raises(SessionInDoubt, match="was interrupted"):
        move_sessions(source, target, keep=True)
    assert target.read("default") == newer
    move_sessions(source, target, force=True)
    assert without_stamps(target.read("default")) == without_stamps(RECORD)


def test_a_move_that_lost_power_is_written_again(stores: tuple[CookieStore, CookieStore]) -> None:
    """The copy is from another boot, was not synced, and has not been used since."""
    source, target = stores
    mark = replace(this_holder(), thread="argosy session copy: idle", boot="before")
    source.write(replace(RECORD, status=Status.IN_FLIGHT, holder=mark, boot="before"), 0)
    target.write(replace(RECORD, generation=43, synced=False, boot="before"), 0)
    assert move_sessions(source, target) == ("default",)
    found = target.read("default")
    assert found is not None
    assert not in_doubt(found, target.scope)
    assert without_stamps(found) == without_stamps(RECORD)


# -- stores as a person names them


def moved(source: Any, target: Any) -> tuple[str, ...]:
    return move(source, target, (), PluginManager(), PluginContext(), keep=False, force=False)


def test_by_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    config = tmp_path / "deep" / "argosy.json"
    config.write_text(
        '{"cookie_store": {"use": "sqlite", "path": "c.sqlite"}, "auth": {"use": "cookies", "path": "x"}}'
    )
    store = argosy.open_store("json-file")
    store.write(RECORD, 0)
    store.close()
    ways: list[Any] = [
        "json-file",
        config,
        "sqlite:b.sqlite",
        {"use": "json-file", "path": "d.json"},
        "netscape:d.txt",
        {"use": "sqlite", "path": "e.sqlite"},
        str(config),
    ]
    for source, target in pairwise(ways):
        assert moved(source, target) == ("default",)
    assert sorted(path.name for path in tmp_path.rglob("*.sqlite")) == ["b.sqlite", "c.sqlite", "e.sqlite"]
    assert argosy.open_store("sqlite", path="deep/c.sqlite").sessions() == ["default"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("sqlit:c.sqlite", "'sqlit:c.sqlite' is neither a configuration file nor a cookie store"),
        ("argosy.toml", "'argosy.toml' is neither"),
        ({"path": "c.sqlite"}, "is not valid"),
        ({"use": "sqlite", "pth": "c.sqlite"}, "pth"),
        ({"use": "nothing"}, "nothing"),
        ("memory:here", 'unknown key "path"'),
        ("memory", "keeps sessions for one process alone"),
        ({"use": "sqlite", "encrypt": "a passphrase that stands here"}, "encrypt"),
        (".", "'.' is neither"),
    ],
)
def test_what_names_no_store_is_refused(given: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[Callable[[], object]] = [
        lambda: moved(given, "json-file"),
        lambda: moved("json-file", given),
    ]
    for call in calls:
        with pytest.raises(ArgosyError) as error:
            call()
        assert error.value.exit_code == 2
        assert why in str(error.value)
        assert "passphrase that stands" not in str(error.value)


def test_on_the_command_line_a_store_may_be_a_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = argosy.open_store("json-file")
    store.write(RECORD, 0)
    store.close()
    command = [sys.executable, "-m", "argosy", "session", "copy", "--from", "json-file", "--to"]
    assert subprocess.call([*command, '{"use": "sqlite"']) == 2
    assert "The options of a cookie store are not valid JSON" in capfd.readouterr().err
    assert subprocess.call([*command, ' {"use": "sqlite", "path": "e.sqlite"}']) == 0
    assert argosy.open_store("sqlite", path="e.sqlite").sessions() == ["default"]
