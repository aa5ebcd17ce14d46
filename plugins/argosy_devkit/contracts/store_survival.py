"""The contract of cookie stores, part three: damage, full disks, kills, forks, and file permissions."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from argosy.errors import StoreDamaged, StoreError
from argosy.interfaces.cookie_store import CookieStore
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_devkit.contracts.store_processes import (
    SESSION,
    StoreSpec,
    next_record,
    other_process,
    write_next,
)
from argosy_devkit.contracts.store_suite import StoreSuite

_TOKEN = "a-token-that-is-easily-found"  # noqa: S105 - a token that was never good

#: Ways to damage a file.
DAMAGE: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "empty": lambda data: b"",
        "cut": lambda data: data[: len(data) // 2],
        "half of it zeros": lambda data: data[: len(data) // 2].ljust(len(data), b"\0"),
        "another token": lambda data: data.replace(_TOKEN.encode(), _TOKEN.upper().encode()),
        "another text": lambda data: b"Dear Charles,\nthe engine is late again.\n",
    }
)


class SurvivalRules(StoreSuite):
    """A store never starts empty, shows a session to others, or returns half a record, whatever happens to it.

    The tests damage the files that `files` returns.
    """

    @pytest.mark.parametrize("what", list(DAMAGE))
    def test_what_is_damaged_is_refused_and_left_as_it_is(self, spec: StoreSpec, tmp_path: Path, what: str) -> None:
        """A damaged store raises an error with a hint for readers and writers; it never starts empty."""
        store = spec.make()
        store.write(SessionRecord(SESSION, 3, (Cookie("token", _TOKEN, "library.example"),), logins=1), 0)
        store.sync()
        store.close()
        files = self.files(tmp_path)
        if not files:
            pytest.skip(f"{self.plugin.name} names no file that could be damaged")
        for file in files:
            before = file.read_bytes()
            after = DAMAGE[what](before)
            if after == before:
                pytest.skip(f"{file.name} does not show the token, so it cannot be damaged this way")
            file.write_bytes(after)
        damaged = {file: file.read_bytes() for file in files}
        store = spec.make()
        calls: list[Callable[[], object]] = [
            lambda: store.read(SESSION),
            lambda: store.write(SessionRecord(SESSION, 1), 0),
            lambda: store.write(SessionRecord(SESSION, 4), 3),
        ]
        for call in calls:
            with pytest.raises(StoreDamaged) as error:
                call()
            assert error.value.hint, "an error about damage must say what to do"
            assert _TOKEN.lower() not in str(error.value).lower(), "an error must not show the token"
        store.close()
        assert {file: file.read_bytes() for file in files} == damaged, "a damaged file must be left as it is"

    def test_nobody_else_can_read_it(self, spec: StoreSpec, tmp_path: Path) -> None:
        """Only the owner can read files that may contain a token, whatever the umask."""
        self._needs_processes()
        with other_process(spec) as other:
            other.ask("open_for_all")
            other.ask("write")
            other.ask("acquire")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
            assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}, (
                "a file of the store can be read by others"
            )

    def test_a_write_that_fails_leaves_the_old_record(self, store: CookieStore, spec: StoreSpec) -> None:
        """On a full disk a write raises an error and the old record remains; with free space, writes work again."""
        self._needs_processes()
        with other_process(spec) as other:
            last = [other.ask("write") for _ in range(3)][-1]
            other.ask("fill_the_disk")
            if _refusal(lambda: other.ask("write")) is None:
                last += 1  # it keeps no files on this machine
            assert other.ask("read") == next_record(last), "a write that failed must leave the old record"
            other.ask("make_room")
            assert other.ask("write") == last + 1, "a store must work again when there is room"
        assert store.read(SESSION) == next_record(last + 1)

    def test_a_killed_writer_leaves_a_whole_record(self, spec: StoreSpec) -> None:
        """A writer that is killed leaves the old record or the new one, and loses no record it reported as written."""
        self._needs_processes()
        for kill_after, pause in (
            (1, 0.0),
            (17, 0.0005),
            (23, 0.001),
            (40, 0.002),
        ):  # kills it at different points of its work
            with other_process(spec) as other:
                other.tell("scribble")
                last = [other.answer() for _ in range(kill_after)][-1]
                time.sleep(pause)
                other.kill()
                last = max([last, *other.left()])
            store = spec.make()
            try:
                record = store.read(SESSION)
                assert record is not None, "the record that a killed process wrote is gone"
                assert record == next_record(record.generation), "a killed writer left half a record"
                assert record.generation in (last, last + 1), "a record that was written is gone"
            finally:
                store.close()

    def test_locks_that_do_nothing_are_found(self, store: CookieStore, spec: StoreSpec) -> None:
        """If `flock` never excludes anybody, as on some network file systems, a store refuses to work or does not need it."""
        self._needs_processes()
        store.write(SessionRecord(SESSION, 1), 0)
        with other_process(spec) as other:
            if _refusal(lambda: other.ask("open_without_locks") or other.ask("acquire")) is None:
                assert store.acquire(SESSION, wait=False) is None, (
                    "a store whose lock does not lock must refuse to work"
                )

    def test_a_fork_breaks_nothing(self, store: CookieStore, spec: StoreSpec) -> None:
        """A fork of a process with an open store may use it or is refused; the parent continues to work."""
        self._needs_processes()
        write_next(store)
        with other_process(spec) as other:
            assert other.ask("write") == 2
            last = 3 if other.ask("fork") else 2
            assert other.ask("write") == last + 1, "a process must be able to continue after a fork"
        assert write_next(store) == last + 2


def _refusal(call: Callable[[], object]) -> StoreError | None:
    """Return the store's refusal, which must have a hint, or None."""
    try:
        call()
    except StoreError as error:
        if not error.hint:
            raise AssertionError(f"an error of a store must say what to do: {error}") from error
        return error
    return None
