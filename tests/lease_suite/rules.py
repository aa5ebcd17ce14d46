"""The rules of the lease on top of a store, part one: step by step, with a service in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from argosy.errors import LoginFailed, SessionInDoubt, SessionLost, StoreError
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.leasing.policy import LeaseMode
from argosy.models.session import HeaderToken, Holder, Status
from argosy_devkit.contracts.waiting import Thread, wait_until
from lease_suite.scenario import LeaseScenario
from lease_suite.service import ELSEWHERE, HOST, URL
from lease_suite.suite import LeaseSuite


def _pass(manager: Any) -> bool:
    with manager.first_in_turn():
        return True


class LeaseRules(LeaseSuite):
    """Each test is one rule of the lease, as `argosy.leasing` keeps it on the store that is tested."""

    @pytest.fixture
    def scenario(self, store: CookieStore) -> Any:
        """Return a session on the store; afterwards check that no replaced token was sent and no login was needless."""
        scenario = LeaseScenario(store, self.manager_class)
        yield scenario
        assert scenario.service.replaced_sent == 0, "a replaced token was sent"
        assert scenario.service.needless_logins == 0, "a login without a reason"

    # -- mark, send, settle, release

    def test_the_mark_is_there_before_anything_is_sent(self, scenario: LeaseScenario) -> None:
        """Generation and mark come in one write, with who sends."""
        manager = scenario.manager()
        manager.ensure()
        before, scenario.store.writes = scenario.record(), []
        lease = manager.lease(URL)
        lease.cookie_header(URL)
        record = scenario.record()
        assert record.status is Status.IN_FLIGHT, "the mark must be there before the first byte goes out"
        assert record.holder is not None, "a mark must say who sends"
        assert [write.generation for write in scenario.store.writes] == [before.generation + 1], (
            "generation and mark must come in one write"
        )
        assert not scenario.is_free(), "the session must be held while its token is on its way"

    def test_nothing_is_sent_where_the_mark_cannot_be_written(self, scenario: LeaseScenario) -> None:
        """A store that fails grants no lease, keeps its record, and does not stay held."""
        manager = scenario.manager()
        manager.ensure()
        before, scenario.store.error = scenario.record(), StoreError("no space left")
        with pytest.raises(StoreError, match="no space left"):
            manager.lease(URL)
        assert scenario.record() == before, "a write that failed must change nothing"
        assert scenario.is_free(), "a session must be free after a lease that was not granted"

    def test_settling_is_one_commit(self, scenario: LeaseScenario) -> None:
        """The new token and the end of the mark are in one write; the hold lasts until the lease ends."""
        lease = scenario.manager().lease(URL)
        answer = scenario.send(lease)
        scenario.store.writes = []
        lease.settle(answer or [], URL, None)
        assert len(scenario.store.writes) == 1, "token and end of the mark must be one write, before the lease ends"
        record = scenario.record()
        assert (record.status, record.holder) == (Status.IDLE, None), "settling must clear the mark"
        assert scenario.service.is_good(scenario.token()), "settling must store the new token"
        assert not scenario.is_free(), "the session must be held until the lease ends"
        lease.end()
        lease.end()
        assert scenario.is_free(), "a lease that ended must free the session"

    def test_an_answer_without_a_token_clears_the_mark(self, scenario: LeaseScenario) -> None:
        """Whatever the answer is, its headers are in: nothing is in doubt."""
        manager = scenario.manager()
        for _ in range(2):
            lease = manager.lease(URL)
            lease.settle([], URL, None)
            lease.end()
        assert (scenario.record().status, scenario.token()) == (Status.IDLE, "1.1")

    def test_the_next_lease_has_the_token_of_the_last(self, scenario: LeaseScenario) -> None:
        """Managers of different programs send one token after the other."""
        managers = [scenario.manager() for _ in range(3)]
        for turn in range(9):
            scenario.fetch(managers[turn % 3])
        assert (scenario.service.logins, scenario.token()) == (1, "1.10")

    def test_a_lease_to_the_end_keeps_mark_and_hold(self, scenario: LeaseScenario) -> None:
        """Where a token is good only with the last byte, it is in doubt until then."""
        scenario.service.at_end = True
        manager = scenario.manager(lease_mode=LeaseMode.EXCLUSIVE_TO_END)
        lease = manager.lease(URL)
        lease.settle(scenario.send(lease) or [], URL, None)
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, False)
        scenario.service.finish()
        lease.end()
        assert (scenario.record().status, scenario.is_free()) == (Status.IDLE, True)
        cut = manager.lease(URL)
        cut.settle(scenario.send(cut) or [], URL, None)
        cut.end(complete=False)
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, True), (
            "a body that was cut is in doubt"
        )

    def test_cookies_of_another_host_leave_the_token_in_flight(self, scenario: LeaseScenario) -> None:
        """A request that carries no token needs no lease, and what it brings costs no mark."""
        manager = scenario.manager()
        lease = manager.lease(URL)
        other = manager.lease(ELSEWHERE)
        other.settle(["cdn=1; Path=/"], ELSEWHERE, None)
        other.end()
        assert scenario.record().status is Status.IN_FLIGHT
        lease.settle(scenario.send(lease) or [], URL, None)
        lease.end()
        assert scenario.service.is_good(scenario.token())
        assert {cookie.name for cookie in scenario.record().cookies} == {"token", "cdn"}

    # -- doubt

    def test_what_was_not_sent_leaves_the_token_good(self, scenario: LeaseScenario) -> None:
        """A failure to connect clears the mark and costs no login."""
        manager = scenario.manager()
        lease = manager.lease(URL)
        lease.unsent()
        lease.end(complete=False)
        assert scenario.record().status is Status.IDLE, "a request that was not sent leaves no doubt"
        scenario.fetch(scenario.manager())
        assert scenario.service.logins == 1, "a request that was not sent must cost no login"

    def test_a_lost_answer_costs_one_login(self, scenario: LeaseScenario) -> None:
        """The mark stays, the session is free, and the next sender logs in instead of sending the token."""
        manager = scenario.manager()
        scenario.lose_the_answer(manager)
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, True), (
            "an answer that never came leaves the mark"
        )
        scenario.fetch(scenario.manager())
        scenario.fetch(manager)
        assert scenario.service.logins == 2, "a lost answer costs one login"

    @pytest.mark.parametrize("policy", [{"on_doubt": "ask"}, {"renewable": False}], ids=["ask", "imported"])
    def test_in_doubt_the_person_is_asked(self, scenario: LeaseScenario, policy: dict[str, Any]) -> None:
        """If argosy may not log in, nothing is sent, and the mark stays for the next sender."""
        manager = scenario.manager(**policy)
        scenario.lose_the_answer(manager)
        before = scenario.record()
        for program in (manager, scenario.manager(**policy)):
            with pytest.raises(SessionInDoubt):
                program.lease(URL)
        assert (scenario.record(), scenario.is_free()) == (before, True), "asking must change nothing"
        scenario.manager().login()
        scenario.fetch(manager)

    def test_in_doubt_one_waits_and_then_tries_once(self, scenario: LeaseScenario) -> None:
        """The wait counts from the mark, the session is not held meanwhile, and then the token is tried."""
        manager = scenario.manager(on_doubt="wait", doubt_wait=1000.0)
        lease = manager.lease(URL)
        lease.doubt()  # not even the request has arrived
        lease.end(complete=False)
        waits: list[tuple[float, bool]] = []

        def pass_time(seconds: float) -> None:
            waits.append((seconds, scenario.is_free()))
            holder = scenario.record().holder
            assert holder is not None, "the mark must stay during the wait"
            scenario.change(holder=replace(holder, since=holder.since - 600))

        scenario.on_sleep = pass_time
        scenario.fetch(manager)
        assert [free for _, free in waits] == [True, True], "the session must not be held while waiting"
        assert 900 < waits[0][0] <= 1000, "the whole wait counts from the mark"
        assert scenario.service.logins == 1

    @pytest.mark.parametrize(("synced", "logins"), [(False, 2), (True, 1)], ids=["unsynced", "synced"])
    def test_a_record_from_before_a_power_loss(self, scenario: LeaseScenario, synced: bool, logins: int) -> None:
        """A record that was not on stable storage before another boot is in doubt: a newer one may have been lost."""
        if scenario.store.scope is not Scope.HOST:
            pytest.skip("such a store does not outlive a power loss, or has no boot")
        manager = scenario.manager()
        manager.ensure()
        if synced:
            manager.sync()
            assert scenario.record().synced, "what is on stable storage must say so"
        scenario.change(boot="another boot", synced=synced)
        scenario.service.reason = not synced
        scenario.fetch(scenario.manager())
        assert scenario.service.logins == logins

    def test_the_first_change_after_a_sync_is_synced(self, scenario: LeaseScenario) -> None:
        """A record that says that it is on stable storage is the newest one there, even after a power loss."""
        manager = scenario.manager()
        manager.ensure()
        manager.sync()
        before = scenario.store.syncs
        lease = manager.lease(URL)
        assert scenario.store.syncs > before, "the mark must be on stable storage before anything is sent"
        lease.settle(scenario.send(lease) or [], URL, None)
        lease.end()

    # -- refusals and logins

    def test_refused_programs_log_in_once(self, scenario: LeaseScenario) -> None:
        """Each reads the store again, and does not log in if another one has."""
        managers = [scenario.manager() for _ in range(3)]
        stamps = [scenario.fetch(manager) for manager in managers]
        scenario.service.end_all()
        for manager, stamp in zip(managers, stamps, strict=True):
            manager.refused(stamp)
            assert scenario.service.is_good(scenario.token()), "a refused sender must not clear another one's token"
        assert scenario.service.logins == 2, "a session that ended must cost one login"

    def test_refused_threads_wait_for_one_login(self, scenario: LeaseScenario) -> None:
        """The login has the session to itself, and everybody waits for it."""
        manager = scenario.manager(lease_mode=LeaseMode.SHARED)
        scenario.fetch(manager)
        stamp = manager.lease(URL).stamp
        scenario.service.end_all()
        at_once: list[bool] = []
        scenario.service.during_login = lambda: at_once.append(scenario.is_free())
        threads = [Thread(lambda: manager.refused(stamp)) for _ in range(6)]
        for thread in threads:
            thread.result()
        assert at_once == [False], "one login, with the session held"

    def test_a_refusal_where_somebody_has_a_newer_token_costs_no_login(self, scenario: LeaseScenario) -> None:
        """With shared leases a sibling may have replaced the token while the request was on its way."""
        manager = scenario.manager(lease_mode=LeaseMode.SHARED)
        late = manager.lease(URL)
        scenario.fetch(manager)
        manager.refused(late.stamp)
        assert scenario.service.logins == 1, "a newer token must be tried before a login"
        assert scenario.service.is_good(scenario.token()), "a refused sender must not clear another one's token"

    def test_a_login_that_fails_keeps_the_record(self, scenario: LeaseScenario) -> None:
        """No thread tries it again, and the old record stays."""
        manager = scenario.manager()
        stamp = scenario.fetch(manager)
        before, scenario.service.error = scenario.record(), LoginFailed("The password is wrong.")
        for thread in [Thread(lambda: manager.refused(stamp)) for _ in range(4)]:
            with pytest.raises(LoginFailed):
                thread.result()
        assert scenario.service.logins == 2, "a login that failed must not be tried again"
        assert scenario.record() == before, "a login that failed must keep the old record"
        with pytest.raises(LoginFailed):
            manager.lease(URL)
        assert scenario.is_free()

    def test_logins_are_bounded(self, scenario: LeaseScenario) -> None:
        """Creating sessions is a quota of its own."""
        manager = scenario.manager(max_logins=3)
        for _ in range(2):
            stamp = scenario.fetch(manager)
            scenario.service.end_all()
            manager.refused(stamp)
        stamp = scenario.fetch(manager)
        scenario.service.end_all()
        with pytest.raises(SessionLost):
            manager.refused(stamp)
        assert scenario.service.logins == 3, "a run must not log in more often than it may"

    def test_a_session_that_the_service_ended_is_logged_in_once(self, scenario: LeaseScenario) -> None:
        """An answer that deletes the token is the end of the session, for everybody."""
        manager = scenario.manager()
        lease = manager.lease(URL)
        lease.settle(["token=; Max-Age=0; Path=/"], URL, None)
        lease.end()
        assert scenario.record().status is Status.DEAD
        scenario.service.reason = True
        scenario.fetch(scenario.manager())
        scenario.fetch(manager)
        assert scenario.service.logins == 2

    # -- what says who asks

    def test_a_header_beside_the_token_changes_nothing(self, scenario: LeaseScenario) -> None:
        """A header field that no answer replaces says nothing about the cookies beside it: they take turns."""
        manager = scenario.manager(lease_mode=LeaseMode.AUTO)
        manager.ensure()
        header = HeaderToken("X-Requested-With", "XMLHttpRequest", (f"https://{HOST}",))
        scenario.change(headers=(header,))
        lease = manager.lease(URL)
        assert (scenario.record().status, scenario.is_free()) == (Status.IN_FLIGHT, False), (
            "a token beside a header field must be sent under a lease of its own"
        )
        lease.settle(scenario.send(lease) or [], URL, None)
        lease.end()
        assert manager.in_force()[0] is LeaseMode.EXCLUSIVE

    def test_until_an_answer_was_accepted_requests_go_one_by_one(self, scenario: LeaseScenario) -> None:
        """What a service does not accept is sent once, and not by everybody."""
        manager = scenario.manager(lease_mode=LeaseMode.SHARED)
        with manager.first_in_turn():
            stamp = scenario.fetch(manager)
            second = Thread(lambda: _pass(manager))
            wait_until(lambda: "waiting lease" in scenario.told, "the second request to wait for the first answer")
            assert second.is_alive(), "a request was sent before the first answer was judged"
            manager.accepted(stamp)
            assert Thread(lambda: _pass(manager)).result(), "after an accepted answer, no request waits"
        assert second.result()

    def test_a_session_that_has_expired_is_logged_in_first(self, scenario: LeaseScenario) -> None:
        """A session whose cookies have expired is over before anything is sent."""
        manager = scenario.manager()
        scenario.fetch(manager)
        past = tuple(replace(cookie, expires=1.0) for cookie in scenario.record().cookies)
        scenario.change(cookies=past)
        scenario.service.reason = True
        scenario.fetch(manager)
        scenario.fetch(scenario.manager())
        assert scenario.service.logins == 2, "an expired session must cost one login"

    # -- holders that lapsed, and waiting

    def test_a_holder_that_lapsed_can_do_nothing(self, scenario: LeaseScenario) -> None:
        """Another process logged in and has a request under way: its token and its mark stay."""
        late = scenario.manager().lease(URL)
        answer = scenario.send(late)
        scenario.service.reason = True
        theirs = Holder("another", 1, 1, "main", 1.0, "")
        winner = scenario.change(logins=2, holder=theirs, cookies=scenario.service.log_in())
        late.settle(answer or [], URL, None)
        late.unsent()
        late.end()
        assert scenario.record() == winner, "a holder that lapsed must leave the winner's token and mark alone"

    def test_waiting_for_politeness_holds_nothing(self, scenario: LeaseScenario) -> None:
        """The token is bound last: a sender that was overtaken while it waited sends the newer one."""
        manager = scenario.manager()
        manager.ensure()
        other, free, delays = scenario.manager(), list[bool](), [5.0, 0.0]

        def overtake(seconds: float) -> None:
            free.append(scenario.is_free())
            if free[-1]:
                scenario.fetch(other)

        scenario.on_sleep = overtake
        lease = manager.lease(URL, lambda: delays.pop(0))
        assert free == [True], "a lease must not be held while waiting"
        assert scenario.send(lease) is not None, "a sender that was overtaken must send the newest token"
        lease.settle([], URL, None)

    def test_a_lease_waits_for_the_one_before(self, scenario: LeaseScenario) -> None:
        """It is granted with the token that the one before has brought, and says that it waits."""
        manager = scenario.manager()
        first = manager.lease(URL)
        waiting = Thread(lambda: manager.lease(URL))
        wait_until(lambda: "waiting lease" in scenario.told, "the second lease to wait")
        first.settle(scenario.send(first) or [], URL, None)
        assert waiting.is_alive(), "a lease must not be granted while another one is held"
        first.end()
        second = waiting.result()
        assert scenario.send(second) is not None
        second.settle([], URL, None)
        second.end()
