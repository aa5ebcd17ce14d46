"""Managers of a session with one rule of the lease taken out each."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

from argosy.cookies import jar
from argosy.errors import ArgosyError, GenerationMoved, LoginFailed, SessionLost
from argosy.leasing.lease import ExclusiveLease, changed
from argosy.leasing.login import LoginLimiter
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import this_holder
from lease_suite.service import TapedStore


class _WithLease(SessionManager):
    """A manager whose leases have a rule taken out."""

    lease_class: ClassVar[type[ExclusiveLease]]

    def _exclusive(self, release: Any) -> Any:
        return self.lease_class(self.store, self._read(), release, self.policy, self._callbacks)


# -- rule 2: mark before sending


class _UnmarkedLease(ExclusiveLease):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        super().unsent()


class DoesNotMark(_WithLease):
    """Sends without a mark in the record."""

    lease_class = _UnmarkedLease


class _LateMark(_UnmarkedLease):
    def doubt(self) -> None:
        self._commit(lambda _: {"status": Status.IN_FLIGHT, "holder": this_holder()})


class MarksAfterSending(_WithLease):
    """Writes the mark when an answer has not come: too late where the process has died meanwhile."""

    lease_class = _LateMark


class _DeafStore(TapedStore):
    """Takes what it is told, and keeps nothing of it."""

    def write(self, record: SessionRecord, expected: int) -> None:
        pass


class SendsWithoutTheMark(SessionManager):
    """Goes ahead although the mark could not be written."""

    def _exclusive(self, release: Any) -> Any:
        try:
            return super()._exclusive(release)
        except ArgosyError:
            return ExclusiveLease(_DeafStore(self.store), self._read(), release)


# -- rule 3: what was not sent leaves the token good


class KeepsTheMarkOfWhatWasNotSent(SessionManager):
    """Takes a failure to connect for a lost answer."""

    def _exclusive(self, release: Any) -> Any:
        lease = super()._exclusive(release)
        lease.unsent = lease.doubt  # type: ignore[method-assign]  # the rule that is taken out
        return lease


# -- rule 4: settle first, in one commit


class _ForgetfulLease(ExclusiveLease):
    def settle(self, headers: Any, url: str, date: str | None, fields: Any = ()) -> None:
        super().settle([], url, date)


class DoesNotCommit(_WithLease):
    """Clears the mark without storing the new token."""

    lease_class = _ForgetfulLease


class _TwoCommits(ExclusiveLease):
    def settle(self, headers: Any, url: str, date: str | None, fields: Any = ()) -> None:
        self._commit(lambda _: {"status": Status.IDLE, "holder": None})
        super().settle(headers, url, date, fields)


class ClearsTheMarkFirst(_WithLease):
    """Clears the mark in one commit, and stores the token in another."""

    lease_class = _TwoCommits


class _SettlesAtTheEnd(ExclusiveLease):
    late: Callable[[], None] | None = None

    def settle(self, headers: Any, url: str, date: str | None, fields: Any = ()) -> None:
        settle = super().settle
        self.late = lambda: settle(headers, url, date, fields)

    def end(self, *, complete: bool = True) -> None:
        if self.late is not None:
            self.late()
        super().end(complete=complete)


class SettlesLater(_WithLease):
    """Stores the token when the lease ends, with whatever may happen before it."""

    lease_class = _SettlesAtTheEnd


class _SettlesAfterwards(_SettlesAtTheEnd):
    def end(self, *, complete: bool = True) -> None:
        self._release()
        super().end(complete=complete)


class SettlesAfterTheRelease(_WithLease):
    """Stores the token after the release, when another sender may have the session."""

    lease_class = _SettlesAfterwards


# -- rules 1 and 5: the hold, from reading the token to storing the next one


class DoesNotHold(SessionManager):
    """Goes ahead whether the session is taken or not."""

    def _acquire(self) -> Any:
        return lambda: None


class _ReleasesEarly(ExclusiveLease):
    def cookie_header(self, url: str) -> str | None:
        self._release()
        return super().cookie_header(url)


class DoesNotHoldToTheHeaders(_WithLease):
    """Gives the session back before the answer is in."""

    lease_class = _ReleasesEarly


class HoldsToTheLastByte(SessionManager):
    """Streams the body under the lease, in every lease mode."""

    def _exclusive(self, release: Any) -> Any:
        to_end = replace(self.policy, lease_mode=LeaseMode.EXCLUSIVE_TO_END)
        return ExclusiveLease(self.store, self._read(), release, to_end)


# -- rule 6: doubt


class IgnoresTheMark(SessionManager):
    """Takes the token of a session in doubt for good."""

    def _in_doubt(self, record: SessionRecord) -> bool:
        return record.status is not Status.IN_FLIGHT and super()._in_doubt(record)


class ClearsTheMarkAfterALostAnswer(SessionManager):
    """Takes a request whose answer was lost for one that was never sent."""

    def _exclusive(self, release: Any) -> Any:
        lease = super()._exclusive(release)
        lease.doubt = lease.unsent  # type: ignore[method-assign]  # the rule that is taken out
        return lease


class DoesNotWait(SessionManager):
    """Tries a token in doubt at once, where the dead holder's request may still arrive."""

    def _doubt_left(self, record: SessionRecord) -> float:
        return 0.0


class LogsInWithoutAsking(SessionManager):
    """Logs in where the person wants to be asked."""

    def _on_doubt(self, record: SessionRecord) -> str:
        return "login"


# -- rule 7: refusals and logins


class LogsInWithoutReadingAgain(SessionManager):
    """Takes each refusal for the end of the session."""

    def refused(self, stamp: Any, *, again: bool = False) -> None:
        release = self._acquire()
        try:
            self._log_in(self._read(), "refused")
        finally:
            release()


class ClearsTheWinnersToken(SessionManager):
    """Discards the session when it is refused, even if another sender has renewed it."""

    def refused(self, stamp: Any, *, again: bool = False) -> None:
        release = self._acquire()
        try:
            self._write(self._read(), cookies=(), status=Status.DEAD)
        finally:
            release()


class LogsInBesideOthers(SessionManager):
    """Logs in without having the session to itself."""

    def refused(self, stamp: Any, *, again: bool = False) -> None:
        record = self._read()
        if record.logins == stamp.logins:
            self._log_in(record, "refused")


class TriesAFailedLoginAgain(SessionManager):
    """Does not remember that a login was not accepted."""

    def _log_in(self, record: SessionRecord, reason: str, *, forget: bool = False) -> None:
        self._login_limit, self._lost = LoginLimiter(10**9), None
        super()._log_in(record, reason, forget=forget)


class WipesAfterAFailedLogin(SessionManager):
    """Deletes the old session when the login is not accepted."""

    def _lose(self, error: SessionLost | LoginFailed) -> ArgosyError:
        self._write(self._read(), cookies=(), status=Status.DEAD)
        return super()._lose(error)


class LogsInForEver(SessionManager):
    """Knows no bound of logins."""

    def _log_in(self, record: SessionRecord, reason: str, *, forget: bool = False) -> None:
        self._login_limit = LoginLimiter(10**9)
        super()._log_in(record, reason, forget=forget)


# -- rules 1 and 9: a holder that lapsed


class _UnfencedLease(ExclusiveLease):
    def _commit(self, changes: Any) -> None:
        newest = self._store.read(self._record.session) or self._record
        record = changed(replace(self._record, generation=newest.generation), **changes(self._record))
        try:
            self._store.write(record, newest.generation)
        except GenerationMoved:
            self._commit(changes)
        else:
            self._record = record


class IsNotFenced(_WithLease):
    """Overwrites a newer record of another process."""

    lease_class = _UnfencedLease


# -- rule 10: nothing waits with the lease


class SleepsWithTheLease(SessionManager):
    """Waits for politeness with the session held."""

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Any:
        def wait() -> float:
            delay = admit()
            if delay > 0:
                self._callbacks.sleep(delay)
            return 0.0

        return super().lease(url, wait)


class BindsTheTokenEarly(SessionManager):
    """Takes the token before it queues for the lease."""

    def lease(self, url: str, admit: Callable[[], float] = lambda: 0.0) -> Any:
        record = self._read()
        early = jar.cookie_header(record.cookies, url, time.time())
        lease = super().lease(url, admit)
        if record.logins:
            lease.cookie_header = lambda url: early  # type: ignore[method-assign]  # the rule that is taken out
        return lease


# -- rule 13: a power loss


class IgnoresAPowerLoss(SessionManager):
    """Takes a record from before a power loss for the newest."""

    def _in_doubt(self, record: SessionRecord) -> bool:
        return record.status is Status.IN_FLIGHT


class NeverSaysThatItIsSynced(SessionManager):
    """Syncs, and does not write it down: each boot costs a login."""

    def sync(self) -> None:
        self.store.sync()


class _SleepyStore(TapedStore):
    def sync(self) -> None:
        pass


class LeavesTheFirstChangeUnsynced(SessionManager):
    """Sends the token of a record that says it is on stable storage, and does not put the mark there."""

    def _exclusive(self, release: Any) -> Any:
        real, self.store = self.store, _SleepyStore(self.store)
        try:
            return super()._exclusive(release)
        finally:
            self.store = real


# -- what says who asks


class TrustsAHeader(SessionManager):
    """Lets requests overlap as soon as a header field goes along, whatever the cookies beside it."""

    def _overlaps(self, url: str, record: SessionRecord | None = None) -> bool:
        return bool((record or self._read()).headers) or super()._overlaps(url, record)


class DoesNotWaitForTheFirstAnswer(SessionManager):
    """Lets everybody send what the service may not accept."""

    def first_in_turn(self) -> Any:
        return nullcontext()


class SendsWhatHasExpired(SessionManager):
    """Looks at no expiry of a cookie."""

    def _is_due(self, record: SessionRecord) -> bool:
        return record.is_due(time.time())
