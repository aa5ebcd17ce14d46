"""The lease that is chosen by watching: what the answers on a session say about the service.

A session starts exclusive. `QUIET` answers in a row that replaced no token make it shared; the first one that
replaces a token makes it exclusive, for good. What was learned is a part of the session's record and changes
in the same write as its cookies: whoever takes the next lease, in whatever process, reads the newest
token and the discipline that goes with it in one piece.

What is in the record's ``learned``:

=========  =========================================================================================
``lease``  ``shared`` or ``exclusive``; missing as long as neither is known
``quiet``  answers in a row that replaced no token
``since``  when the lease was learned, seconds since the epoch
``proved`` whether an answer that replaced a token was one to a request that the service accepted
=========  =========================================================================================

The proof matters because a service that refuses a request may give it the cookie of a stranger, which
replaces nothing: a session that has just expired would be taken for one whose token is replaced. Without proof a
session is exclusive too, but the next login lets it begin anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.cookies import jar
from argosy.leasing.policy import LeaseMode, Policy, Signer
from argosy.leasing.tokens import Tokens
from argosy.models.session import SessionRecord

#: Answers in a row without a new token that make a session shared. No number is safe: a service may replace the
#: token every hour. The switch back is what keeps the session safe; this number only says how often it is needed.
#: Services that count replace the token every few answers, up to about twenty, so these never go shared. And it
#: is cheap: at 50 ms to the headers, a session is exclusive for its first 1.3 seconds, once.
QUIET = 25

#: What a run says when the lease of a session changes.
SHARED_NOW = (
    f"The requests of session {{!r}} overlap from now on: {QUIET} answers in a row replaced no token."
)
EXCLUSIVE_NOW = (
    "The service has replaced the token of session {!r}, so its requests take turns from now on. "
    "Requests that were refused meanwhile are sent again."
)

Learned = Mapping[str, Any]
Learn = Callable[[Learned], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class AdaptiveLearner:
    """Says what one answer teaches.

    Parameters
    ----------
    policy
        Says which cookies are tokens. Answers without a new token count only if the lease is chosen by watching, and
        the session can begin anew if the choice was wrong.
    """

    policy: Policy = Policy()

    @property
    def tokens(self) -> Tokens:
        """Which cookies are tokens."""
        return self.policy.tokens

    def over(self, record: SessionRecord, cookies: jar.Jar) -> bool:
        """Return whether a session has ended because an answer left it without its tokens."""
        return self.tokens.over(record.cookies, cookies) and self.policy.needs_cookies(record)

    def after(self, record: SessionRecord, cookies: jar.Jar, url: str) -> dict[str, Any]:
        """Return what is known after an answer; the same object where that is nothing new.

        Parameters
        ----------
        record
            What the request was sent with.
        cookies
            Its jar with what the answer brought.
        url
            Where the request went: an answer to one that carried no token says nothing.
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


#: Learns of replaced tokens alone.
UNTAUGHT = AdaptiveLearner()


def is_shared(learned: Learned) -> bool:
    """Return whether requests may overlap, by what was learned."""
    return learned.get("lease") == LeaseMode.SHARED.value


def is_exclusive(learned: Learned) -> bool:
    """Return whether tokens are replaced, by what was learned."""
    return learned.get("lease") == LeaseMode.EXCLUSIVE.value


def replaces(learned: Learned, *, proved: bool = False) -> dict[str, Any]:
    """Return what is known of a service that was seen to replace a token."""
    since = learned.get("since") if is_exclusive(learned) else time.time()
    known: dict[str, Any] = {"lease": LeaseMode.EXCLUSIVE.value, "since": since}
    return known | {"proved": True} if proved or learned.get("proved") else known


def after_login(learned: Learned) -> dict[str, Any]:
    """Return what is still known after a login: a row of answers begins anew, and what was never proved is not."""
    return dict(learned) if is_shared(learned) or learned.get("proved") else {}


def nothing(learned: Learned) -> dict[str, Any]:
    """Return what is known after all was forgotten."""
    return {}


def _may_share(policy: Policy, record: SessionRecord) -> bool:
    """Return whether requests may overlap by what was learned: if that was wrong, the session must not be lost."""
    return (
        policy.discipline is LeaseMode.AUTO
        and policy.signer is not Signer.STATEFUL
        and (policy.renewable or not policy.needs_cookies(record))
    )


def _only_headers(policy: Policy, record: SessionRecord) -> bool:
    """Return whether nothing that says who asks can be replaced by an answer."""
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
    """Return the lease that is in force, and why, in words for people."""
    asked, learned = policy.discipline, record.learned
    seen = time.strftime("%Y-%m-%d %H:%M", time.localtime(_number(learned.get("since"))))
    replacing = f"the service replaces tokens, seen on {seen}"
    if asked is not LeaseMode.AUTO:
        but = asked is LeaseMode.SHARED and is_exclusive(learned)
        return asked, f"as configured, but {replacing}" if but else "as configured"
    if is_exclusive(learned):
        return LeaseMode.EXCLUSIVE, f"learned: {replacing}"
    if policy.signer is Signer.STATEFUL:
        return LeaseMode.EXCLUSIVE, "what signs the requests may depend on the previous answer"
    if not _may_share(policy, record):
        return LeaseMode.EXCLUSIVE, "nobody can log in again from here"
    quiet = int(_number(learned.get("quiet")))
    if is_shared(learned):
        return LeaseMode.SHARED, f"learned: {quiet} answers in a row replaced no token"
    if _only_headers(policy, record):
        return LeaseMode.SHARED, "its credentials are in header fields, which no answer replaces"
    if quiet:
        return (
            LeaseMode.EXCLUSIVE,
            f"still learning: {quiet} of {QUIET} answers in a row replaced no token",
        )
    return LeaseMode.EXCLUSIVE, "nothing was learned yet"


def _number(value: object) -> float:
    """Return a number of the record, which somebody may have edited, or 0."""
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e11 else 0.0
