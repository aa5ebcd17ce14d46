"""Lease mode ``auto``: learn from responses whether a service replaces its tokens.

A session starts exclusive. `QUIET` responses in a row that replace no token make it shared; the first response that
replaces one makes it exclusive permanently. What was learned is part of the session's record and changes in the same write
as its cookies, so a worker always reads the newest token together with the mode that applies to it.

The record's ``learned`` has these keys:

=========  =========================================================================================
``lease``  ``shared`` or ``exclusive``; missing until one is known
``quiet``  responses in a row that replaced no token
``since``  when the mode was learned, seconds since the epoch
``proved`` whether the service accepted a request whose response replaced a token
=========  =========================================================================================

The proof matters: a service that refuses a request may set an anonymous cookie, so an expired session looks like one
whose token is replaced. Without proof the session is exclusive too, but the next login starts over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.cookies import jar
from argosy.leasing.policy import LeaseMode, Policy
from argosy.leasing.tokens import Tokens
from argosy.models.session import SessionRecord, Signer

#: Responses in a row without a new token that make a session shared. No number is safe, as a service may replace the
#: token every hour; the switch back keeps the session safe. Services that count requests replace the token at least every
#: twenty or so responses, and never go shared. At 50 ms to the headers, the exclusive phase takes 1.3 seconds, once.
QUIET = 25

#: Notices for the two changes of mode.
SHARED_NOW = f"Requests on session {{!r}} now overlap: {QUIET} responses in a row replaced no token."
EXCLUSIVE_NOW = (
    "The service replaced the token of session {!r}, so its requests now take turns. "
    "Requests refused meanwhile are sent again."
)

Learned = Mapping[str, Any]
Learn = Callable[[Learned], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AdaptiveLearner:
    """Decides what one response teaches.

    Parameters
    ----------
    policy
        Says which cookies are tokens. Quiet responses count only in mode ``auto``, and only if the session can be
        replaced should sharing turn out to be wrong.
    """

    policy: Policy = Policy()

    @property
    def tokens(self) -> Tokens:
        """Which cookies are tokens."""
        return self.policy.tokens

    def over(self, record: SessionRecord, cookies: jar.Jar) -> bool:
        """Return whether a response ended the session by deleting its tokens."""
        return self.tokens.over(record.cookies, cookies) and self.policy.needs_cookies(record)

    def after(self, record: SessionRecord, cookies: jar.Jar, url: str) -> dict[str, Any]:
        """Return what is known after a response; the same object if nothing changed.

        Parameters
        ----------
        record
            What the request was sent with.
        cookies
            Its jar after the response.
        url
            Where the request went; a response to a request without tokens teaches nothing.
        """
        learned = record.learned
        if learned.get("proved") or (cookies is record.cookies and not self._is_counting(record)):
            return learned
        sent = tuple(jar.matching(record.cookies, url, time.time()))
        if not self.tokens.of(sent):
            return learned
        if self.tokens.replaced(sent, record.cookies, cookies):
            return replaces(learned)
        if not self._is_counting(record):
            return learned
        quiet = _number(learned.get("quiet")) + 1
        known = {"lease": LeaseMode.SHARED.value, "since": time.time()} if quiet >= QUIET else {}
        return {"quiet": int(quiet), **known}

    def _is_counting(self, record: SessionRecord) -> bool:
        return "lease" not in record.learned and _may_share(self.policy, record)


#: Learns of replaced tokens only.
DEFAULT_LEARNER = AdaptiveLearner()


def is_shared(learned: Learned) -> bool:
    """Return whether the learned mode is shared."""
    return learned.get("lease") == LeaseMode.SHARED.value


def is_exclusive(learned: Learned) -> bool:
    """Return whether the learned mode is exclusive."""
    return learned.get("lease") == LeaseMode.EXCLUSIVE.value


def replaces(learned: Learned, *, proved: bool = False) -> dict[str, Any]:
    """Return what is known after the service replaced a token."""
    since = learned.get("since") if is_exclusive(learned) else time.time()
    known: dict[str, Any] = {"lease": LeaseMode.EXCLUSIVE.value, "since": since}
    return known | {"proved": True} if proved or learned.get("proved") else known


def after_login(learned: Learned) -> dict[str, Any]:
    """Return what is still known after a login: the count and anything unproved is dropped."""
    return dict(learned) if is_shared(learned) or learned.get("proved") else {}


def _may_share(policy: Policy, record: SessionRecord) -> bool:
    """Return whether learning may make the session shared: only if a wrong guess does not lose the session."""
    return (
        policy.discipline is LeaseMode.AUTO
        and policy.signer is not Signer.STATEFUL
        and (policy.renewable or not policy.needs_cookies(record))
    )


def _only_headers(policy: Policy, record: SessionRecord) -> bool:
    """Return whether no response can replace any credential."""
    return not (policy.tokens.names or record.cookies or policy.needs_cookies(record))


def shares(policy: Policy, record: SessionRecord) -> bool:
    """Return whether requests on a session may overlap, as configured or as learned."""
    if policy.discipline is not LeaseMode.AUTO:
        return policy.discipline is LeaseMode.SHARED
    learned = record.learned
    if is_exclusive(learned) or not _may_share(policy, record):
        return False
    return is_shared(learned) or _only_headers(policy, record)


def in_force(policy: Policy, record: SessionRecord) -> tuple[LeaseMode, str]:
    """Return the lease mode in force and the reason, for people."""
    asked, learned = policy.discipline, record.learned
    seen = time.strftime("%Y-%m-%d %H:%M", time.localtime(_number(learned.get("since"))))
    replacing = f"the service replaces tokens, seen on {seen}"
    if asked is not LeaseMode.AUTO:
        but = asked is LeaseMode.SHARED and is_exclusive(learned)
        return asked, f"as configured, but {replacing}" if but else "as configured"
    if is_exclusive(learned):
        return LeaseMode.EXCLUSIVE, f"learned: {replacing}"
    if policy.signer is Signer.STATEFUL:
        return LeaseMode.EXCLUSIVE, "the request signer may depend on the previous response"
    if not _may_share(policy, record):
        return LeaseMode.EXCLUSIVE, "argosy cannot log in again"
    quiet = int(_number(learned.get("quiet")))
    if is_shared(learned):
        return LeaseMode.SHARED, f"learned: {quiet} responses in a row replaced no token"
    if _only_headers(policy, record):
        return LeaseMode.SHARED, "its credentials are header fields, which no response replaces"
    if quiet:
        return LeaseMode.EXCLUSIVE, f"learning: {quiet} of {QUIET} responses in a row replaced no token"
    return LeaseMode.EXCLUSIVE, "nothing learned yet"


def _number(value: object) -> float:
    """Return a number from the record, which a person may have edited, or 0."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e11 else 0.0
