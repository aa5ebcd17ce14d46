"""The contract of cookie stores, part one: records."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest

from argosy.errors import GenerationMoved
from argosy.interfaces.cookie_store import CookieStore
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, Holder, SessionRecord, Signer, Status
from argosy_devkit.contracts.plugin_suite import no_more_files, settled_files
from argosy_devkit.contracts.store_processes import SESSION, StoreSpec
from argosy_devkit.contracts.store_suite import StoreSuite
from argosy_devkit.contracts.waiting import Thread

#: Names of sessions that a store must keep apart.
OTHERS = ("archive", "Archive", "archive 2", "library.example", "shelf/left", "библиотека")


def _records() -> dict[str, SessionRecord]:
    """Return records with all possible contents."""
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
        "tokens in header fields": replace(
            plain,
            headers=(HeaderToken("X-Key", "k" * 3000, ("https://api.example", "http://[::1]:8080")),),
            credentials={"refresh_token": "r" * 3000, "имя": 'значение "📖"'},
            refreshes=12,
            expires=1754000000.5,
            due=1753999940.25,
            renewable=False,
            signer=Signer.STATELESS,
        ),
        "what was learned": replace(plain, learned={"lease": "exclusive", "calm": 3, "names": ["a", "b"]}),
        "saved and synced": replace(plain, saved=1754000000.5, boot="b00t-id", synced=True),
    }


class RecordRules(StoreSuite):
    """Records come back as they were written, and only the holder of the newest generation can replace them."""

    def test_closed_it_holds_nothing(self, spec: StoreSpec) -> None:
        """After close() no more files are open than before: programs may open many stores."""

        def use() -> CookieStore:
            store = spec.make()
            record = store.read(SESSION)
            number = record.generation if record else 0
            release = store.acquire(SESSION)
            store.write(SessionRecord(SESSION, number + 1), number)
            if release is not None:
                release()
            store.sync()
            store.close()
            return store

        first = use()  # files that imports keep open do not count
        files = settled_files()
        second = use()
        assert no_more_files(files), "close() must close the files and connections that its use opened"
        del first, second

    def test_an_absent_record_is_none(self, store: CookieStore) -> None:
        """An empty store has neither records nor sessions."""
        assert store.read(SESSION) is None, "a session that never existed must read as None"
        assert store.sessions() == [], "an empty store must have no sessions"

    @pytest.mark.parametrize("what", list(_records()))
    def test_a_record_comes_back_as_it_was_written(self, store: CookieStore, again: CookieStore, what: str) -> None:
        """No part of a record is lost or changed."""
        record = _records()[what]
        store.write(record, 0)
        assert store.read(SESSION) == record, f"a record with {what} must come back as it was written"
        assert again.read(SESSION) == record, f"a record with {what} must be the same in a reopened store"

    def test_a_record_is_created_with_0_expected(self, store: CookieStore) -> None:
        """Generation 0 means that there is no record."""
        store.write(SessionRecord(SESSION, 1), 0)
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 1, logins=1), 0)
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "creating it twice must change nothing"

    @pytest.mark.parametrize("expected", [0, 1, 3, 99])
    def test_a_wrong_generation_is_refused(self, store: CookieStore, expected: int) -> None:
        """A failed compare-and-set writes nothing."""
        store.write(SessionRecord(SESSION, 2), 0)
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 100, logins=1), expected)
        assert store.read(SESSION) == SessionRecord(SESSION, 2), "a refused write must change nothing"

    def test_an_absent_record_has_generation_0_only(self, store: CookieStore) -> None:
        """A write that expects a removed record is refused."""
        with pytest.raises(GenerationMoved):
            store.write(SessionRecord(SESSION, 2), 1)
        assert store.read(SESSION) is None, "a refused write must not create a record"

    def test_each_generation_is_won_once(self, store: CookieStore) -> None:
        """If several writers expect the same generation, exactly one succeeds."""
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
        """A reader gets the old record or the new one, never a mixture and never an older one."""
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
        """Each name has its own record and its own hold."""
        for number, name in enumerate(OTHERS, 1):
            store.write(SessionRecord(name, number), 0)
        holds = [store.acquire(name, wait=False) for name in OTHERS]
        assert None not in holds, "a hold on one session must not block others"
        for number, name in enumerate(OTHERS, 1):
            assert store.read(name) == SessionRecord(name, number), f"the session {name!r} must keep its record"
        for hold in holds:
            assert hold is not None
            hold()

    def test_sessions_are_listed_sorted(self, store: CookieStore) -> None:
        """Sessions are listed by name."""
        for name in reversed(OTHERS):
            store.write(SessionRecord(name, 1), 0)
        assert store.sessions() == sorted(OTHERS), "the names of all sessions must be listed, sorted"

    def test_remove(self, store: CookieStore, again: CookieStore) -> None:
        """Removing a session removes its record; the others remain."""
        for name in (SESSION, "other"):
            store.write(SessionRecord(name, 5), 0)
        store.remove(SESSION)
        assert again.read(SESSION) is None, "a removed session must read as None"
        assert store.sessions() == ["other"], "removing a session must leave the others"
        store.remove(SESSION)
        store.write(SessionRecord(SESSION, 1), 0)
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "a removed session can be created again"

    def test_sync(self, store: CookieStore) -> None:
        """sync() may be called at any time, and changes nothing."""
        store.sync()
        store.write(SessionRecord(SESSION, 1), 0)
        store.sync()
        assert store.read(SESSION) == SessionRecord(SESSION, 1), "sync must not change a record"
