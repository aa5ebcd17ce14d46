"""The keeper of one session: who may send next, what happens in doubt, and who logs in.

All the rules of the lease stand here, in `argosy.session.renewal` and in `argosy.session.lease`, once, above
whichever cookie store is used. One keeper serves all threads of a process; keepers of other processes meet it in the store.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from argosy.contracts.cookie_store import CookieStore, Release
from argosy.cookies import jar
from argosy.errors import GenerationMoved
from argosy.session import auto, lost
from argosy.session.allowance import Allowance
from argosy.session.header_token import header_fields
from argosy.session.lease import ExclusiveLease, Lease, SharedLease, Stamp
from argosy.session.lessons import Lessons
from argosy.session.login import Authority, LogIn
from argosy.session.policy import Discipline, Policy, Signer, Watch
from argosy.session.record import SessionRecord, Status
from argosy.session.renewal import Renewal


class SessionKeeper(Renewal):
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
        watch: Watch = Watch(),
        allowance: Allowance | None = None,
        may_renew: Callable[[SessionRecord], bool] = lambda record: True,
    ) -> None:
        super().__init__(store, session, policy, login, watch, allowance, may_renew)
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

    def in_force(self) -> tuple[Discipline, str]:
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
            told = self.policy.discipline is Discipline.SHARED
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
            to_end=self.policy.discipline is Discipline.EXCLUSIVE_TO_END,
            on_token=self._watch.secret,
            on_lapse=lambda: self._watch.notice(lost.LAPSED.format(self.session)),
            learner=self._lessons.learner,
        )
