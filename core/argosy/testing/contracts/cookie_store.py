"""The contract of cookie stores as a test suite.

Subclass it in your tests, and run pytest::

    from argosy.testing.contracts.cookie_store import CookieStoreContract

    class TestMyStore(CookieStoreContract):
        plugin = MyStore

        def options(self, tmp_path):
            return {"path": "sessions.db"}
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.contracts.cookie_store import CookieStore, Scope
from argosy.cookies.cookie import Cookie
from argosy.errors import GenerationMoved
from argosy.session.record import Holder, SessionRecord, Status
from argosy.testing.contracts.store_processes import SESSION, StoreRecipe, count, other_process
from argosy.testing.contracts.waiting import Thread, wait_until_still

_OTHERS = ("archive", "Archive", "archive 2", "library.example", "shelf/left", "библиотека")


def _records() -> dict[str, SessionRecord]:
    """Return records with everything in them that a session may bring."""
    token = Cookie("token", "t" * 6000, "library.example", "/", 2e9, secure=True, http_only=True)
    wide = Cookie("caf\xe9", 'na\xefve "quoted" \\ value', "example.com", "/b\xfccher/", host_only=False)
    foreign = Cookie("имя", "значение \U0001f4d6", "library.example", "/книги")
    many = tuple(Cookie(f"c{n}", str(n), "library.example", f"/{n}", n + 0.25) for n in range(300))
    holder = Holder("host-1", 4711, 123456789, "argosy_0", 1754000000.125, "b00t-id")
    plain = SessionRecord(SESSION, 1, (Cookie("token", "1", "library.example"),), logins=1)
    return {
        "without cookies": SessionRecord(SESSION, 1),
        "a long token": replace(plain, cookies=(token,)),
        "latin-1 and quotes": replace(plain, cookies=(wide,)),
        "characters beyond latin-1": replace(plain, cookies=(foreign,)),
        "300 cookies": replace(plain, cookies=many),
        "in flight": replace(plain, status=Status.IN_FLIGHT, holder=holder),
        "dead": replace(plain, status=Status.DEAD, logins=17),
        "what was learned": replace(plain, learned={"lease": "exclusive", "calm": 3, "names": ["a", "b"]}),
        "saved and synced": replace(plain, saved=1754000000.5, boot="b00t-id", synced=True),
    }


class CookieStoreContract:
    """Each test is one promise of `argosy.contracts.CookieStore`; what needs other processes runs from `Scope.HOST` on."""

    #: The store's class; other processes must be able to import it.
    plugin: ClassVar[type[CookieStore]]

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        """Return options that open an empty store, the same for the same folder; they can be pickled."""
        return {}

    @pytest.fixture
    def recipe(self, tmp_path: Path) -> StoreRecipe:
        """Return what opens the store, here and in other processes."""
        return StoreRecipe(self.plugin, self.options(tmp_path), tmp_path)

    @pytest.fixture
    def store(self, recipe: StoreRecipe) -> Any:
        """Open the store."""
        store = recipe.make()
        yield store
        store.close()

    @pytest.fixture
    def again(self, recipe: StoreRecipe, store: CookieStore) -> Any:
        """Open the same store once more, where more than one process can have it open."""
        if store.scope < Scope.HOST:
            yield store
            return
        other = recipe.make()
        yield other
        other.close()

    def _needs_processes(self) -> None:
        if self.plugin.scope < Scope.HOST:
            pytest.skip(f"the scope of {self.plugin.name} is one process")

    # -- records

    def test_an_absent_record_is_none(self, store: CookieStore) -> None:
        """An empty store has no record and no session."""
        assert store.read(SESSION) is None, "a session that never was must read as None"
        assert store.sessions() == [], "an empty store must have no sessions"

    @pytest.mark.parametrize("what", list(_records()))
    def test_a_record_comes_back_as_it_was_written(
        self, store: CookieStore, again: CookieStore, what: str
    ) -> None:
        """Nothing of a record is lost or changed."""
        record = _records()[what]
        store.write(record, 0)
        assert store.read(SESSION) == record, f"a record with {what} must come back as it was written"
        assert again.read(SESSION) == record, f"a record with {what} must be the same in a store opened anew"

    def test_a_record_is_created_with_0_expected(self, store: CookieStore) -> None:
        """0 stands for "there is none"."""
        store.write(SessionRecord(SESSION, 1), 0)
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 1, logins=1), 0)
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "creating it twice must change nothing"

    @pytest.mark.parametrize("expected", [0, 1, 3, 99])
    def test_a_wrong_generation_is_refused(self, store: CookieStore, expected: int) -> None:
        """A compare-and-set that fails writes nothing."""
        store.write(SessionRecord(SESSION, 2), 0)
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 100, logins=1), expected)
        assert store.read(SESSION) == SessionRecord(SESSION, 2), "a refused write must change nothing"

    def test_an_absent_record_has_generation_0_only(self, store: CookieStore) -> None:
        """Whoever expects a record that was removed is refused."""
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 2), 1)
        assert store.read(SESSION) is None, "a refused write must not create a record"

    def test_each_generation_is_won_once(self, store: CookieStore) -> None:
        """Of many writers that expect the same generation, exactly one gets through."""
        last = 40
        won: list[int] = []

        def write() -> None:
            while True:
                record = store.read(SESSION) or SessionRecord(SESSION)
                if record.generation >= last:
                    return
                try:
                    store.write(replace(record, generation=record.generation + 1), record.generation)
                except GenerationMoved:
                    continue
                won.append(record.generation + 1)

        for thread in [Thread(write) for _ in range(8)]:
            thread.result()
        assert sorted(won) == list(range(1, last + 1)), "each generation must be won by exactly one writer"

    def test_a_reader_sees_whole_records(self, store: CookieStore, again: CookieStore) -> None:
        """A reader gets the old record or the new one, whatever is being written, and never an older one."""
        stop = threading.Event()

        def record(generation: int) -> SessionRecord:
            cookies = tuple(Cookie(f"c{n}", str(generation), "library.example") for n in range(30))
            return SessionRecord(SESSION, generation, cookies, logins=generation)

        def read(reader: CookieStore) -> None:
            last = 1
            while not stop.is_set():
                found = reader.read(SESSION)
                assert found is not None, "a record must never be missing while another one is written"
                assert found == record(found.generation), "a reader must never see parts of two records"
                assert found.generation >= last, "a reader must never see an older record after a newer one"
                last = found.generation

        store.write(record(1), 0)
        readers = [Thread(partial(read, reader)) for reader in (store, again)]
        try:
            for generation in range(2, 80):
                store.write(record(generation), generation - 1)
        finally:
            stop.set()
        for reader in readers:
            reader.result()

    def test_sessions_are_independent(self, store: CookieStore) -> None:
        """Each name has a record and a hold of its own."""
        for number, name in enumerate(_OTHERS, 1):
            store.write(SessionRecord(name, number), 0)
        holds = [store.acquire(name, wait=False) for name in _OTHERS]
        assert None not in holds, "a hold on one session must not keep others from theirs"
        for number, name in enumerate(_OTHERS, 1):
            assert store.read(name) == SessionRecord(name, number), (
                f"the session {name!r} must keep its record"
            )
        for hold in holds:
            assert hold is not None
            hold()

    def test_sessions_are_listed_sorted(self, store: CookieStore) -> None:
        """They are listed by name."""
        for name in reversed(_OTHERS):
            store.write(SessionRecord(name, 1), 0)
        assert store.sessions() == sorted(_OTHERS), "the names of all sessions must be listed, sorted"

    def test_remove(self, store: CookieStore, again: CookieStore) -> None:
        """A removed session was never there; the others stay."""
        for name in (SESSION, "other"):
            store.write(SessionRecord(name, 5), 0)
        store.remove(SESSION)
        assert again.read(SESSION) is None, "a removed session must read as None"
        assert store.sessions() == ["other"], "removing a session must leave the others"
        store.remove(SESSION)
        store.write(SessionRecord(SESSION, 1), 0)
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "a removed session can be created again"

    def test_sync(self, store: CookieStore) -> None:
        """It can be called at any time, and changes nothing."""
        store.sync()
        store.write(SessionRecord(SESSION, 1), 0)
        store.sync()
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "sync must not change a record"

    # -- holds

    def test_a_hold_excludes(self, store: CookieStore, again: CookieStore) -> None:
        """One holder at a time; `wait=False` does not wait."""
        hold = store.acquire(SESSION)
        assert hold is not None, "acquire must wait, and never give up, where wait is true"
        for other in (store, again):
            refused = Thread(partial(other.acquire, SESSION, wait=False)).result()
            assert refused is None, "a session that is held must not be granted to anybody else"
        hold()
        free = again.acquire(SESSION, wait=False)
        assert free is not None, "a session must be free after its holder's release"
        free()

    def test_a_hold_does_not_keep_from_reading_and_writing(
        self, store: CookieStore, again: CookieStore
    ) -> None:
        """The compare-and-set alone decides about writes."""
        hold = store.acquire(SESSION)
        assert hold is not None
        Thread(lambda: again.write(SessionRecord(SESSION, 1), 0)).result()
        assert Thread(lambda: again.read(SESSION)).result() == SessionRecord(SESSION, 1)
        hold()

    def test_release_may_be_called_by_any_thread_and_twice(self, store: CookieStore) -> None:
        """A second call does nothing, above all not to the next holder."""
        first = store.acquire(SESSION)
        assert first is not None
        Thread(first).result()
        second = store.acquire(SESSION, wait=False)
        assert second is not None, "a release by another thread must free the session"
        first()
        assert store.acquire(SESSION, wait=False) is None, (
            "a second release must not end somebody else's hold"
        )
        second()

    def test_one_at_a_time(self, store: CookieStore) -> None:
        """Many threads never meet inside."""
        inside: list[int] = []
        met: list[int] = []

        def work() -> None:
            for _ in range(15):
                release = store.acquire(SESSION)
                assert release is not None, "acquire must wait, and never give up, where wait is true"
                inside.append(1)
                met.append(len(inside))
                inside.pop()
                release()

        for thread in [Thread(work) for _ in range(8)]:
            thread.result()
        assert set(met) == {1}, "two threads held one session at the same time"

    def test_waiters_are_served_in_order(self, store: CookieStore) -> None:
        """Within one process, whoever has waited longest is next."""
        order: list[int] = []
        hold = store.acquire(SESSION)
        assert hold is not None

        def wait(number: int) -> None:
            release = store.acquire(SESSION)
            assert release is not None
            order.append(number)
            release()

        waiters = []
        for number in range(5):
            waiters.append(Thread(partial(wait, number)))
            wait_until_still(waiters[-1])
        hold()
        for waiter in waiters:
            waiter.result()
        assert order == sorted(order), "the threads of one process must be served first come, first served"

    # -- other processes

    def test_two_processes_exclude_each_other(self, store: CookieStore, recipe: StoreRecipe) -> None:
        """A hold reaches as far as the scope says, and `wait=False` never waits for another process."""
        self._needs_processes()
        with other_process(recipe) as other:
            other.ask("acquire")
            assert store.acquire(SESSION, wait=False) is None, "a session held by another process was granted"
            waiting = Thread(lambda: store.acquire(SESSION))
            wait_until_still(waiting)
            assert waiting.is_alive(), "a session held by another process was granted"
            other.ask("release")
            hold = waiting.result()
            assert other.ask("try") is False, "a session held here was granted to another process"
            hold()
            assert other.ask("try") is True, "a session that was released must be free for another process"

    def test_a_killed_holder_frees_the_session(self, store: CookieStore, recipe: StoreRecipe) -> None:
        """A holder that dies loses the session by itself, and the mark it left is seen."""
        self._needs_processes()
        store.write(SessionRecord(SESSION, 7), 0)
        with other_process(recipe) as other:
            other.ask("mark")
            other.kill()
            release = Thread(lambda: store.acquire(SESSION)).result()
            assert release is not None, "a session whose holder was killed must be granted"
            record = store.read(SESSION)
            release()
        assert record is not None, "the record of a session whose holder was killed is gone"
        assert (record.generation, record.status) == (8, Status.IN_FLIGHT), (
            "the mark of a killed holder is gone"
        )
        assert record.holder is not None, "a mark must keep who made it"
        assert record.holder.pid == other.process.pid, "a mark must keep who made it"

    def test_no_lease_of_four_processes_is_lost(self, store: CookieStore, recipe: StoreRecipe) -> None:
        """Four processes with 50 leases each: all 200 are seen."""
        self._needs_processes()
        store.write(SessionRecord(SESSION, 1, (Cookie("count", "0", "library.example"),), logins=1), 0)
        with (
            other_process(recipe) as first,
            other_process(recipe) as second,
            other_process(recipe) as third,
        ):
            others = (first, second, third)
            for other in others:
                other.ask("ready")
            for other in others:
                other.tell("count 50")
            count(store, 50)
            for other in others:
                other.answer()
        record = store.read(SESSION)
        assert record is not None
        assert record.cookies[0].value == "200", "a token that was stored under a lease was lost"
        assert record.generation == 401, "each lease must raise the generation twice: the mark and the commit"
        assert record.status is Status.IDLE, "the last lease must leave the session idle"
