"""The keeper of one session: who may send next, what happens in doubt, and who logs in.

All the rules of the lease stand here and in `argosy.session.lease`, once, above whichever cookie store is
used. One keeper serves all threads of a process; keepers of other processes meet it in the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from argosy.contracts.cookie_store import CookieStore, Release
from argosy.cookies import jar
from argosy.errors import ArgosyError, GenerationMoved, LoginFailed, SessionLost
from argosy.session import auto, doubt, lost
from argosy.session.allowance import Allowance, LoginAllowance, told
from argosy.session.lease import ExclusiveLease, Lease, Stamp, changed, put
from argosy.session.lessons import Lessons
from argosy.session.policy import Discipline, Policy, Watch
from argosy.session.record import SessionRecord, Status


class SessionKeeper:
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
        Logs in and returns the cookies of the new session; None where nobody can.
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
        login: Callable[[], jar.Jar] | None = None,
        watch: Watch = Watch(),
        allowance: Allowance | None = None,
        may_renew: Callable[[SessionRecord], bool] = lambda record: True,
    ) -> None:
        self.store = store
        self.session = session
        self.policy = policy
        self.logins = self.refusals = 0
        self._login = login
        self._watch = watch
        self.pause: Callable[[float], None] = lambda seconds: self._watch.pause(seconds)
        self._allowance = allowance or LoginAllowance(policy.max_logins)
        self._may_renew = may_renew
        self._can_renew = login is not None and policy.renewable
        self._lessons = Lessons(store, session, policy, renewable=self._can_renew, notice=watch.notice)
        self._mutex = threading.Lock()
        self._fruitless = 0
        self._lost: tuple[SessionLost | LoginFailed, int] | None = None

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
                    return self._lessons.share(record, self._watch.secret)
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

    def ensure(self) -> None:
        """Log in where there is no session yet, so that a wrong password is found before the first request."""
        release = self._acquire()
        try:
            record = self._read()
            for cookie in record.cookies:
                self._watch.secret(cookie.value)  # a run that sends nothing may have plugins that read it
            if self._doubt_left(record) <= 0:
                self._usable(record)
            # else the first lease waits, and the session is not held meanwhile
        finally:
            release()

    def login(self, reason: str = "asked for", *, forget: bool = False) -> None:
        """Log in again, whatever there is; everybody else waits for it.

        Parameters
        ----------
        reason
            Why, for people.
        forget
            Whether to forget what was learned about the service, too.
        """
        release = self._acquire()
        try:
            self._lost = None
            self._log_in(self._read(), reason, forget=forget)
        finally:
            release()

    def accepted(self, stamp: Stamp) -> None:
        """Say that a request with this stamp was accepted: the login behind it is good, and what it taught is true."""
        if self._fruitless:
            with self._mutex:
                self._fruitless = 0
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
        with self._mutex:
            self.refusals += 1
        if not again:
            self._lessons.wait(stamp)
        release = self._acquire()
        try:
            record = self._read()
            if record.logins != stamp.logins:
                return
            if not again and self._lessons.moved(stamp, record):
                return
            if not self.policy.renewable and record.logins:
                raise self._lose(lost.refused(self.session))
            self._renew(record, "the service refused the session")
        finally:
            release()

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
        release = self._acquire()
        try:
            record = self._read()
            if record.logins == logins:
                self._write(record, status=Status.RETIRED, holder=None)
        finally:
            release()

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
        return auto.in_force(self.policy.discipline, self._read().learned, renewable=self._can_renew)

    def sync(self) -> None:
        """Put the session on stable storage at the end of a run, and say so in its record.

        Its first change after that goes there before anything is sent (`lease.put`): it is the newest after a power loss.
        """
        release = self._acquire()
        try:
            record = self._read()
            if record.generation and not record.synced:
                self.store.sync()  # what the record says, before it says that it is there
                self._write(record, synced=True)
        finally:
            release()
        self.store.sync()

    # -- what happens while the session is held

    def _read(self) -> SessionRecord:
        return self.store.read(self.session) or SessionRecord(self.session)

    def _overlaps(self, url: str, record: SessionRecord | None = None) -> bool:
        """Return whether a request may overlap others: its lease is shared, or no token goes with it."""
        record = record or self._read()
        if self._needs_login(record):
            return False
        if self._is_shared(record):
            told = self.policy.discipline is Discipline.SHARED
            return not (record.status is Status.IN_FLIGHT if told else self._in_doubt(record))
        tokens = self.policy.tokens.of(record.cookies)
        return bool(tokens) and not jar.concerns(tokens, url)

    def _write(self, record: SessionRecord, learn: auto.Learn = dict, **changes: object) -> None:
        """Change the record of the held session; what shared leases merge meanwhile does not prevent it."""
        while True:
            try:
                put(self.store, changed(record, learned=learn(record.learned), **changes), record)
            except GenerationMoved:
                newest = self._read()
                if (newest.logins, newest.holder) != (record.logins, record.holder):
                    raise  # somebody else had the session as well
                record = newest
            else:
                return

    def _is_shared(self, record: SessionRecord) -> bool:
        told = self.policy.discipline is Discipline.SHARED
        return told or (self._lessons.chosen and auto.is_shared(record.learned))

    def _needs_login(self, record: SessionRecord) -> bool:
        return self._login is not None and not record.is_usable

    def _acquire(self) -> Release:
        release = self.store.acquire(self.session, wait=False)
        if release is None:
            self._watch.waiting("lease")
            release = self.store.acquire(self.session)
        if release is None:
            raise lost.not_granted(self.session, self.store.name)
        return release

    def _ready(self, admit: Callable[[], float]) -> float:
        """Make the held session usable; return the seconds to wait first, if any."""
        self._raise_if_lost()
        record = self._read()
        if (delay := self._doubt_left(record)) > 0:
            self._watch.waiting("doubt")
        elif self._needs_login(record) or (self._in_doubt(record) and self._on_doubt() == "login"):
            delay = admit()  # a login asks the service for something, too
        if delay > 0:
            return delay
        self._usable(record)
        return admit()

    def _exclusive(self, release: Release) -> Lease:
        record = self._read()
        if self._is_shared(record):  # it was in doubt, had to be logged in, or was exclusive when we queued
            release()
            return self._lessons.share(record, self._watch.secret)
        return ExclusiveLease(
            self.store,
            record,
            release,
            to_end=self.policy.discipline is Discipline.EXCLUSIVE_TO_END,
            on_token=self._watch.secret,
            on_lapse=lambda: self._watch.notice(lost.LAPSED.format(self.session)),
            learner=self._lessons.learner,
        )

    def _in_doubt(self, record: SessionRecord) -> bool:
        return doubt.in_doubt(record, self.store.scope)

    def _on_doubt(self) -> str:
        return self.policy.on_doubt or ("login" if self._can_renew else "ask")

    def _doubt_left(self, record: SessionRecord) -> float:
        """Return the seconds until a session in doubt may be tried, where the policy is to wait."""
        waits = self._on_doubt() == "wait" and self._in_doubt(record)
        return doubt.seconds_left(record, self.policy.doubt_wait) if waits else 0.0

    def _usable(self, record: SessionRecord) -> None:
        """Log in where there is no session, or where the policy for a session in doubt is to log in."""
        if record.status is Status.RETIRED:
            raise self._lose(lost.retired(self.session))
        if not self._needs_login(record):
            if self._in_doubt(record):
                self._resolve_doubt(record)
        elif not record.logins:
            self._log_in(record, "first use")
        elif not self.policy.renewable:
            raise self._lose(lost.ended(self.session))
        else:
            self._renew(record, "the service ended the session")

    def _resolve_doubt(self, record: SessionRecord) -> None:
        policy = self._on_doubt()
        if policy == "login":
            self._log_in(record, "a request was sent and its answer never came")
        elif policy == "wait":
            self._write(record, status=Status.IDLE, holder=None)
        else:
            # not remembered: whoever comes next looks again, and somebody may have logged in
            raise lost.in_doubt(record)

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
            if (why_not := self._allowance.ask(self.session)) is not None:
                raise self._lose(lost.not_allowed(self.session, why_not))
            try:
                with told(self._allowance, self.session):
                    cookies = self._login()
            except LoginFailed as error:
                raise self._lose(error) from None
        for cookie in cookies:
            self._watch.secret(cookie.value)
        news = {"status": Status.IDLE, "holder": None, "logins": record.logins + 1, "logged_in": time.time()}
        self._write(record, auto.nothing if forget else auto.after_login, cookies=cookies, **news)
        self.logins += 1
        self._watch.login(reason)

    def _lose(self, error: SessionLost | LoginFailed) -> ArgosyError:
        """Remember that the session is lost, so that no other worker tries again, and return the error."""
        self._lost = error, self._read().logins
        return error

    def _raise_if_lost(self) -> None:
        """Raise what lost the session, unless somebody has logged in since."""
        if self._lost is None:
            return
        error, logins = self._lost
        if self._read().logins == logins:
            raise error
        self._lost = None
