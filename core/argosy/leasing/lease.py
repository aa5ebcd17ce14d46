"""The lease: the right to send one request with the session's newest token.

The sender calls, in this order, `Lease.credentials`; then one of `Lease.settle` (the headers are in), `Lease.unsent` (no byte
went out) or `Lease.doubt` (it went out and no answer came); then `Lease.end`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from argosy.cookies import jar
from argosy.errors import GenerationMoved, HoldLapsed
from argosy.interfaces.cookie_store import CookieStore, Release, Scope
from argosy.leasing import adaptive
from argosy.leasing.policy import Brought, Carriers, LeaseMode, Policy, SessionCallbacks, slight
from argosy.models.session import HeaderToken, SessionRecord, Status, header_fields
from argosy.toolkit.processes import boot_id, this_holder

logger = logging.getLogger(__name__)

#: The header fields of a response.
Fields = Sequence[tuple[str, str]]

#: Prefix of the thread name in the mark of a refresh or logout, which may send more than cookies.
RENEWAL = "argosy renewal: "

#: In the mark of a move to another store, this and the status before replace the thread name.
MOVE = "argosy session copy: "

#: Seconds that a refused request waits for overlapping ones: if the session has simply expired, it waits in vain.
LONGEST = 5.0


def is_moving(record: SessionRecord) -> bool:
    """Return whether a move to another store was under way; it sends nothing, so the token is still good."""
    return record.holder is not None and record.holder.thread.startswith(MOVE)


def in_doubt(record: SessionRecord, scope: Scope, carriers: Carriers | None = None) -> bool:
    """Return whether a token may be spent, with its record held: its holder died, or the record predates a power loss."""
    if record.status is Status.IN_FLIGHT:
        return True
    lost_power = bool(record.boot) and not record.synced and record.boot != boot_id()
    # only a store on this machine's disk loses power with it
    return lost_power and scope is Scope.HOST and bool(record.cookies or (carriers and carriers.of(record.headers)))


def changed(record: SessionRecord, **changes: object) -> SessionRecord:
    """Return the next generation of a record."""
    stamps = {"generation": record.generation + 1, "saved": time.time(), "boot": boot_id(), "synced": False}
    return replace(record, **{**stamps, **changes})  # type: ignore[arg-type]  # replace() checks the names


def put(store: CookieStore, record: SessionRecord, before: SessionRecord) -> None:
    """Replace a record; the first change after a sync is synced, so no power loss brings back the old record as good."""
    store.write(record, before.generation)
    if before.synced and not record.synced:
        store.sync()
    if (record.cookies, record.headers) != (before.cookies, before.headers):
        logger.debug("session %r: tokens replaced (generation %d)", record.session, record.generation)
    mode = adaptive.mode_of(record.learned)
    if mode not in (None, adaptive.mode_of(before.learned)):
        logger.info("session %r: the lease is now %s", record.session, mode)
    if record.status is Status.DEAD and before.status is not Status.DEAD:
        logger.info("session %r: the service ended it", record.session)


def notice_lapse(callbacks: SessionCallbacks, session: str) -> None:
    """Tell the person that a hold was lost while it was used."""
    callbacks.notice(
        f"Another process changed the session {session!r} while a request held it, and its token is kept. "
        "Was the lock file or the store replaced?"
    )


class Stamp(NamedTuple):
    """Which session a request was sent with, to compare after a refusal."""

    issue: tuple[int, int]  # as `SessionRecord.issue`, when the request was sent
    cookies: jar.Jar
    exclusive: bool  # whether no other sender could replace the token meanwhile
    headers: tuple[HeaderToken, ...] = ()  # those that a response may replace
    taught: LeaseMode | None = None  # the lease mode that the response newly suggests

    @property
    def logins(self) -> int:
        """The session's count of logins."""
        return self.issue[0]


class Lease:
    """The right to send one request with what `record` holds.

    This one has no mark and overlaps others: for tokens that stay good, and for requests that carry none.
    `SessionCallbacks.secret` gets each token that is sent and each that arrives, before another reader can see it.
    """

    #: Whether no other sender can use the session meanwhile.
    is_exclusive = False

    def __init__(
        self,
        store: CookieStore,
        record: SessionRecord,
        policy: Policy = Policy(),
        callbacks: SessionCallbacks = SessionCallbacks(),
    ) -> None:
        self._store = store
        self._record = record
        self._policy = policy
        self._callbacks = callbacks
        #: Whether the last byte of the body ends the lease, instead of the headers.
        self.to_end = self.is_exclusive and policy.lease_mode is LeaseMode.EXCLUSIVE_TO_END
        #: What all requests of the session send; "" for any.
        self.user_agent = record.user_agent
        #: Called when the lease ends, perhaps again.
        self.on_end: Callable[[], None] = lambda: None
        self.stamp = Stamp(record.issue, record.cookies, self.is_exclusive, policy.carriers.of(record.headers))
        self._tell(record.cookies)
        self._tell_headers(record.headers)

    def cookie_header(self, url: str) -> str | None:
        """Return the ``Cookie`` header for the request, or None."""
        return jar.cookie_header(self._record.cookies, url, time.time()) if self._record.cookies else None

    def credentials(self, url: str) -> Mapping[str, str]:
        """Return all header fields that identify the session: cookies and header tokens."""
        cookies = self.cookie_header(url)
        fields = header_fields(self._record.headers, url) if self._record.headers else {}
        return fields if cookies is None else {**fields, "Cookie": cookies}

    @property
    def kept(self) -> Mapping[str, str]:
        """The credentials kept with the session, for a signer."""
        return MappingProxyType(self._record.credentials)

    def settle(self, headers: Sequence[str], url: str, date: str | None, fields: Fields = ()) -> None:
        """Store the tokens of a response to `url` with any status.

        `headers` are its raw ``Set-Cookie`` headers, and `fields` all its header fields, for tokens besides cookies. They
        are merged into the newest record: the first response wins, and so does a login.
        """
        sent = self._record
        cookies = jar.settle(sent.cookies, headers, url, time.time(), date) if headers else sent.cookies
        self._merge(cookies, self._policy.carriers.settle(sent, fields, url), url)

    def settle_body(self, body: bytes, url: str) -> None:
        """Store the tokens in the body of a response; only a lease that lasts to the end looks there."""

    def _merge(self, cookies: jar.Jar, brought: Brought, url: str) -> None:
        sent = newest = self._record
        if (cookies, brought.headers, brought.credentials) == (sent.cookies, sent.headers, sent.credentials):
            return
        self._brought(sent, brought)  # a token that loses against another response is a secret as well
        learned = adaptive.after(self._policy, sent, cookies, url, brought)
        while changes := self._changes(newest, cookies, brought, learned):
            try:
                put(self._store, changed(newest, **changes), newest)
            except GenerationMoved:
                newest = self._store.read(sent.session) or SessionRecord(sent.session)
                if newest.logins != sent.logins:
                    return
            else:
                break
        if learned is not sent.learned:
            self.stamp = self.stamp._replace(taught=adaptive.mode_of(learned))

    def unsent(self) -> None:
        """Report that no byte of the request went out: the token is still good."""

    def doubt(self) -> None:
        """Report that the request went out and no answer came: a mark stays for the next holder to find."""

    def end(self, *, complete: bool = True) -> None:
        """Release the session; may be called more than once (`complete`: the whole body arrived)."""
        self.on_end()

    def _changes(
        self, newest: SessionRecord, new: jar.Jar, brought: Brought, learned: dict[str, object]
    ) -> dict[str, object]:
        sent = self._record
        merged = self._policy.tokens.merge(newest.cookies, sent.cookies, new)
        cookies = self._bounded(merged, newest)
        self._tell(cookies, newest.cookies)
        changes = self._brought(newest, self._policy.carriers.merge(newest, sent, brought))
        if not slight(newest.cookies, cookies, time.time()):
            changes["cookies"] = cookies
        if learned is not sent.learned and adaptive.mode_of(newest.learned) is not LeaseMode.EXCLUSIVE:
            changes["learned"] = learned
        if newest.status is Status.IDLE and self._ends(newest, cookies):
            changes["status"] = Status.DEAD
        return changes

    def _brought(self, record: SessionRecord, brought: Brought) -> dict[str, object]:
        """Return the changes of a record besides the cookies."""
        if brought.headers is record.headers and brought.credentials is record.credentials:
            return {}
        self._tell_headers(brought.headers)
        for value in brought.credentials.values():
            self._callbacks.secret(value)
        return {"headers": brought.headers, "credentials": brought.credentials}

    def _tell(self, cookies: jar.Jar, known: jar.Jar = ()) -> None:
        for cookie in cookies:
            if cookie not in known:
                self._callbacks.secret(cookie.value)

    def _tell_headers(self, tokens: Iterable[HeaderToken]) -> None:
        for token in tokens:
            self._callbacks.secret(token.value)
            self._callbacks.secret(token.value.rpartition(" ")[2])  # without its scheme

    def _bounded(self, cookies: jar.Jar, record: SessionRecord) -> jar.Jar:
        """Drop excess cookies, after `adaptive` has seen them all."""
        return jar.within_bounds(cookies, self._policy.tokens.names.union(record.login_cookies), time.time())

    def _ends(self, record: SessionRecord, cookies: jar.Jar) -> bool:
        """Return whether a response ended the session by deleting its tokens."""
        return self._policy.tokens.over(record.cookies, cookies) and self._policy.needs_cookies(record)


class ExclusiveLease(Lease):
    """A lease that has the session to itself, from the mark to the commit of the new token.

    If another process changes the session under our hold, because a lock file was removed or a hold outlived its
    time-to-live, their token is kept and ours is dropped. `release` ends the hold.
    """

    is_exclusive = True

    def __init__(
        self,
        store: CookieStore,
        record: SessionRecord,
        release: Release,
        policy: Policy = Policy(),
        callbacks: SessionCallbacks = SessionCallbacks(),
    ) -> None:
        super().__init__(store, record, policy, callbacks)
        self._release = release
        # generation and mark in one write: if it fails, nothing is sent
        self._record = changed(record, status=Status.IN_FLIGHT, holder=this_holder())
        put(store, self._record, record)
        self._marked = True
        self._ended = False

    def settle(self, headers: Sequence[str], url: str, date: str | None, fields: Fields = ()) -> None:
        """Store the new tokens and clear the mark in one commit (with `to_end`: keep the mark)."""

        def changes(record: SessionRecord) -> dict[str, object]:
            cookies = jar.settle(record.cookies, headers, url, time.time(), date)
            self._tell(cookies, record.cookies)
            brought = self._policy.carriers.settle(record, fields, url)
            learned = adaptive.after(self._policy, record, cookies, url, brought)
            if learned is not record.learned:
                self.stamp = self.stamp._replace(taught=adaptive.mode_of(learned))
            news: dict[str, object] = {"cookies": self._bounded(cookies, record), "learned": learned}
            news |= self._brought(record, brought)
            if not self.to_end:
                news |= {"status": Status.DEAD if self._ends(record, cookies) else Status.IDLE, "holder": None}
            return news

        self._commit(changes)

    def settle_body(self, body: bytes, url: str) -> None:
        """Store the tokens in the JSON body of a response; the mark stays until the lease ends."""
        carriers, values = self._policy.carriers, {}
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):  # not there
            values = carriers.found_in(json.loads(body))
        if values and self._marked:
            self._commit(lambda record: self._brought(record, carriers.bring(record, values, url)))

    def unsent(self) -> None:
        """Clear the mark; the token was not spent."""
        if self._marked:
            self._commit(lambda _: {"status": Status.IDLE, "holder": None})

    def end(self, *, complete: bool = True) -> None:
        """Give the session to the next sender."""
        if self._ended:
            return
        self._ended = True
        try:
            if self.to_end and complete:
                self.unsent()
        finally:
            try:
                self._release()
            finally:
                super().end(complete=complete)

    def _commit(self, changes: Callable[[SessionRecord], Mapping[str, object]]) -> None:
        while True:
            record = changed(self._record, **changes(self._record))
            try:
                put(self._store, record, self._record)
            except GenerationMoved as error:
                newest = self._store.read(record.session)
                lapsed = isinstance(error, HoldLapsed)  # the new holder may not have changed it yet
                if lapsed or newest is None or newest.holder != self._record.holder:
                    self._marked = False
                    notice_lapse(self._callbacks, record.session)
                    return
                # our mark is still there: a request without a token has brought cookies of another host
                self._record = newest
            else:
                self._record = record
                self._marked = record.status is Status.IN_FLIGHT
                return


class Overlap:
    """The shared leases of one session in this process that have not ended.

    A service that replaces the token refuses every other request that carries the old one, and a refusal often comes
    before the response with the new token. So a refused request waits for those sent with the same token, instead of
    logging in needlessly. Adding to a set is atomic, so leases take no lock unless a request waits.
    """

    def __init__(self) -> None:
        self._under_way: set[Lease] = set()
        self._waiting = 0
        self._ended = threading.Condition()

    def begin(self, lease: Lease) -> Lease:
        """Count a lease until it ends, and return it."""
        self._under_way.add(lease)
        lease.on_end = lambda: self._end(lease)
        return lease

    def wait(self, concerns: Callable[[Lease], bool]) -> None:
        """Wait until the leases have ended that are under way now and concern the caller."""
        with self._ended:
            self._waiting += 1  # before the look: a lease that ends after it sees the waiter
            pending = {lease for lease in self._under_way.copy() if concerns(lease)}
            self._ended.wait_for(lambda: not pending & self._under_way, timeout=LONGEST)
            self._waiting -= 1

    def _end(self, lease: Lease) -> None:
        self._under_way.discard(lease)
        if self._waiting:
            with self._ended:
                self._ended.notify_all()
