"""The contract of cookie stores, part two: one holder at a time, in threads and in processes."""

from __future__ import annotations

import time
from functools import partial

from argosy.interfaces.cookie_store import CookieStore
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord, Status
from argosy_devkit.contracts.store_processes import SESSION, StoreSpec, count, other_process
from argosy_devkit.contracts.store_suite import StoreSuite
from argosy_devkit.contracts.waiting import Thread, wait_until_still


class HoldRules(StoreSuite):
    """A session has one holder at a time, and each waiter gets it in turn. Tests with processes run from `Scope.HOST` on."""

    def test_a_hold_excludes(self, store: CookieStore, again: CookieStore) -> None:
        """There is one holder at a time; `wait=False` does not wait."""
        hold = store.acquire(SESSION)
        assert hold is not None, "acquire must wait, and never give up, if wait is true"
        for other in (store, again):
            refused = Thread(partial(other.acquire, SESSION, wait=False)).result()
            assert refused is None, "a session that is held must not be granted to anybody else"
        hold()
        free = again.acquire(SESSION, wait=False)
        assert free is not None, "a session must be free after its holder's release"
        free()

    def test_a_hold_does_not_keep_from_reading_and_writing(self, store: CookieStore, again: CookieStore) -> None:
        """Only the compare-and-set decides about writes; a hold blocks neither readers nor writers."""
        hold = store.acquire(SESSION)
        assert hold is not None
        Thread(lambda: again.write(SessionRecord(SESSION, 1), 0)).result()
        assert Thread(lambda: again.read(SESSION)).result() == SessionRecord(SESSION, 1)
        hold()

    def test_release_may_be_called_by_any_thread_and_twice(self, store: CookieStore) -> None:
        """A second release does nothing, least of all to the next holder."""
        first = store.acquire(SESSION)
        assert first is not None
        Thread(first).result()
        second = store.acquire(SESSION, wait=False)
        assert second is not None, "a release by another thread must free the session"
        first()
        assert store.acquire(SESSION, wait=False) is None, "a second release must not end somebody else's hold"
        second()

    def test_one_at_a_time(self, store: CookieStore) -> None:
        """Many threads never hold one session at the same time."""
        inside: list[int] = []
        met: list[int] = []

        def work() -> None:
            for _ in range(15):
                release = store.acquire(SESSION)
                assert release is not None, "acquire must wait, and never give up, if wait is true"
                inside.append(1)
                time.sleep(0.0002)  # lets other threads run
                met.append(len(inside))
                inside.pop()
                release()

        for thread in [Thread(work) for _ in range(8)]:
            thread.result()
        assert set(met) == {1}, "two threads held one session at the same time"

    def test_waiters_are_served_in_order(self, store: CookieStore) -> None:
        """Within one process, the longest waiter is next."""
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

    def test_two_processes_exclude_each_other(self, store: CookieStore, spec: StoreSpec) -> None:
        """A hold reaches as far as the scope says, and `wait=False` never waits for another process."""
        self._needs_processes()
        with other_process(spec) as other:
            other.ask("acquire")
            assert store.acquire(SESSION, wait=False) is None, "a session held by another process was granted"
            waiting = Thread(lambda: store.acquire(SESSION))
            wait_until_still(waiting)
            assert waiting.is_alive(), "a session held by another process was granted"
            other.ask("release")
            hold = waiting.result()
            assert other.ask("acquire at-once") is False, "a session held here was granted to another process"
            hold()
            assert other.ask("acquire at-once") is True, "a session that was released must be free for another process"

    def test_a_killed_holder_frees_the_session(self, store: CookieStore, spec: StoreSpec) -> None:
        """A dying holder frees the session, and its mark remains visible."""
        self._needs_processes()
        store.write(SessionRecord(SESSION, 7), 0)
        with other_process(spec) as other:
            other.ask("mark")
            other.kill()
            release = Thread(lambda: store.acquire(SESSION)).result()
            assert release is not None, "a session whose holder was killed must be granted"
            record = store.read(SESSION)
            release()
        assert record is not None, "the record of a session whose holder was killed is gone"
        assert (record.generation, record.status) == (8, Status.IN_FLIGHT), "the mark of a killed holder is gone"
        assert record.holder is not None, "a mark must keep who made it"
        assert record.holder.pid == other.process.pid, "a mark must keep who made it"

    def test_no_change_of_four_processes_is_lost(self, store: CookieStore, spec: StoreSpec) -> None:
        """Four processes with 50 holds each: all 200 changes are visible."""
        self._needs_processes()
        store.write(SessionRecord(SESSION, 1, (Cookie("count", "0", "library.example"),), logins=1), 0)
        with (
            other_process(spec) as first,
            other_process(spec) as second,
            other_process(spec) as third,
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
        assert record.cookies[0].value == "200", "a change that was written under a hold was lost"
        assert record.generation == 401, "each hold wrote twice"
        assert record.status is Status.IDLE, "the last write must leave the session idle"
