"""The lease that is chosen by watching: when it is shared, when it is exclusive again, and who knows of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from argosy.errors import LoginFailed
from argosy.interfaces.cookie_store import Scope
from argosy.leasing.adaptive import QUIET, in_force
from argosy.leasing.policy import LeaseMode, Policy, Tokens
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, SessionRecord, Status
from argosy_devkit.contracts.waiting import Thread, wait_until

URL = "https://library.example/books/1"
ELSEWHERE = "https://cdn.example/books/1"
AUTO = LeaseMode.AUTO


def _send(manager: Any, *headers: str, url: str = URL, good: bool = True) -> Any:
    """Send one request, settle it and judge its answer; return the lease."""
    lease = manager.lease(url)
    lease.settle(list(headers), url, None)
    lease.end()
    if good:
        manager.accepted(lease.stamp)
    return lease


def _learn(manager: Any) -> None:
    for _ in range(QUIET):
        assert _send(manager).stamp.exclusive


def _lease(scenario: Any) -> str | None:
    lease: str | None = scenario.record.learned.get("lease")
    return lease


# -- from exclusive to shared


def test_it_is_exclusive_until_enough_answers_replaced_nothing(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    first, second = manager.lease(URL), manager.lease(URL)
    assert not first.stamp.exclusive
    assert not second.stamp.exclusive
    assert scenario.is_free()
    assert [told for told in scenario.told if "now overlap" in told]


def test_the_count_goes_on_over_processes_and_runs(scenario: Any) -> None:
    for _ in range(QUIET):
        assert _send(scenario.manager(lease_mode=AUTO)).stamp.exclusive
    assert not scenario.manager(lease_mode=AUTO).lease(URL).stamp.exclusive


def test_in_shared_state_nothing_is_written_held_or_marked(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    before = scenario.record
    release = scenario.store.acquire("default")  # a shared lease does not need the hold
    for _ in range(3):
        lease = manager.lease(URL)
        assert scenario.record is before
        lease.settle(["token=login-1; Path=/"], URL, None)
        lease.end()
        manager.accepted(lease.stamp)
    assert scenario.record is before
    release()


def test_a_session_that_is_prolonged_with_every_answer_is_not_written_every_time(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    for _ in range(QUIET):
        _send(manager, "token=login-1; Path=/; Max-Age=3600")
    before = scenario.record
    _send(manager, "token=login-1; Path=/; Max-Age=3700")
    assert scenario.record is before
    _send(manager, "token=login-1; Path=/; Max-Age=7200")
    assert scenario.record.generation == before.generation + 1
    assert _lease(scenario) == "shared"


def test_whoever_queued_when_it_became_shared_does_not_queue_again(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    for _ in range(QUIET - 1):
        _send(manager)
    last = manager.lease(URL)
    queued = [Thread(lambda: manager.lease(URL)) for _ in range(3)]
    wait_until(lambda: scenario.told.count("waiting lease") == 3, "three leases to wait")
    last.settle([], URL, None)
    last.end()
    assert [thread.result().stamp.exclusive for thread in queued] == [False] * 3


def test_only_answers_to_requests_with_a_token_count(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    manager.ensure()
    for _ in range(QUIET):
        _send(manager, url=ELSEWHERE)
    assert scenario.record.learned == {}
    named = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(["sid"]))
    for _ in range(QUIET):
        _send(named)
    assert scenario.record.learned == {}


@pytest.mark.parametrize(
    "policy",
    [{"renewable": False}, {"can_login": False}, {"lease_mode": LeaseMode.EXCLUSIVE}],
    ids=["a jar", "no login", "told"],
)
def test_without_a_login_and_where_it_was_told_nothing_is_counted(scenario: Any, policy: dict[str, Any]) -> None:
    scenario.manager().ensure()
    manager = scenario.manager(**{"lease_mode": AUTO, **policy})
    for _ in range(QUIET + 1):
        assert _send(manager).stamp.exclusive
    assert scenario.record.learned == {}


def test_without_a_login_it_stays_exclusive_whatever_others_learned(scenario: Any) -> None:
    _learn(scenario.manager(lease_mode=AUTO))
    assert _send(scenario.manager(lease_mode=AUTO, renewable=False)).stamp.exclusive
    assert not _send(scenario.manager(lease_mode=LeaseMode.SHARED, renewable=False)).stamp.exclusive


# -- and back


def test_the_first_replaced_token_makes_it_exclusive_for_good(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _send(manager, "token=2; Path=/")
    for _ in range(2 * QUIET):
        assert _send(manager).stamp.exclusive
    manager.login()
    assert _send(manager).stamp.exclusive
    assert scenario.record.learned["proved"]
    assert not [told for told in scenario.told if told.startswith("notice")], "nothing changed for anybody"


@pytest.mark.parametrize("lease_mode", list(LeaseMode))
def test_every_lease_tells_of_a_replaced_token(scenario: Any, lease_mode: LeaseMode) -> None:
    _send(scenario.manager(lease_mode=lease_mode), "token=2; Path=/")
    assert (_lease(scenario), scenario.record.learned["proved"]) == ("exclusive", True)


def test_a_shared_session_whose_token_is_replaced_is_exclusive_at_the_next_lease_anywhere(
    scenario: Any,
) -> None:
    manager, other = scenario.manager(lease_mode=AUTO), scenario.manager(lease_mode=AUTO)
    _learn(manager)
    first, late = manager.lease(URL), other.lease(URL)
    first.settle(["token=2; Path=/"], URL, None)
    first.end()
    after = other.lease(URL)
    assert after.stamp.exclusive
    assert after.cookie_header(URL) == "token=2"
    after.settle(["token=3; Path=/"], URL, None)
    after.end()
    late.settle(["token=stranger; Path=/"], URL, None)  # it was refused: it was sent with the first token
    assert scenario.record.cookies[0].value == "3", "the loser never clears the winner's token"
    other.refused(late.stamp)
    assert scenario.logins == 1
    manager.accepted(first.stamp)
    assert len([told for told in scenario.told if "now take turns" in told]) == 1


def test_a_lease_is_never_shared_with_a_newer_token_than_it_was_decided_by(scenario: Any) -> None:
    """Between the decision that a request may overlap and the reading of the token, both may change."""
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    rotates = manager.lease(URL)

    def admit() -> float:
        rotates.settle(["token=2; Path=/"], URL, None)
        return 0.0

    assert manager.lease(URL, admit).stamp.exclusive


def test_a_refusal_with_a_newer_token_makes_it_exclusive(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    lease = manager.lease(URL)
    record = scenario.record  # the token was replaced without a trace
    other = (Cookie("token", "2", "library.example"),)
    scenario.store.write(replace(record, cookies=other, generation=record.generation + 1), record.generation)
    lease.settle([], URL, None)
    manager.refused(lease.stamp)
    assert (_lease(scenario), scenario.logins) == ("exclusive", 1)


def test_an_expired_session_does_not_look_like_a_replaced_token(scenario: Any) -> None:
    """Many services set an anonymous cookie when they refuse a request; that does not replace the token."""
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    lease = _send(manager, "token=stranger; Path=/", good=False)
    assert _lease(scenario) == "exclusive", "to be safe, as long as it is unknown"
    manager.refused(lease.stamp)
    manager.refused(lease.stamp, again=True)
    assert (scenario.logins, scenario.record.learned) == (2, {})
    _learn(manager)
    assert _lease(scenario) == "shared"


def test_a_login_keeps_what_was_learned_and_forgets_it_where_it_is_told(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _send(manager)
    manager.login()
    assert scenario.record.learned == {}, "a row of answers begins anew"
    _learn(manager)
    manager.login()
    assert _lease(scenario) == "shared"
    _send(manager, "token=2; Path=/")
    manager.login()
    assert _lease(scenario) == "exclusive"
    manager.login(forget=True)
    assert scenario.record.learned == {}


def test_a_login_that_fails_forgets_nothing(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _send(manager, "token=2; Path=/")
    before, scenario.error = scenario.record, LoginFailed("The password is wrong.")
    with pytest.raises(LoginFailed):
        manager.login(forget=True)
    assert scenario.record == before


def test_what_is_proved_while_somebody_logs_in_is_not_forgotten(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    lease = _send(manager, "token=2; Path=/", good=False)
    assert "proved" not in scenario.record.learned
    scenario.before_login = lambda: manager.accepted(lease.stamp)
    manager.login()
    assert scenario.record.learned["proved"]


def test_the_last_token_that_is_deleted_ends_a_shared_session(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    _send(manager, "token=; Max-Age=0; Path=/", good=False)
    assert scenario.record.status is Status.DEAD
    assert _send(manager).stamp.logins == 2
    assert _lease(scenario) == "shared"


def test_a_lesson_from_before_a_power_loss_is_in_doubt(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer record may have been lost, with another token and another lesson."""
    monkeypatch.setattr(type(scenario.store), "scope", Scope.HOST)
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    record = scenario.record
    older = replace(record, boot="another boot", generation=record.generation + 1)
    scenario.store.write(older, record.generation)
    assert manager.lease(URL).cookie_header(URL) == "token=login-2"
    record = scenario.record
    synced = replace(record, boot="another boot", synced=True, generation=record.generation + 1)
    scenario.store.write(synced, record.generation)
    assert not manager.lease(URL).stamp.exclusive
    assert scenario.logins == 2


# -- token_cookies


def test_cookies_that_are_no_tokens_hold_nobody_up(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(["token"]))
    for number in range(QUIET):
        assert _send(manager, f"visits={number}; Path=/").stamp.exclusive
    assert not _send(manager, "visits=new; Path=/").stamp.exclusive
    assert {cookie.name: cookie.value for cookie in scenario.record.cookies}["visits"] == "new"
    assert _lease(scenario) == "shared"


def test_without_names_every_cookie_that_is_sent_and_replaced_counts(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _send(manager, "visits=1; Path=/")
    assert _lease(scenario) is None
    _send(manager, "visits=2; Path=/")
    assert _lease(scenario) == "exclusive"


def test_well_known_cookies_of_balancers_hold_nobody_up(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(()))
    for number in range(QUIET):
        lease = _send(manager, f"AWSALB={number}; Path=/", f"__cf_bm={number}; Path=/")
        assert lease.stamp.exclusive
    assert not _send(manager, "AWSALB=new; Path=/").stamp.exclusive
    assert {cookie.name: cookie.value for cookie in scenario.record.cookies}["AWSALB"] == "new"
    _send(manager, "token=2; Path=/")
    assert _lease(scenario) == "exclusive"


def test_a_name_in_the_configuration_decides_over_what_is_known(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(["AWSALB"]))
    _send(manager, "AWSALB=1; Path=/")
    _send(manager, "AWSALB=2; Path=/")
    assert _lease(scenario) == "exclusive"


def test_a_session_with_well_known_cookies_only_has_no_token() -> None:
    """As one with a token in a header field, whose login came through a balancer."""
    policy = Policy(AUTO, tokens=Tokens.named(()))
    header = HeaderToken("Authorization", "Bearer abc", ("https://library.example",))
    balancer = Cookie("AWSALB", "1", "library.example")
    record = SessionRecord("default", 1, logins=1, headers=(header,), cookies=(balancer,), login_cookies=("AWSALB",))
    assert in_force(policy, record)[0] is LeaseMode.SHARED
    assert not policy.needs_cookies(record)
    assert not policy.is_over(replace(record, cookies=(replace(balancer, expires=1.0),)), now=2.0)
    other = replace(record, cookies=(balancer, Cookie("sid", "1", "library.example")))
    assert in_force(policy, other)[0] is LeaseMode.EXCLUSIVE
    assert policy.needs_cookies(replace(other, login_cookies=("AWSALB", "sid")))


def test_the_tokens_of_a_jar_without_well_known_cookies_are_the_jar() -> None:
    tokens, jar = Tokens.named(()), (Cookie("token", "1", "h"), Cookie("visits", "1", "h"))
    assert tokens.of(jar) is jar
    assert tokens.of((*jar, Cookie("_ga", "1", "h"))) == jar
    assert tokens.of((Cookie("_ga", "1", "h"),)) == ()
    assert Tokens().of((Cookie("_ga", "1", "h"),)) != ()


def test_a_refusal_is_compared_by_the_tokens_alone(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED, tokens=Tokens.named(["token"]))
    stamp = _send(manager).stamp
    _send(manager, "visits=1; Path=/")
    manager.refused(stamp)
    assert scenario.logins == 2, "statistics are no newer token"
    stamp = _send(manager).stamp
    _send(manager, "token=newer; Path=/")
    manager.refused(stamp)
    assert scenario.logins == 2


def test_a_request_without_a_token_needs_no_turn_whatever_else_it_carries(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(["token"]))
    _send(manager)
    _send(manager, "cdn=1; Path=/", url=ELSEWHERE)
    with_token = manager.lease(URL)
    without = manager.lease(ELSEWHERE)
    assert without.cookie_header(ELSEWHERE) == "cdn=1"
    without.settle(["cdn=2; Path=/"], ELSEWHERE, None)
    with_token.settle(["token=2; Path=/"], URL, None)
    assert {cookie.name: cookie.value for cookie in scenario.record.cookies} == {"token": "2", "cdn": "2"}
    misspelt = scenario.manager(lease_mode=AUTO, tokens=Tokens.named(["tokne"]))
    with_token.end()
    assert misspelt.lease(ELSEWHERE).stamp.exclusive


# -- refusals that are faster than the answer with the new token


def test_a_refusal_waits_for_the_answers_under_way_with_the_same_token(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    slow, quick, elsewhere = manager.lease(URL), manager.lease(URL), manager.lease(ELSEWHERE)
    quick.settle([], URL, None)
    quick.end()
    refused = Thread(lambda: manager.refused(quick.stamp))
    wait_until(lambda: manager._overlap._waiting, "the refusal to wait")
    slow.settle(["token=2; Path=/"], URL, None)
    assert refused.is_alive()
    slow.end()
    elsewhere.end()
    refused.result()
    assert (scenario.logins, scenario.record.cookies[0].value) == (1, "2")


def test_a_refusal_does_not_wait_for_ever(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy.leasing.lease.LONGEST", 0.01)
    manager = scenario.manager(lease_mode=AUTO)
    _learn(manager)
    stuck, quick = manager.lease(URL), manager.lease(URL)
    quick.end()
    manager.refused(quick.stamp)
    assert scenario.logins == 2
    stuck.settle(["token=late; Path=/"], URL, None)
    stuck.end()
    assert scenario.record.cookies[0].value == "login-2"
