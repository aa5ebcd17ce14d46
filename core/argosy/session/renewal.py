"""What makes a held session usable: a look at doubts, a login, a refresh, and the memory that neither is possible."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from argosy.contracts.cookie_store import CookieStore, Release
from argosy.cookies import jar
from argosy.errors import (
    ArgosyError,
    GenerationMoved,
    HoldLapsed,
    LoginFailed,
    RefreshRefused,
    SessionLost,
    TransferError,
)
from argosy.session import auto, doubt, lost
from argosy.session.allowance import Allowance, LoginAllowance, told
from argosy.session.identity import this_holder
from argosy.session.lease import changed, put
from argosy.session.login import Authority, Granted, LogIn, Simple
from argosy.session.policy import Policy, Watch
from argosy.session.record import SessionRecord, Status


class Renewal:
    """The part of a keeper that works under the session's hold; see `SessionKeeper` for the parameters."""

    def __init__(
        self,
        store: CookieStore,
        session: str,
        policy: Policy,
        login: Authority | LogIn | None,
        watch: Watch,
        allowance: Allowance | None,
        may_renew: Callable[[SessionRecord], bool],
    ) -> None:
        self.store = store
        self.session = session
        #: What it may do; where there is nobody who logs in, no login makes a new session.
        self.policy = policy if login is not None else replace(policy, renewable=False)
        self.logins = self.refreshes = 0
        self._login: Authority | None = Simple(login) if callable(login) else login
        self._watch = watch
        self._allowance = allowance or LoginAllowance(policy.max_logins)
        self._may_renew = may_renew
        self._can_renew = self.policy.renewable
        #: Whether the service has accepted a request on the newest session (`_issue`) that this process knows.
        self._proved = False
        self._issue = (0, 0)
        self._lost: tuple[SessionLost | LoginFailed, tuple[int, int]] | None = None

    # -- the record

    def _acquire(self) -> Release:
        release = self.store.acquire(self.session, wait=False)
        if release is None:
            self._watch.waiting("lease")
            release = self.store.acquire(self.session)
        if release is None:
            raise lost.not_granted(self.session, self.store.name)
        return release

    def _holding(self, step: Callable[[SessionRecord], None]) -> None:
        """Do something with the session held; again, where the hold lapsed and somebody else changed the session."""
        while True:
            release = self._acquire()
            try:
                return step(self._read())
            except GenerationMoved:
                continue
            finally:
                release()

    def _read(self) -> SessionRecord:
        return self.store.read(self.session) or SessionRecord(self.session)

    def _write(self, record: SessionRecord, learn: auto.Learn = dict, **changes: object) -> None:
        """Change the record of the held session; what shared leases merge meanwhile does not prevent it."""
        while True:
            try:
                put(self.store, changed(record, learned=learn(record.learned), **changes), record)
            except HoldLapsed:
                raise
            except GenerationMoved:
                newest = self._read()
                if (newest.issue, newest.holder) != (record.issue, record.holder):
                    raise  # somebody else had the session as well
                record = newest
            else:
                return

    # -- what it needs

    def _needs_login(self, record: SessionRecord) -> bool:
        return self._login is not None and not record.is_usable

    def _is_due(self, record: SessionRecord) -> bool:
        """Return whether the session is to be renewed before it is used."""
        now = time.time()
        return record.is_due(now) or self.policy.is_over(record, now)

    def _in_doubt(self, record: SessionRecord) -> bool:
        return doubt.in_doubt(record, self.store.scope)

    def _on_doubt(self, record: SessionRecord) -> str:
        if self.policy.on_doubt is not None:
            return self.policy.on_doubt
        if not self.policy.needs_cookies(record) and doubt.is_about_a_request(record):
            return "drop"  # only cookies can be in doubt, and the session can do without them
        return "login" if self._can_renew else "ask"

    def _doubt_left(self, record: SessionRecord) -> float:
        """Return the seconds until a session in doubt may be tried, where the policy is to wait."""
        waits = self._on_doubt(record) == "wait" and self._in_doubt(record)
        return doubt.seconds_left(record, self.policy.doubt_wait) if waits else 0.0

    def _asks_the_service(self, record: SessionRecord) -> bool:
        """Return whether it takes a request to make the session usable."""
        if self._needs_login(record) or self._is_due(record):
            return True
        return self._in_doubt(record) and self._on_doubt(record) == "login"

    def _usable(self, record: SessionRecord) -> None:
        """Log in where there is no session, or where the policy for one in doubt is to; renew what is about to expire."""
        if record.status is Status.RETIRED:
            raise self._lose(lost.retired(self.session))
        if self._needs_login(record):
            self._come_by(record)
            record = self._read()
        elif self._in_doubt(record):
            self._resolve_doubt(record)
            record = self._read()
        if self._is_due(record):
            self._before_it_expires(record)

    def _come_by(self, record: SessionRecord) -> None:
        """Log in where there is no session."""
        if not record.logins:
            self._log_in(record, "first use")
        elif not self.policy.renewable:
            raise self._lose(lost.ended(self.session, self.policy.remedy))
        else:
            self._renew(record, "the service ended the session")

    def _resolve_doubt(self, record: SessionRecord) -> None:
        policy = self._on_doubt(record)
        if policy == "drop":
            self._write(record, cookies=(), status=Status.IDLE, holder=None)
        elif policy == "login":
            self._log_in(record, "a request was sent and its answer never came")
        elif policy == "wait":
            self._write(record, status=Status.IDLE, holder=None)
        else:
            # not remembered: whoever comes next looks again, and somebody may have logged in
            raise lost.in_doubt(record)

    def _before_it_expires(self, record: SessionRecord) -> None:
        reason = "the session expires" if record.due else "the session has expired"
        if self._can_refresh(record):
            self._refresh(record, reason)
        elif self._can_renew:
            self._log_in(record, reason)
        elif record.expires <= (now := time.time()) or self.policy.is_over(record, now):
            raise self._lose(lost.expired(self.session, self.policy.remedy))

    # -- what renews it

    def _renew(self, record: SessionRecord, reason: str) -> None:
        """Log in again after the service ended the session, unless that would only end another one."""
        if record.status is Status.RETIRED:
            raise self._lose(lost.retired(self.session))
        if not self._may_renew(record):
            raise self._lose(lost.rival(record))
        self._log_in(record, reason)

    def _log_in(self, record: SessionRecord, reason: str, *, forget: bool = False) -> None:
        self._raise_if_lost()
        if self._login is None:
            raise self._lose(lost.nobody(self.session))
        self._watch.waiting("login")
        with self._allowance.turn:
            self._watch.check()
            if (why_not := self._allowance.ask(self.session)) is not None:
                raise self._lose(lost.not_allowed(self.session, why_not))
            try:
                with told(self._allowance, self.session):
                    granted = self._login.log_in(record)
            except LoginFailed as error:
                raise self._lose(error) from None
        self._settle(
            record,
            granted,
            auto.nothing if forget else auto.after_login,
            login_cookies=tuple(sorted({cookie.name for cookie in granted.cookies})),
            logins=record.logins + 1,
            logged_in=time.time(),
            renewable=self.policy.renewable,
            signer=self.policy.signer,
        )
        self.logins += 1
        self._watch.login(reason)

    def _can_refresh(self, record: SessionRecord) -> bool:
        return self._login is not None and self._login.can_refresh(record)

    def _refresh(self, record: SessionRecord, reason: str) -> None:
        """Renew the session with what it has; the mark stands in the store before anything is sent.

        A credential that is replaced by its use is a token like any other: where the answer never comes, nobody
        knows whether it was spent, and it is not sent again.
        """
        assert self._login is not None  # noqa: S101 - `_can_refresh` was asked
        self._raise_if_lost()
        self._watch.waiting("login")
        self._watch.check()
        marked = self._mark(record)
        try:
            granted = self._login.refresh(marked, partial(self._answered, marked))
        except RefreshRefused as error:
            self._not_refreshed(marked, error)
            return
        except LoginFailed as error:  # of a plugin that broke off, the mark stands: it may have sent it
            raise self._lose(error) from None
        except TransferError as error:
            self._not_sent(marked, error)
            raise
        try:
            self._settle(marked, granted, refreshes=record.refreshes + 1)
        except GenerationMoved:
            self._watch.notice(lost.LAPSED.format(self.session))
            return
        self.refreshes += 1
        self._watch.refresh(reason)

    def _end_there(self, record: SessionRecord) -> bool:
        """End the session at the service; return whether the service offers that."""
        assert self._login is not None  # noqa: S101 - only where there is somebody who can
        marked = self._mark(record)
        try:
            return self._login.log_out(marked, partial(self._answered, marked))
        except TransferError as error:
            self._not_sent(marked, error)
            raise

    def _mark(self, record: SessionRecord) -> SessionRecord:
        """Mark the session, on stable storage: a power loss must not bring back a record without the mark."""
        holder = this_holder()
        holder = replace(holder, thread=doubt.RENEWAL + holder.thread)
        marked = changed(record, status=Status.IN_FLIGHT, holder=holder)
        put(self.store, marked, record)
        self.store.sync()
        return marked

    def _answered(self, marked: SessionRecord, cookies: jar.Jar) -> None:
        self._write(marked, cookies=cookies, status=Status.IDLE, holder=None)

    def _not_sent(self, marked: SessionRecord, error: TransferError) -> None:
        """Take the mark away where not a byte went out."""
        if getattr(error, "unsent", False):
            self._answered(marked, marked.cookies)

    def _not_refreshed(self, marked: SessionRecord, error: RefreshRefused) -> None:
        """Go on without the credentials that were refused; the store is read again before that."""
        newest = self._read()
        if newest.issue != marked.issue or newest.credentials != marked.credentials:
            return  # somebody was faster, and has newer ones
        if self._can_renew:
            self._log_in(newest, "the service did not refresh the session")
            return
        self._write(newest, status=Status.DEAD, holder=None)  # nobody is to send them again
        raise self._lose(error) from None

    def _settle(
        self, record: SessionRecord, granted: Granted, learn: auto.Learn = dict, **counts: object
    ) -> None:
        """Store what a login or a refresh gave; what cannot be had again goes to stable storage at once."""
        for value in (*(cookie.value for cookie in granted.cookies), *granted.credentials.values()):
            self._watch.secret(value)
        self._write(
            record,
            learn,
            cookies=granted.cookies,
            headers=granted.headers,
            credentials=dict(granted.credentials),
            expires=granted.expires,
            due=granted.due,
            status=Status.IDLE,
            holder=None,
            **counts,
        )
        self._prove(replace(record, **counts).issue, proved=False)  # type: ignore[arg-type]  # fields of a record
        if granted.credentials:
            self.store.sync()  # what the record says, before it says that it is there
            self._write(self._read(), synced=True)

    def _prove(self, issue: tuple[int, int], *, proved: bool) -> None:
        """Remember whether the newest session is known to be good; what is said of an older one is ignored."""
        if issue >= self._issue:
            self._issue, self._proved = issue, proved

    # -- whether it is lost

    def _lose(self, error: SessionLost | LoginFailed) -> ArgosyError:
        """Remember that the session is lost, so that no other worker tries again, and return the error."""
        self._lost = error, self._read().issue
        return error

    def _raise_if_lost(self) -> None:
        """Raise what lost the session, unless somebody has logged in since."""
        if self._lost is None:
            return
        error, issue = self._lost
        if self._read().issue == issue:
            raise error
        self._lost = None
