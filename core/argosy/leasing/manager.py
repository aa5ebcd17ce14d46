"""What makes a held session usable: a look at doubts, a login, a refresh, and the memory that neither is possible.

The keeper of one session: who may send next, what happens in doubt, and who logs in.

All the rules of the lease stand here, in `argosy.leasing.manager` and in `argosy.leasing.lease`, once, above
whichever cookie store is used. One keeper serves all threads of a process; managers of other processes meet it in the store.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

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
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing import adaptive as auto
from argosy.leasing import lease as doubt
from argosy.leasing import messages as lost
from argosy.leasing.lease import ExclusiveLease, Lease, SharedLease, Stamp, changed, put
from argosy.leasing.login import Authority, Credentials, LogIn, Simple
from argosy.leasing.login_limit import LoginLimit, LoginLimiter, told
from argosy.leasing.policy import LeaseMode, Policy, SessionCallbacks, Signer
from argosy.leasing.sharing import Lessons
from argosy.models.session import SessionRecord, Status, header_fields
from argosy.toolkit.processes import this_holder


class Renewal:
    """The part of a session manager that works under the session's hold; see `SessionManager` for the parameters."""

    def __init__(
        self,
        store: CookieStore,
        session: str,
        policy: Policy,
        login: Authority | LogIn | None,
        watch: SessionCallbacks,
        login_limit: LoginLimit | None,
        may_renew: Callable[[SessionRecord], bool],
    ) -> None:
        self.store = store
        self.session = session
        #: What it may do; where there is nobody who logs in, no login makes a new session.
        self.policy = policy if login is not None else replace(policy, renewable=False)
        self.logins = self.refreshes = 0
        self._login: Authority | None = Simple(login) if callable(login) else login
        self._watch = watch
        self._allowance = login_limit or LoginLimiter(policy.max_logins)
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
        self, record: SessionRecord, granted: Credentials, learn: auto.Learn = dict, **counts: object
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


class SessionManager(Renewal):
    """Grants leases on one session.

    Parameters
    ----------
    store
        Keeps the session's record.
    session
        Its name in the store.
    policy
        What the keeper may do.
    login
        What logs in and renews the session, or just a function that logs in and returns the cookies of the new
        session; None where nobody can.
    watch
        Who is told.
    allowance
        Says whether it may log in; where it is not given, `policy` says how often.
    may_renew
        Asked, under the hold and with the record, whether to log in again after the service ended the session; a
        pool says no where one of its other sessions is the cause.
    """

    def __init__(
        self,
        store: CookieStore,
        session: str,
        policy: Policy = Policy(),
        *,
        login: Authority | LogIn | None = None,
        watch: SessionCallbacks = SessionCallbacks(),
        login_limit: LoginLimit | None = None,
        may_renew: Callable[[SessionRecord], bool] = lambda record: True,
    ) -> None:
        super().__init__(store, session, policy, login, watch, login_limit, may_renew)
        self.refusals = 0
        self.pause: Callable[[float], None] = lambda seconds: self._watch.pause(seconds)
        self._lessons = Lessons(store, session, self.policy, notice=watch.notice)
        self._mutex = threading.Lock()
        self._fruitless = 0
        self._renewal: Callable[[SessionRecord], None] | None = None  # what a refusal has called for
        self._progressed = (
            0  # the newest login that a request was accepted after, as far as this process knows
        )
        self._first = threading.RLock()

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Lease:
        """Return a lease for one request, once it is this sender's turn.

        Parameters
        ----------
        url
            Where the request goes. One that carries no token of the session needs no exclusive lease.
        admit
            Asked at the last moment, with the session held and nothing sent, and before a login as well:
            seconds to wait first, for politeness; 0 to go ahead. The session is never held during that wait.

        Raises
        ------
        SessionLost, LoginFailed, SessionInDoubt
            If there is no session, and none can be had.
        StoreError
            If the store fails; nothing was sent.
        """
        while True:
            self._raise_if_lost()
            if self._overlaps(url):
                delay = admit()
                record = self._read()
                if delay <= 0 and self._overlaps(url, record):  # token and discipline from one record
                    return self._share(record)
            else:
                release = self._acquire()
                try:
                    delay = self._ready(admit)
                    if delay <= 0:
                        return self._exclusive(release)
                except GenerationMoved:  # before the mark, so nothing was sent: look at the newer record
                    delay = 0.0
                except BaseException:
                    release()
                    raise
                release()
            if delay > 0:
                self.pause(delay)

    def check(self) -> None:
        """Return if something may be sent now.

        Raises
        ------
        Interrupted
            If the run is being stopped.
        """
        self._watch.check()

    @contextlib.contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """Let one request at a time go, up to the verdict on its answer, until the service has accepted one.

        A wrong password or a dead session is then sent once, and not by every worker.
        """
        with contextlib.ExitStack() as turn:
            if not self._proved:
                if not self._first.acquire(blocking=False):
                    self._watch.waiting("lease")
                    self._first.acquire()
                turn.callback(self._first.release)
                if self._proved:
                    turn.close()
            yield

    def ensure(self) -> None:
        """Log in where there is no session yet, so that a wrong password is found before the first request."""
        self._holding(self._make_sure)

    def _make_sure(self, record: SessionRecord) -> None:
        for cookie in record.cookies:
            self._watch.secret(cookie.value)  # a run that sends nothing may have plugins that read it
        for value in record.credentials.values():
            self._watch.secret(value)
        policy = self.policy
        if record.is_usable and (record.renewable, record.signer) != (policy.renewable, policy.signer):
            self._write(record, renewable=policy.renewable, signer=policy.signer)
            record = self._read()
        if self._doubt_left(record) <= 0:
            self._usable(record)
        # else the first lease waits, and the session is not held meanwhile

    def login(self, reason: str = "asked for", *, forget: bool = False) -> None:
        """Log in again, whatever there is; everybody else waits for it.

        Parameters
        ----------
        reason
            Why, for people.
        forget
            Whether to forget what was learned about the service, too.
        """

        def again(record: SessionRecord) -> None:
            self._lost = None
            self._log_in(record, reason, forget=forget)
            record = self._read()
            if self._is_due(record):  # what was imported is to be exchanged before it is used
                self._before_it_expires(record)

        self._holding(again)

    def log_out(self, *, local: bool = False) -> bool | None:
        """End the session at the service, where that can be done, and forget it.

        Parameters
        ----------
        local
            Whether to ask nothing of the service.

        Returns
        -------
        bool or None
            Whether it was ended at the service; None where there is no session.

        Raises
        ------
        SessionError, TransferError
            If the service did not end it; it is kept.
        """
        ended: list[bool] = []

        def forget(record: SessionRecord) -> None:
            if record.generation:
                asks = (
                    not local and self._login is not None and record.is_usable and not self._in_doubt(record)
                )
                ended.append(asks and self._end_there(record))
                self.store.remove(self.session)

        self._holding(forget)
        self.store.sync()
        return ended[0] if ended else None

    def accepted(self, stamp: Stamp) -> None:
        """Say that a request with this stamp was accepted: the login behind it is good, and what it taught is true."""
        if self._fruitless:
            with self._mutex:
                self._fruitless = 0
        if stamp.logins > self._progressed:
            self._progressed = stamp.logins
            self._allowance.progressed(self.session)
        if not self._proved:
            self._prove(stamp.issue, proved=True)
        if stamp.taught is not None:
            self._lessons.accepted(stamp)

    def refused(self, stamp: Stamp, *, again: bool = False) -> None:
        """Say that a request was refused; return where it is worth sending again under a new lease.

        The store is read again first: where somebody has a newer token there is no login, and the loser
        never clears the winner's token. Otherwise this sender logs in, once, and everybody waits for it.

        Parameters
        ----------
        stamp
            What the request was sent with.
        again
            Whether the newer token was refused as well. Cookies that change with every response (analytics,
            load balancers) are no newer token, so only a login counts then.

        Raises
        ------
        SessionLost
            If the session cannot be renewed.
        LoginFailed
            If the login was not accepted.
        """
        self._prove(stamp.issue, proved=False)
        if not again:
            self._lessons.wait(stamp)

        def renew(record: SessionRecord) -> None:
            if record.issue != stamp.issue:
                return
            if not again and self._lessons.moved(stamp, record):
                return
            reason = "the service refused the session"
            if record.is_usable and self._can_refresh(record):
                if not self._in_doubt(record):  # else the next lease finds out what becomes of it
                    self._refresh(record, reason)
            elif not self.policy.renewable and record.logins:
                raise self._lose(lost.refused(self.session, self.policy.remedy))
            else:
                self._renew(record, reason)

        # threads that have queued for the session renew it, instead of sending the refused token once more
        self._renewal = renew
        try:
            self._holding(renew)
        finally:
            if self._renewal is renew:
                self._renewal = None

    def count_refusal(self) -> None:
        """Count a response that was a refusal, whatever its request was for."""
        with self._mutex:
            self.refusals += 1

    def fruitless(self) -> None:
        """Say that a request was refused right after a login.

        Raises
        ------
        SessionLost
            If nothing at all is accepted any more, however often one logs in.
        """
        with self._mutex:
            self._fruitless += 1
            useless = self._fruitless >= lost.FRUITLESS
        if useless:
            raise self._lose(lost.fruitless())

    def retire(self, logins: int) -> None:
        """Say in the store that nobody is to use the session until a login is asked for.

        Parameters
        ----------
        logins
            Its count of logins when that was decided; where somebody has logged in since, nothing is done.
        """

        def retire(record: SessionRecord) -> None:
            if record.logins == logins:
                self._write(record, status=Status.RETIRED, holder=None)

        self._holding(retire)

    def forgive(self) -> None:
        """Forget what lost the session: it turned out to be good."""
        self._lost = None

    @property
    def is_suspect(self) -> bool:
        """Whether the session, if it was refused, is not to be logged in again."""
        return not self._may_renew(self._read())

    def doubt_left(self) -> float:
        """Return the seconds until a session in doubt may be tried, where the policy is to wait; else 0."""
        return max(self._doubt_left(self._read()), 0.0)

    def in_force(self) -> tuple[LeaseMode, str]:
        """Return the lease that is in force now, and why, in words for people."""
        return auto.in_force(self.policy, self._read())

    def sync(self) -> None:
        """Put the session on stable storage at the end of a run, and say so in its record.

        Its first change after that goes there before anything is sent (`lease.put`): it is the newest after a power loss.
        """

        def write(record: SessionRecord) -> None:
            if record.generation and not record.synced:
                self.store.sync()  # what the record says, before it says that it is there
                self._write(record, synced=True)

        self._holding(write)
        self.store.sync()

    # -- what happens while the session is held

    def _overlaps(self, url: str, record: SessionRecord | None = None) -> bool:
        """Return whether a request may overlap others: its lease is shared, or no token goes with it."""
        record = record or self._read()
        if self._renewal is not None or self._needs_login(record) or self._is_due(record):
            return False
        if auto.shares(self.policy, record):
            told = self.policy.discipline is LeaseMode.SHARED
            return not (record.status is Status.IN_FLIGHT if told else self._in_doubt(record))
        tokens = self.policy.tokens.of(record.cookies)
        if self.policy.signer is Signer.STATEFUL or not tokens or jar.concerns(tokens, url):
            return False
        # a header token may be under renewal just now
        return not header_fields(record.headers, url) or not self._in_doubt(record)

    def _share(self, record: SessionRecord) -> SharedLease:
        return self._lessons.share(record, self._watch.secret)

    def _ready(self, admit: Callable[[], float]) -> float:
        """Make the held session usable; return the seconds to wait first, if any."""
        self.check()
        self._raise_if_lost()
        record, renewal = self._read(), self._renewal
        if (delay := self._doubt_left(record)) > 0:
            self._watch.waiting("doubt")
        elif renewal is not None or self._asks_the_service(record):
            delay = admit()
        if delay > 0:
            return delay
        if renewal is not None:
            renewal(record)
            record = self._read()
        self._usable(record)
        return admit()

    def _exclusive(self, release: Release) -> Lease:
        record = self._read()
        if auto.shares(self.policy, record):
            # it was in doubt, had to be logged in or renewed, or was exclusive when we queued
            release()
            return self._share(record)
        return ExclusiveLease(
            self.store,
            record,
            release,
            to_end=self.policy.discipline is LeaseMode.EXCLUSIVE_TO_END,
            on_token=self._watch.secret,
            on_lapse=lambda: self._watch.notice(lost.LAPSED.format(self.session)),
            learner=self._lessons.learner,
        )
