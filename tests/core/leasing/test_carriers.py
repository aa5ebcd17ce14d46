"""Tokens besides cookies: header tokens, kept credentials, and tokens in bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from argosy.interfaces.cookie_store import Scope
from argosy.leasing.adaptive import QUIET
from argosy.leasing.lease import Lease
from argosy.leasing.login import Authority, Credentials
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Carriers, LeaseMode, Policy, SessionCallbacks
from argosy.models.cookie import Cookie
from argosy.models.session import Carrier, HeaderToken, SessionRecord, Signer, Status

ORIGIN = "https://library.example"
URL = f"{ORIGIN}/books/1"
HOME = (ORIGIN,)

DEVISE = (
    Carrier("access-token", "access-token", HOME),
    Carrier("client", "client", HOME, follows="access-token"),
    Carrier("expiry", "expiry", HOME, follows="access-token"),
)
NONCE = Carrier("nonce", "Authentication-Info", HOME, parameter="nextnonce", is_kept=True)


def _record(*tokens: tuple[str, str], **kept: str) -> SessionRecord:
    headers = tuple(HeaderToken(name, value, HOME) for name, value in tokens)
    return SessionRecord("default", headers=headers, credentials=kept, logins=1)


def _values(carriers: tuple[Carrier, ...], record: SessionRecord, *fields: tuple[str, str], url: str = URL) -> Any:
    brought = Carriers(carriers).settle(record, fields, url)
    return {token.name: token.value for token in brought.headers}


class Service(Authority):
    """Numbers its header tokens."""

    def __init__(self) -> None:
        self.logins = 0

    def log_in(self, record: SessionRecord) -> Credentials:
        self.logins += 1
        tokens = (HeaderToken("access-token", f"login-{self.logins}", HOME), HeaderToken("client", "c", HOME))
        return Credentials((), tokens, {"nonce": "first"})


def _manager(scenario: Any, service: Service, carriers: tuple[Carrier, ...] = DEVISE, **policy: Any) -> SessionManager:
    told = SessionCallbacks(secret=lambda value: scenario.told.append(f"secret {value}"), sleep=lambda seconds: None)
    made = Policy(carriers=Carriers(carriers), **policy)
    return SessionManager(scenario.store, "default", made, login=service, callbacks=told)


def _send(manager: SessionManager, *fields: tuple[str, str], url: str = URL) -> tuple[Mapping[str, str], Any]:
    lease = manager.lease(url)
    sent = lease.credentials(url)
    lease.settle((), url, None, fields)
    lease.end()
    return sent, lease.stamp


# -- what a response brings


def test_a_response_replaces_a_set_of_header_tokens_together() -> None:
    record = _record(("access-token", "a1"), ("client", "c1"), ("uid", "ada"))
    fields = [("Access-Token", "a2"), ("client", "c2"), ("expiry", "99")]
    assert _values(DEVISE, record, *fields) == {"access-token": "a2", "client": "c2", "uid": "ada", "expiry": "99"}


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_keeps_the_whole_set(blank: str) -> None:
    record = _record(("access-token", "a1"), ("client", "c1"))
    carriers = Carriers(DEVISE)
    brought = carriers.settle(record, [("access-token", blank), ("client", "c2"), ("expiry", "99")], URL)
    assert brought.headers is record.headers
    assert brought.credentials is record.credentials
    assert brought.is_blank


def test_a_response_without_the_fields_keeps_the_set() -> None:
    record = _record(("access-token", "a1"), ("client", "c1"))
    brought = Carriers(DEVISE).settle(record, [("client", "c2"), ("Content-Type", "text/html")], URL)
    assert (brought.headers is record.headers, brought.is_blank) == (True, False)


def test_another_origin_cannot_replace_a_token() -> None:
    record = _record(("access-token", "a1"))
    for url in ("https://cdn.example/1", "http://library.example/1", "https://library.example:8443/1"):
        assert _values(DEVISE, record, ("access-token", "stolen"), url=url) == {"access-token": "a1"}


@pytest.mark.parametrize(
    ("old", "brought", "new"),
    [
        ("Bearer a1", "a2", "Bearer a2"),
        ("Bearer a1", "Bearer a2", "Bearer a2"),
        ("a1", "Bearer a2", "Bearer a2"),
        ("a1", "a2", "a2"),
    ],
)
def test_a_new_value_keeps_the_scheme_of_the_old_one(old: str, brought: str, new: str) -> None:
    carriers = (Carrier("Authorization", "Authorization", HOME),)
    assert _values(carriers, _record(("Authorization", old)), ("authorization", brought)) == {"Authorization": new}


def test_the_first_value_goes_to_the_origins_of_its_carrier() -> None:
    carriers = Carriers((Carrier("X-CSRF-Token", "X-CSRF-Token", (f"{ORIGIN}/login",)),))
    assert carriers.settle(_record(), [("X-CSRF-Token", "n1")], URL).headers == (
        HeaderToken("X-CSRF-Token", "n1", HOME),
    )


@pytest.mark.parametrize(
    ("value", "nonce"),
    [
        ('nextnonce="n2"', "n2"),
        ('rspauth="00", NextNonce = "n, \\"2\\"", nc=00000001', 'n, "2"'),
        ("qop=auth,nextnonce=n2", "n2"),
        ('rspauth="nextnonce=no"', "n1"),
        ("nextnonce=", "n1"),
        ('xnextnonce="no"', "n1"),
        ('nextnonce="open', "n1"),
    ],
)
def test_a_parameter_of_a_field_replaces_a_kept_credential(value: str, nonce: str) -> None:
    brought = Carriers((NONCE,)).settle(_record(nonce="n1"), [("Authentication-Info", value)], URL)
    assert brought.credentials == {"nonce": nonce}


@pytest.mark.parametrize("value", ["a\r\n X-Other: 1", "a\x00", "\xe4", "a\tb"])
def test_a_value_that_cannot_be_sent_again_is_no_token(value: str) -> None:
    assert _values(DEVISE, _record(("access-token", "a1")), ("access-token", value)) == {"access-token": "a1"}


def test_a_long_field_takes_no_quadratic_time() -> None:
    brought = Carriers((NONCE,)).settle(_record(nonce="n1"), [("Authentication-Info", "n" * (1 << 20))], URL)
    assert brought.credentials == {"nonce": "n1"}


def test_a_power_loss_leaves_a_static_header_token_alone(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(scenario.store), "scope", Scope.HOST)
    service = Service()
    manager = _manager(scenario, service, (), on_doubt="ask")
    _send(manager)
    record = scenario.record
    scenario.store.write(replace(record, generation=record.generation + 1, boot="an earlier one"), record.generation)
    assert (_send(manager)[0]["access-token"], service.logins) == ("login-1", 1)


def test_a_power_loss_puts_header_tokens_in_doubt(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(scenario.store), "scope", Scope.HOST)
    manager = _manager(scenario, Service())
    _send(manager, ("access-token", "a2"))
    record = scenario.record
    scenario.store.write(replace(record, generation=record.generation + 1, boot="an earlier one"), record.generation)
    assert _send(manager)[0]["access-token"] == "login-2"


@pytest.mark.parametrize("value", [7, None, "", " ", "a\nb", "ä", ["a2"], True])
def test_what_cannot_be_a_header_field_is_no_token(value: object) -> None:
    carriers = Carriers((Carrier("access-token", origins=HOME, find=lambda answer: answer["token"]),))
    record = _record(("access-token", "a1"))
    assert carriers.found_in({"token": value}) == {}
    assert carriers.bring(record, carriers.found_in({"token": "a2"}), URL).headers[0].value == "a2"


# -- under the lease


def test_each_request_carries_the_newest_set(scenario: Any) -> None:
    service = Service()
    manager = _manager(scenario, service)
    assert _send(manager, ("access-token", "a2"), ("client", "c2"))[0] == {"access-token": "login-1", "client": "c"}
    assert _send(manager, ("access-token", " "), ("client", "x"))[0] == {"access-token": "a2", "client": "c2"}
    assert _send(manager)[0] == {"access-token": "a2", "client": "c2"}
    assert service.logins == 1
    assert scenario.record.status is Status.IDLE
    assert "secret a2" in scenario.told


def test_a_token_and_a_cookie_come_in_one_commit(scenario: Any) -> None:
    manager = _manager(scenario, Service())
    manager.ensure()
    lease = manager.lease(URL)
    before = scenario.record.generation
    lease.settle(["sid=2; Path=/"], URL, None, [("access-token", "a2")])
    assert scenario.record.generation == before + 1
    assert scenario.record.headers[0].value == "a2"
    assert scenario.record.cookies[0].value == "2"
    lease.end()


def test_a_lost_response_puts_a_rotating_header_token_in_doubt(scenario: Any) -> None:
    service = Service()
    manager = _manager(scenario, service)
    lease = manager.lease(URL)
    lease.doubt()
    lease.end(complete=False)
    assert _send(manager)[0]["access-token"] == "login-2"


def test_a_lost_response_only_drops_a_nonce(scenario: Any) -> None:
    service = Service()
    manager = _manager(scenario, service, (NONCE,))
    lease = manager.lease(URL)
    assert dict(lease.kept) == {"nonce": "first"}
    lease.settle((), URL, None, [("Authentication-Info", 'nextnonce="second"')])
    lease.end()
    lease = manager.lease(URL)
    assert dict(lease.kept) == {"nonce": "second"}
    lease.doubt()
    lease.end(complete=False)
    lease = manager.lease(URL)
    assert (dict(lease.kept), service.logins) == ({}, 1)
    lease.unsent()
    lease.end()


def test_auto_starts_exclusive_and_learns_from_a_header_token(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.AUTO)
    manager.ensure()
    assert manager.in_force()[0] is LeaseMode.EXCLUSIVE
    _, stamp = _send(manager, ("access-token", "a2"))
    manager.accepted(stamp)
    assert manager.in_force() == (LeaseMode.EXCLUSIVE, "learned: the service replaces tokens")


def test_auto_shares_header_tokens_that_no_response_replaces(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.AUTO)
    for _ in range(QUIET):
        assert _send(manager)[1].exclusive
    assert manager.in_force()[0] is LeaseMode.SHARED


def test_blanks_are_not_quiet(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.AUTO)
    for _ in range(2 * QUIET):
        _send(manager, ("access-token", " "))
    assert manager.in_force()[0] is LeaseMode.EXCLUSIVE


def test_auto_stays_exclusive_if_a_rotating_header_token_cannot_be_had_again(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.AUTO, renewable=False)
    for _ in range(2 * QUIET):
        _send(manager)
    assert manager.in_force() == (LeaseMode.EXCLUSIVE, "argosy cannot log in again")


def test_of_two_overlapping_responses_the_first_one_wins(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.SHARED)
    manager.ensure()
    first, second, third = (manager.lease(URL) for _ in range(3))
    first.settle((), URL, None, [("access-token", "a2"), ("client", "c2")])
    second.settle((), URL, None, [("access-token", "anonymous"), ("client", "c3")])
    third.settle(["theme=dark; Path=/"], URL, None, [("access-token", " ")])
    assert _send(manager)[0] == {"access-token": "a2", "client": "c2", "Cookie": "theme=dark"}


def test_a_token_that_comes_second_is_told_as_a_secret(scenario: Any) -> None:
    manager = _manager(scenario, Service(), lease_mode=LeaseMode.SHARED)
    first, second = manager.lease(URL), manager.lease(URL)
    first.settle((), URL, None, [("access-token", "a2")])
    second.settle((), URL, None, [("access-token", "a3")])
    assert scenario.record.headers[0].value == "a2"
    assert "secret a3" in scenario.told


def test_overlapping_responses_merge_their_nonces(scenario: Any) -> None:
    manager = _manager(scenario, Service(), (NONCE,), lease_mode=LeaseMode.SHARED)
    manager.ensure()
    first, second = manager.lease(URL), manager.lease(URL)
    first.settle((), URL, None, [("Authentication-Info", 'nextnonce="a"')])
    second.settle((), URL, None, [("Authentication-Info", 'nextnonce="b"')])
    assert scenario.record.credentials == {"nonce": "a"}


def test_a_refused_request_takes_a_newer_header_token_instead_of_a_login(scenario: Any) -> None:
    service = Service()
    manager = _manager(scenario, service, lease_mode=LeaseMode.AUTO)
    for _ in range(QUIET):
        manager.accepted(_send(manager)[1])
    refused, good = manager.lease(URL), manager.lease(URL)
    good.settle((), URL, None, [("access-token", "a2")])
    good.end()
    manager.accepted(good.stamp)
    refused.settle((), URL, None)
    refused.end()
    manager.refused(refused.stamp)
    assert _send(manager)[0]["access-token"] == "a2"
    assert (service.logins, manager.in_force()[0]) == (1, LeaseMode.EXCLUSIVE)


def test_a_request_that_carries_no_token_may_overlap_and_one_with_a_header_token_may_not(scenario: Any) -> None:
    class WithCookies(Service):
        def log_in(self, record: SessionRecord) -> Credentials:
            made = super().log_in(record)
            return Credentials((Cookie("sid", "1", "other.example"),), made.headers)

    manager = _manager(scenario, WithCookies())
    manager.ensure()
    for url, exclusive in ((URL, True), ("https://third.example/", False), ("https://other.example/", True)):
        lease = manager.lease(url)
        assert lease.is_exclusive is exclusive
        lease.settle((), url, None)
        lease.end()


def _with_kept_nonce(scenario: Any, **policy: Any) -> SessionManager:
    made = Policy(LeaseMode.AUTO, carriers=Carriers((NONCE,)), signer=Signer.KEPT, renewable=False, **policy)
    return SessionManager(scenario.store, "default", made, login=lambda: ())


def test_a_kept_nonce_that_no_response_replaces_lets_requests_overlap(scenario: Any) -> None:
    manager = _with_kept_nonce(scenario)
    for _ in range(QUIET):
        assert _send(manager)[1].exclusive
    assert manager.in_force()[0] is LeaseMode.SHARED


def test_a_replaced_nonce_starts_the_learning_over(scenario: Any) -> None:
    manager = _with_kept_nonce(scenario)
    for number in range(2 * QUIET):
        _send(manager, ("Authentication-Info", f'nextnonce="{number}"'))
    assert manager.in_force() == (LeaseMode.EXCLUSIVE, "nothing learned yet")
    for _ in range(QUIET):
        _send(manager)
    assert manager.in_force()[0] is LeaseMode.SHARED
    _send(manager, ("Authentication-Info", 'nextnonce="again"'))
    assert manager.in_force()[0] is LeaseMode.EXCLUSIVE


def test_a_request_that_a_kept_nonce_signs_takes_its_turn_though_it_carries_no_cookie(scenario: Any) -> None:
    manager = _with_kept_nonce(scenario)
    _send(manager)
    lease = manager.lease(URL)
    lease.settle(["sid=1; Path=/account"], URL, None)
    lease.end()
    lease = manager.lease(URL)
    assert lease.is_exclusive
    lease.unsent()
    lease.end()


def test_without_cookies_a_request_to_another_origin_does_not_wait_for_the_header_tokens(scenario: Any) -> None:
    manager = _manager(scenario, Service())
    held = manager.lease(URL)
    elsewhere = manager.lease("https://cdn.example/")
    assert (held.is_exclusive, elsewhere.is_exclusive) == (True, False)
    assert not elsewhere.credentials("https://cdn.example/")
    elsewhere.end()
    held.unsent()
    held.end()


# -- tokens in bodies


def _in_body(scenario: Any, find: Any = lambda answer: answer["token"]) -> SessionManager:
    carriers = (Carrier("access-token", origins=HOME, find=find),)
    return _manager(scenario, Service(), carriers, lease_mode=LeaseMode.EXCLUSIVE_TO_END)


def test_a_body_replaces_a_token_before_the_lease_ends(scenario: Any) -> None:
    manager = _in_body(scenario)
    lease = manager.lease(URL)
    lease.settle((), URL, None)
    assert not scenario.is_free()
    lease.settle_body(b'{"token": "a2"}', URL)
    assert scenario.record.holder is not None
    lease.end()
    assert (scenario.record.holder, scenario.record.status) == (None, Status.IDLE)
    lease = manager.lease(URL)
    assert lease.credentials(URL)["access-token"] == "a2"
    lease.unsent()
    lease.end()


def test_a_body_keeps_what_came_from_elsewhere_meanwhile(scenario: Any) -> None:
    elsewhere = "https://cdn.example"
    carriers = (
        Carrier("access-token", origins=HOME, find=lambda answer: answer["token"]),
        Carrier("X-Cdn", "X-Cdn", (elsewhere,)),
    )
    manager = _manager(scenario, Service(), carriers, lease_mode=LeaseMode.EXCLUSIVE_TO_END)
    manager.ensure()
    other = f"{elsewhere}/1"
    lease = manager.lease(URL)
    lease.settle((), URL, None)
    beside = Lease(scenario.store, scenario.record, manager.policy)
    beside.settle((), other, None, [("X-Cdn", "c1")])
    lease.settle_body(b'{"token": "a2"}', URL)
    lease.end()
    assert {token.name: token.value for token in scenario.record.headers} == {
        "access-token": "a2",
        "client": "c",
        "X-Cdn": "c1",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"other": 1}', b"\xff", b"[" * 100_000])
def test_a_body_without_a_token_keeps_the_old_one(scenario: Any, body: bytes) -> None:
    manager = _in_body(scenario)
    lease = manager.lease(URL)
    lease.settle((), URL, None)
    lease.settle_body(body, URL)
    lease.end()
    assert (scenario.record.status, scenario.record.headers[0].value) == (Status.IDLE, "login-1")
