"""One session: which request goes next, what happens in doubt, and when to log in.

A request takes four steps. `SessionManager.lease` waits for its turn and returns a lease; the caller sends with the lease's
credentials, settles the lease when the headers are in, and ends it. When the response has been judged, the caller reports
`SessionManager.accepted` or `SessionManager.refused`.

Every change of the session's record is a compare-and-set in the cookie store. One manager serves all threads of a process;
managers of other processes meet it in the store.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from argosy.cookies import jar
from argosy.errors import (
    ArgosyError,
    GenerationMoved,
    HoldLapsed,
    LoginFailed,
    RefreshRefused,
    SessionInDoubt,
    SessionLost,
    TransferError,
)
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing import adaptive
from argosy.leasing.adaptive import QUIET
from argosy.leasing.lease import (
    MOVE,
    RENEWAL,
    ExclusiveLease,
    Lease,
    Overlap,
    Stamp,
    changed,
    in_doubt,
    is_moving,
    notice_lapse,
    put,
)
from argosy.leasing.login import FAILED_BEFORE, Answered, Authority, Credentials, LoginLimiter
from argosy.leasing.policy import LeaseMode, Policy, SessionCallbacks
from argosy.models.session import SessionRecord, Signer, Status, header_fields
from argosy.toolkit.failures import UNREACHED
from argosy.toolkit.processes import this_holder

logger = logging.getLogger(__name__)

#: This many refusals after a login, with nothing accepted, mean that logging in does not help.
FRUITLESS = 5

_KEPT = "Everything done so far is kept."


class SessionManager:
    """Grants leases on one session, and keeps the session alive.

    `login` is an `Authority`, or a function that returns the cookies of a new session; None if argosy cannot log in.
    `login_limit` limits logins over several sessions. `may_renew` is asked, under the hold, whether to log in again after
    the service ended the session: a pool says no if another of its sessions is the cause.
    """

    def __init__(
        self,
        store: CookieStore,
        session: str,
        policy: Policy = Policy(),
        *,
        login: Authority | Callable[[], jar.Jar] | None = None,
        callbacks: SessionCallbacks = SessionCallbacks(),
        login_limit: LoginLimiter | None = None,
        may_renew: Callable[[SessionRecord], bool] = lambda record: True,
    ) -> None:
        self.store = store
        self.session = session
        self.policy = policy if login is not None else replace(policy, renewable=False)
        self.logins = self.refreshes = self.refusals = 0
        self._login = login if isinstance(login, Authority) or login is None else Authority(login)
        self._is_auto = policy.lease_mode is LeaseMode.AUTO
        self._callbacks = callbacks
        self._login_limit = login_limit or LoginLimiter(policy.max_logins)
        self._may_renew = may_renew
        self._overlap = Overlap()
        self._mutex = threading.Lock()
        self._first = threading.RLock()
        #: Whether the service accepted a request on the newest session (`_issue`) that this process knows.
        self._proved = False
        self._issue = (0, 0)
        self._progressed = 0  # the newest login after which a request was accepted
        self._fruitless = 0
        self._renewal: Callable[[SessionRecord], None] | None = None  # the renewal that a refusal asked for
        self._lost: tuple[SessionLost | LoginFailed, tuple[int, int]] | None = None

    # -- a request: acquire

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Lease:
        """Return a lease for one request to `url` once it is this sender's turn.

        `admit` is asked at the last moment, with the session held and nothing sent, and before a login: it returns the
        seconds to wait first, 0 to go ahead. The session is never held during that wait.
        """
        while True:
            self._raise_if_lost()
            if self._overlaps(url):
                delay = admit()
                record = self._read()
                if delay <= 0 and self._overlaps(url, record):  # token and mode from one record
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
        """Raise `Interrupted` if the run is being stopped."""
        self._callbacks.check()

    def pause(self, seconds: float) -> None:
        """Wait for politeness; never with the session held."""
        self._callbacks.waiting("delay")
        self._callbacks.sleep(seconds)

    @contextlib.contextmanager
    def first_in_turn(self) -> Iterator[None]:
        """Let one request at a time go until one is accepted, so that a wrong password or dead session is sent once."""
        if self._proved:
            yield
            return
        if not self._first.acquire(blocking=False):
            self._callbacks.waiting("lease")
            self._first.acquire()
        with contextlib.ExitStack() as turn:
            turn.callback(self._first.release)
            if self._proved:
                turn.close()
            yield

    def _overlaps(self, url: str, record: SessionRecord | None = None) -> bool:
        """Return whether a request may overlap others: its lease is shared, or it carries no token."""
        record = record or self._read()
        if self._renewal is not None or self._needs_login(record) or self._is_due(record):
            return False
        if self._is_shared(record):
            configured = self.policy.lease_mode is LeaseMode.SHARED
            return not (record.status is Status.IN_FLIGHT if configured else self._in_doubt(record))
        tokens, fields = self.policy.tokens.of(record.cookies), self.policy.carriers.of(record.headers)
        if self.policy.signer in (Signer.STATEFUL, Signer.KEPT) or not (tokens or fields) or jar.concerns(tokens, url):
            return False
        if any(field.concerns(url) for field in fields):
            return False
        # a header token may be under renewal
        return not header_fields(record.headers, url) or not self._in_doubt(record)

    def _is_shared(self, record: SessionRecord) -> bool:
        return adaptive.in_force(self.policy, record)[0] is LeaseMode.SHARED

    def _ready(self, admit: Callable[[], float]) -> float:
        """Make the held session usable; return the seconds to wait first, if any."""
        self.check()
        self._raise_if_lost()
        record, renewal = self._read(), self._renewal
        if (delay := self._doubt_left(record)) > 0:
            self._callbacks.waiting("doubt")
        elif renewal is not None or self._asks_the_service(record):
            delay = admit()
        if delay > 0:
            return delay
        if renewal is not None:
            renewal(record)
            record = self._read()
        self._make_usable(record)
        return admit()

    def _exclusive(self, release: Release) -> Lease:
        record = self._read()
        if self._is_shared(record):  # it was in doubt, needed a login, or was exclusive when we queued
            release()
            return self._share(record)
        return ExclusiveLease(self.store, record, release, self.policy, self._callbacks)

    def _share(self, record: SessionRecord) -> Lease:
        lease = Lease(self.store, record, self.policy, self._callbacks)
        learned = self._is_auto and adaptive.mode_of(record.learned) is LeaseMode.SHARED
        return self._overlap.begin(lease) if learned else lease

    # -- a request: the verdict

    def accepted(self, stamp: Stamp) -> None:
        """Report that a request was accepted: its login was good, and what its response taught is true."""
        if self._fruitless:
            with self._mutex:
                self._fruitless = 0
        if stamp.logins > self._progressed:
            self._progressed = stamp.logins
            self._login_limit.tell("login-progressed", self.session)
        if not self._proved:
            self._prove(stamp.issue, proved=True)
        if stamp.taught is LeaseMode.SHARED:
            self._callbacks.notice(
                f"Requests on session {self.session!r} now overlap: {QUIET} responses in a row replaced no token."
            )
        elif stamp.taught is LeaseMode.EXCLUSIVE:
            is_news = self._teach(proved=True)
            if is_news and self._is_auto and not stamp.exclusive:
                self._callbacks.notice(
                    f"The service replaced the token of session {self.session!r}, so its requests now take turns. "
                    "Requests refused meanwhile are sent again."
                )

    def refused(self, stamp: Stamp, *, again: bool = False) -> None:
        """Report that a request was refused; return if it should be sent again under a new lease.

        The store is read again first. If it has a newer token, there is no login, and that token is kept. Otherwise this
        sender logs in, once, and all others wait for it. `again` says that a newer token was refused as well. Then only a
        login counts: cookies that change with every response (analytics, load balancers) are not newer tokens.
        """
        self._prove(stamp.issue, proved=False)
        if self._is_auto and not again and not stamp.exclusive:
            self._overlap.wait(
                lambda lease: (
                    self.policy.tokens.same(lease.stamp.cookies, stamp.cookies) and lease.stamp.headers == stamp.headers
                )
            )

        def renew(record: SessionRecord) -> None:
            if record.issue != stamp.issue or (not again and self._moved(stamp, record)):
                return
            if not (record.is_usable and self._can_refresh(record)):
                self._renew(record, "refused")
            elif not self._in_doubt(record):  # else the next lease resolves the doubt
                self._refresh(record, "the service refused the session")

        # threads that have queued for the session renew it, instead of sending the refused token once more
        self._renewal = renew
        try:
            self._holding(renew)
        finally:
            if self._renewal is renew:
                self._renewal = None

    def count_refusal(self) -> None:
        """Count a refusal, of any request."""
        with self._mutex:
            self.refusals += 1
        self._callbacks.refusal()

    def fruitless(self) -> None:
        """Report that a request was refused right after a login; raise `SessionLost` if logins do not help."""
        with self._mutex:
            self._fruitless += 1
        if self._fruitless >= FRUITLESS:
            message = f"The service accepts the login but refused {FRUITLESS} requests in a row after it. {_KEPT}"
            raise self._lost_because(message, "Check in a browser what this account may download.")

    def _moved(self, stamp: Stamp, record: SessionRecord) -> bool:
        """Return whether there is a newer token than the refused one, and learn from that."""
        tokens = self.policy.tokens
        is_replaced = self.policy.carriers.of(record.headers) != stamp.headers
        # if no token was sent, a cookie that came with a refusal is not a newer one
        has_moved = bool(tokens.of(stamp.cookies)) and not tokens.same(record.cookies, stamp.cookies)
        if stamp.exclusive or not (has_moved or is_replaced):
            return False
        if is_replaced or tokens.replaced(stamp.cookies, stamp.cookies, record.cookies):
            self._teach(proved=False)
        return True

    def _teach(self, *, proved: bool) -> bool:
        """Record that the service replaces tokens, without holding the session; return whether it was new."""
        while (record := self.store.read(self.session)) is not None:
            learned = adaptive.replaces(record.learned, proved=proved)
            if learned == record.learned:
                break
            with contextlib.suppress(GenerationMoved):
                put(self.store, changed(record, learned=learned), record)
                return True
        return False

    # -- the session as a whole

    def ensure(self) -> None:
        """Log in if there is no session yet, so that a wrong password shows before the first request."""
        policy = self.policy

        def prepare(record: SessionRecord) -> None:
            self._tell_secrets(record)  # plugins may read these in a run that sends nothing
            if record.is_usable and (record.renewable, record.signer) != (policy.renewable, policy.signer):
                self._write(record, renewable=policy.renewable, signer=policy.signer)
                record = self._read()
            if self._doubt_left(record) <= 0:  # else the first lease waits, without holding the session
                self._make_usable(record)

        self._holding(prepare)

    def fresh(self, is_stale: Callable[[SessionRecord], bool]) -> SessionRecord:
        """Return a usable record, renewed once for all who ask at the same time if it is stale or about to expire."""
        newest = before = self._read()
        in_doubt = self._in_doubt(before) and self._on_doubt(before) != "drop"
        if before.is_usable and not (in_doubt or self._is_due(before) or is_stale(before)):
            return before
        delay = 0.0

        def renew(record: SessionRecord) -> None:
            nonlocal newest, delay
            delay, newest = self._ready(lambda: 0.0), self._read()
            if delay <= 0 and newest.issue == before.issue and is_stale(newest):
                self._before_it_expires(newest)
                newest = self._read()

        while True:
            self._holding(renew)
            if delay <= 0:
                return newest
            self.pause(delay)  # for a doubt, without the hold

    def login(self, reason: str = "asked for", *, forget: bool = False) -> None:
        """Log in again in any state; all others wait (`forget`: also forget what was learned)."""

        def again(record: SessionRecord) -> None:
            self._lost = None
            self._log_in(record, reason, forget=forget)
            self._make_usable(self._read())  # exchange an imported token before it is used

        self._holding(again)

    def log_out(self, *, local: bool = False) -> bool | None:
        """End the session at the service, if the service offers that, and forget it (`local`: only forget it).

        Return whether it was ended at the service; None if there is no session. If ending it fails, it is kept.
        """
        ended: bool | None = None

        def forget(record: SessionRecord) -> None:
            nonlocal ended
            if record.generation:
                ended = False
                if self._login and not local and record.is_usable and not self._in_doubt(record):
                    with self._marked(record) as (marked, clear):
                        ended = self._login.log_out(marked, clear)
                self.store.remove(self.session)

        self._holding(forget)
        self.store.sync()
        return ended

    def retire(self, logins: int) -> None:
        """Mark the session as not to be used until the person logs in, unless `logins` has changed meanwhile."""

        def retire(record: SessionRecord) -> None:
            if record.logins == logins:
                self._write(record, status=Status.RETIRED, holder=None)

        self._holding(retire)

    def forgive(self) -> None:
        """Forget that the session is lost: it turned out to be good."""
        self._lost = None

    @property
    def is_suspect(self) -> bool:
        """Whether the session must not be logged in again if it is refused."""
        return not self._may_renew(self._read())

    def in_force(self) -> tuple[LeaseMode, str]:
        """Return the lease mode in force and the reason, for people."""
        return adaptive.in_force(self.policy, self._read())

    def sync(self) -> None:
        """Put the session on stable storage at the end of a run, and say so in its record: see `lease.put`."""

        def write(record: SessionRecord) -> None:
            if record.generation and not record.synced:
                self._write_synced(record)

        self._holding(write)
        self.store.sync()

    # -- before the held session can be used

    def _make_usable(self, record: SessionRecord) -> None:
        """Log in, resolve a doubt or renew the session, as needed."""
        if self._needs_login(record) or record.status is Status.RETIRED:
            self._renew(record, "ended")
            record = self._read()
        elif self._in_doubt(record):
            self._resolve_doubt(record)
            record = self._read()
        if self._is_due(record):
            self._before_it_expires(record)

    def _needs_login(self, record: SessionRecord) -> bool:
        return self._login is not None and not record.is_usable

    def _is_due(self, record: SessionRecord) -> bool:
        """Return whether to renew the session before it is used."""
        now = time.time()
        return record.is_due(now) or self.policy.is_over(record, now)

    def _asks_the_service(self, record: SessionRecord) -> bool:
        """Return whether it takes a request to make the session usable."""
        in_doubt = self._in_doubt(record) and self._on_doubt(record) in ("login", "wait")
        return in_doubt or self._needs_login(record) or self._is_due(record)

    def _before_it_expires(self, record: SessionRecord) -> None:
        reason = "the session expires" if record.due else "the session has expired"
        if self._can_refresh(record):
            self._refresh(record, reason)
        elif self.policy.renewable:
            self._log_in(record, reason)
        elif record.expires <= (now := time.time()) or self.policy.is_over(record, now):
            message = f"The session {self.session!r} has expired, and argosy cannot renew it. {_KEPT}"
            raise self._lost_because(message, self.policy.remedy)

    # -- doubt

    def _in_doubt(self, record: SessionRecord) -> bool:
        return in_doubt(record, self.store.scope, self.policy.carriers)

    def _on_doubt(self, record: SessionRecord) -> str:
        within, holder = self.policy.doubt_within, record.holder
        if within is None and self.policy.on_doubt is not None:
            return self.policy.on_doubt
        if within is not None and _is_refresh(record) and holder and 0 <= time.time() - holder.since <= within:
            return "wait"
        is_request = holder is None or not holder.thread.startswith((RENEWAL, MOVE))
        if is_request and not self.policy.needs_cookies(record) and not self.policy.carriers.of(record.headers):
            return "drop"  # only cookies and kept credentials can be in doubt, and the session can do without them
        return "login" if self.policy.renewable else "ask"

    def _doubt_left(self, record: SessionRecord) -> float:
        """Return the seconds until a session in doubt may be tried, if the policy is to wait."""
        if record.holder is None or self._on_doubt(record) != "wait" or not self._in_doubt(record):
            return 0.0
        # no longer than the whole wait, in case the wall clock was set back
        wait = self.policy.doubt_wait
        return min(record.holder.since + wait - time.time(), wait)

    def _resolve_doubt(self, record: SessionRecord) -> None:
        policy = self._on_doubt(record)
        if policy == "drop":
            credentials = self.policy.carriers.without_kept(record.credentials)
            self._write(record, cookies=(), credentials=credentials, status=Status.IDLE, holder=None)
        elif policy == "login":
            self._log_in(record, "a request was sent and its answer never came")
        elif policy == "wait" and _is_refresh(record) and self._can_refresh(record):
            self._refresh(record, "a refresh got no answer")  # now: the old token is good for some seconds only
        elif policy == "wait":
            self._write(record, status=Status.IDLE, holder=None)
        else:
            raise doubt_error(record)  # not remembered: the person may log in meanwhile

    # -- login, refresh, logout; all with the session held

    def _renew(self, record: SessionRecord, what: str) -> None:
        """Log in again after the service "refused" or "ended" the session, unless that would only end another one."""
        if record.status is Status.RETIRED:
            raise self._lost_because(
                f"The session {self.session!r} is not used: the service ended it when another one logged in.",
                "To try again, run: argosy login CONFIG",
                told=True,
            )
        if record.logins and not self.policy.renewable:
            message = f"The service {what} the session {self.session!r}, and argosy cannot renew it. {_KEPT}"
            raise self._lost_because(message, self.policy.remedy, unsure=what == "refused")
        if record.logins and not self._may_renew(record):
            raise self._lost_because(
                f"The service ended the session {self.session!r} when another one logged in.",
                'Ask for fewer "sessions"; to try again with as many, run: argosy login CONFIG',
                unsure=True,
                rival=record.logins,
                at=time.time(),
            )
        self._log_in(record, f"the service {what} the session" if record.logins else "first use")

    def _log_in(self, record: SessionRecord, reason: str, *, forget: bool = False) -> None:
        self._raise_if_lost()
        if self._login is None:
            raise self._lost_because(f"The session {self.session!r} cannot be renewed without a login.")
        self._callbacks.waiting("login")
        with self._login_limit.turn:
            self._callbacks.check()
            if (why_not := self._login_limit.tell("login", self.session)) is not None:
                message = f"The session {self.session!r} cannot be renewed: {why_not}. {_KEPT}"
                hint = 'Check in a browser that this account can log in. For more logins in a row, raise "max_logins".'
                raise self._lost_because(message, hint, told=why_not == FAILED_BEFORE)
            try:
                granted = self._login.log_in(record)
            except LoginFailed as error:
                self._login_limit.tell("login-failed", self.session)
                raise self._lose(error) from None
            except TransferError as error:
                if error.kind in UNREACHED:
                    self._login_limit.tell("login-unsent", self.session)
                raise
        self._store_granted(
            record,
            granted,
            (lambda known: {}) if forget else adaptive.after_login,
            login_cookies=tuple(sorted({cookie.name for cookie in granted.cookies})),
            logins=record.logins + 1,
            logged_in=time.time(),
            renewable=self.policy.renewable,
            signer=self.policy.signer,
        )
        self.logins += 1
        logger.info("session %r: logged in (%s)", self.session, reason)
        self._callbacks.login(reason)

    def _can_refresh(self, record: SessionRecord) -> bool:
        return self._login is not None and self._login.can_refresh(record)

    def _refresh(self, record: SessionRecord, reason: str) -> None:
        """Renew the session with its credentials, which are not sent again if the answer never comes."""
        assert self._login is not None  # noqa: S101 - `_can_refresh` was asked
        self._raise_if_lost()
        self._callbacks.waiting("login")
        self._callbacks.check()
        try:
            with self._marked(record) as (marked, clear):
                granted = self._login.refresh(marked, clear)
        except RefreshRefused as error:
            self._not_refreshed(marked, error)
            return
        except LoginFailed as error:  # a plugin that failed may have sent it: then the mark is still there
            raise self._lose(error) from None
        try:
            self._store_granted(marked, granted, refreshes=record.refreshes + 1)
        except GenerationMoved:
            notice_lapse(self._callbacks, self.session)
            return
        self.refreshes += 1
        self._callbacks.refresh(reason)

    def _not_refreshed(self, marked: SessionRecord, error: RefreshRefused) -> None:
        """Continue without the refused credentials, after a new look at the store."""
        newest = self._read()
        if newest.issue != marked.issue or newest.credentials != marked.credentials:
            return  # another process was faster and has newer ones
        if self.policy.renewable:
            self._log_in(newest, "the service did not refresh the session")
            return
        self._write(newest, status=Status.DEAD, holder=None)  # so that they are not sent again
        raise self._lose(error) from None

    @contextlib.contextmanager
    def _marked(self, record: SessionRecord) -> Iterator[tuple[SessionRecord, Answered]]:
        """Mark the session to send its credentials; clear the mark if no byte went out."""
        self._tell_secrets(record)
        holder, again = this_holder(), record.holder if _is_refresh(record) else None
        # a grace period counts from the first try
        holder = replace(holder, thread=RENEWAL + holder.thread, since=again.since if again else holder.since)
        marked = changed(record, status=Status.IN_FLIGHT, holder=holder)
        put(self.store, marked, record)
        self.store.sync()  # a power loss must not bring back a record without the mark

        def clear(cookies: jar.Jar) -> None:
            self._write(marked, cookies=cookies, status=Status.IDLE, holder=None)

        try:
            yield marked, clear
        except TransferError as error:
            if getattr(error, "unsent", False) and again is None:
                clear(marked.cookies)
            raise

    def _store_granted(
        self, record: SessionRecord, granted: Credentials, learn: adaptive.Learn = dict, **counts: object
    ) -> None:
        """Store the result of a login or refresh; credentials go to stable storage immediately."""
        self._tell_secrets(granted)
        self._write(
            record,
            learn,
            **{name: getattr(granted, name) for name in granted.__slots__},
            status=Status.IDLE,
            holder=None,
            **counts,
        )
        self._prove(replace(record, **counts).issue, proved=False)  # type: ignore[arg-type]  # fields of a record
        if granted.credentials:
            self._write_synced(self._read())

    def _tell_secrets(self, of: SessionRecord | Credentials) -> None:
        fields = (part for one in of.headers for part in (one.value, one.value.rpartition(" ")[2]))
        for value in (*(cookie.value for cookie in of.cookies), *of.credentials.values(), *fields):
            self._callbacks.secret(value)

    def _prove(self, issue: tuple[int, int], *, proved: bool) -> None:
        """Remember whether the newest session is known to be good; reports about older ones are ignored."""
        if issue >= self._issue:
            self._issue, self._proved = issue, proved

    # -- whether the session is lost

    def _lost_because(self, message: str, hint: str | None = None, **notes: object) -> ArgosyError:
        return self._lose(SessionLost(message, hint=hint, **notes))

    def _lose(self, error: SessionLost | LoginFailed) -> ArgosyError:
        """Remember that the session is lost, so that no other worker tries again, and return the error."""
        logger.info("session %r: lost: %s", self.session, type(error).__name__)
        self._lost = error, self._read().issue
        return error

    def _raise_if_lost(self) -> None:
        """Raise the error that lost the session, unless there was a login since."""
        if self._lost is None:
            return
        error, issue = self._lost
        if self._read().issue == issue:
            raise error
        self._lost = None

    # -- the record

    def _acquire(self) -> Release:
        release = self.store.acquire(self.session, wait=False)
        if release is None:
            self._callbacks.waiting("lease")
            release = self.store.acquire(self.session)
            assert release is not None  # noqa: S101 - it waited
        return release

    def _holding(self, step: Callable[[SessionRecord], None]) -> None:
        """Do something with the session held; again, if the hold lapsed and another process changed the session."""
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

    def _write(self, record: SessionRecord, learn: adaptive.Learn = dict, **changes: object) -> None:
        """Change the record of the held session, on top of what shared leases merge meanwhile."""
        while True:
            try:
                put(self.store, changed(record, learned=learn(record.learned), **changes), record)
            except HoldLapsed:
                raise
            except GenerationMoved:
                newest = self._read()
                if (newest.issue, newest.holder) != (record.issue, record.holder):
                    raise  # another process had the session as well
                record = newest
            else:
                return

    def _write_synced(self, record: SessionRecord) -> None:
        self.store.sync()  # before the record says so
        self._write(record, synced=True)


def _is_refresh(record: SessionRecord) -> bool:
    """Return whether a refresh is under way, or its answer never came."""
    return record.holder is not None and record.holder.thread.startswith(RENEWAL)


def doubt_error(record: SessionRecord) -> SessionInDoubt:
    """Return the error of a session whose token may be spent."""
    if is_moving(record):
        return SessionInDoubt(
            f"Moving the session {record.session!r} to another store was interrupted. {_KEPT}",
            hint="Run the same `argosy session copy` again to finish it, or log in again: argosy login CONFIG",
        )
    who = f" by process {record.holder.pid} on {record.holder.host}" if record.holder else ""
    return SessionInDoubt(
        f"The session {record.session!r} is in doubt: a request was sent{who} and its answer never came, "
        f"so the service may have replaced the token. {_KEPT}",
        hint='Log in again: argosy login CONFIG. If the service never replaces tokens, set "lease" to '
        '"shared"; if an old token stays good for a while, set "on_doubt" to {"wait": SECONDS}.',
    )
