"""Lease mode ``auto``: learn from responses whether a service replaces its tokens.

A session starts exclusive. `QUIET` responses in a row that replace no token make it shared; the first response that
replaces one makes it exclusive permanently. The learned mode changes in the same write as the cookies, so a worker
always reads the newest token together with the mode that applies to it. The record's ``learned`` has these keys:

=========  =========================================================================================
``lease``  ``shared`` or ``exclusive``; missing until one is known
``quiet``  responses in a row that replaced no token
``proved`` whether the service accepted a request whose response replaced a token
=========  =========================================================================================

The proof matters: a service that refuses a request may set an anonymous cookie, so an expired session looks like one
whose token is replaced. Without proof the session is exclusive too, but the next login starts over.

A signer may keep its state with the session (`Signer.KEPT`), such as a nonce. If a response replaces that, the learning
starts over: services with a nonce for each request replace it every time, and others when it gets old.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from argosy.cookies import jar
from argosy.leasing.policy import Brought, LeaseMode, Policy
from argosy.models.session import SessionRecord, Signer

#: Responses in a row without a new token that make a session shared. No number is safe, as a service may replace the
#: token every hour; the switch back keeps the session safe. Services that count requests replace the token at least every
#: twenty or so responses, and never go shared. At 50 ms to the headers, the exclusive phase takes 1.3 seconds, once.
QUIET = 25

Learned = Mapping[str, Any]
Learn = Callable[[Learned], dict[str, Any]]


def after(
    policy: Policy, record: SessionRecord, cookies: jar.Jar, url: str, brought: Brought | None = None
) -> dict[str, Any]:
    """Return what is known after the response to a request sent with `record`; the same object if nothing changed."""
    learned, headers = record.learned, brought.headers if brought else record.headers
    is_counting = "lease" not in learned and _may_share(policy, record)
    is_kept = policy.signer is Signer.KEPT
    if is_kept and brought and brought.credentials is not record.credentials:
        return learned if mode_of(learned) is LeaseMode.EXCLUSIVE or not learned else {}
    if learned.get("proved") or (cookies is record.cookies and headers is record.headers and not is_counting):
        return learned
    sent = tuple(jar.matching(record.cookies, url, time.time()))
    carried = policy.carriers.of(record.headers, url)
    if not (policy.tokens.of(sent) or carried or is_kept):
        return learned
    if policy.tokens.replaced(sent, record.cookies, cookies) or not set(carried) <= set(headers):
        return replaces(learned)
    if not is_counting or (brought and brought.is_blank):
        return learned
    quiet = quiet_of(learned) + 1
    return {"quiet": quiet, "lease": LeaseMode.SHARED.value} if quiet >= QUIET else {"quiet": quiet}


def mode_of(learned: Learned) -> LeaseMode | None:
    """Return the learned mode, if any; a person may have edited the record."""
    mode = learned.get("lease")
    return LeaseMode(mode) if mode in (LeaseMode.SHARED, LeaseMode.EXCLUSIVE) else None


def quiet_of(learned: Learned) -> int:
    """Return the responses in a row that replaced no token; a person may have edited the record."""
    quiet = learned.get("quiet")
    return quiet if isinstance(quiet, int) else 0


def replaces(learned: Learned, *, proved: bool = False) -> dict[str, Any]:
    """Return what is known after the service replaced a token."""
    known: dict[str, Any] = {"lease": LeaseMode.EXCLUSIVE.value}
    return known | {"proved": True} if proved or learned.get("proved") else known


def after_login(learned: Learned) -> dict[str, Any]:
    """Return what is still known after a login: the count and anything unproved is dropped."""
    return dict(learned) if mode_of(learned) is LeaseMode.SHARED or learned.get("proved") else {}


def _may_share(policy: Policy, record: SessionRecord) -> bool:
    """Return whether learning may make the session shared: only if a wrong guess does not lose the session."""
    return (
        policy.lease_mode is LeaseMode.AUTO
        and policy.signer is not Signer.STATEFUL
        and (policy.renewable or not (policy.needs_cookies(record) or policy.carriers.rotate))
    )


def in_force(policy: Policy, record: SessionRecord) -> tuple[LeaseMode, str]:
    """Return the lease mode in force, as configured or as learned, and the reason, for people."""
    asked, learned, quiet = policy.lease_mode, mode_of(record.learned), quiet_of(record.learned)
    if asked is not LeaseMode.AUTO:
        wrong = asked is LeaseMode.SHARED and learned is LeaseMode.EXCLUSIVE
        return asked, "as configured, but the service replaces tokens" if wrong else "as configured"
    if learned is LeaseMode.EXCLUSIVE:
        return LeaseMode.EXCLUSIVE, "learned: the service replaces tokens"
    if policy.signer is Signer.STATEFUL:
        return LeaseMode.EXCLUSIVE, "the request signer may depend on the previous response"
    if not _may_share(policy, record):
        return LeaseMode.EXCLUSIVE, "argosy cannot log in again"
    if learned is LeaseMode.SHARED:
        return LeaseMode.SHARED, f"learned: {quiet} responses in a row replaced no token"
    cookies = policy.tokens.names or policy.tokens.of(record.cookies) or policy.needs_cookies(record)
    if not (cookies or policy.carriers.rotate or policy.signer is Signer.KEPT):
        return LeaseMode.SHARED, "its credentials are header fields, which no response replaces"
    if quiet:
        return LeaseMode.EXCLUSIVE, f"learning: {quiet} of {QUIET} responses in a row replaced no token"
    return LeaseMode.EXCLUSIVE, "nothing learned yet"
