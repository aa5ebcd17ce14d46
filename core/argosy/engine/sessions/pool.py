"""Several sessions, for services that allow an account more than one.

A request goes on a free session, or else on the one with the fewest requests. If its session is lost, the request is tried on
another: if it is accepted there, the pool stops using the first session; if a good session is refused too, the request
is refused. So a session that dies does not stop the others, and the run ends when none is left.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from argosy.engine.sessions.provider import OpenSession, SessionProvider, Share
from argosy.errors import GenerationMoved, SessionError, SessionLost
from argosy.http.body import discard
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.lease import changed, put
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import has_ended

_turns = itertools.count(1)


def soonest(sessions: Iterable[OpenSession], store: CookieStore) -> OpenSession:
    """Return the free session unused for longest, or else the one with the fewest requests; one that hangs is last."""
    by_turn = sorted(sessions, key=lambda each: each.turn)
    in_flight = sum(len(each.in_flight) for each in by_turn)
    ranks = {}
    for session in by_turn:
        requests = len(session.in_flight)
        expected = requests or int(_is_held(store.read(session.name)))
        if not expected:
            return session
        # of balanced queues, the oldest request is about as many turns old as requests are in flight
        hangs = requests > 0 and by_turn[-1].turn - session.in_flight[0] > 4 * in_flight
        ranks[session] = (hangs, expected, requests)
    return min(ranks, key=ranks.__getitem__)


def _is_held(record: SessionRecord | None) -> bool:
    """Return whether a living process holds a session, or has left it in doubt."""
    holder = record.holder if record is not None and record.status is Status.IN_FLIGHT else None
    return holder is not None and not has_ended(holder)


class SessionPool(SessionProvider):
    """Several sessions; a lost one does not stop the others."""

    def __init__(self, *args: Any, share: Share | None = None, **options: Any) -> None:
        super().__init__(*args, share=share, **options)
        self._evictions = EvictionDetector(self._store, self.names, self._since)
        for session in self._sessions:
            if share is not None and session.name not in share.names:
                self._leave_out(session)

    def _deliver(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request on the session that is free soonest; if that session is lost, on another."""
        aside: dict[OpenSession, SessionError] = {}
        while True:
            with self._mutex:
                session = self.next_session(aside)
                turn = session.turn
                session.in_flight.append(turn)
            try:
                response = self._send(session, *args, **kwargs)
            except SessionError as error:
                aside[session] = error
                if not self._may_continue(aside):
                    for other in aside.keys() - {session}:
                        self._retire(other, aside[other])
                    raise
            except BaseException:
                for other, reason in aside.items():
                    if getattr(reason, "unsure", False):  # nothing was found out about it
                        other.manager.forgive()
                raise
            else:
                for other, reason in aside.items():
                    self._conclude(other, reason, session, response)
                return response
            finally:
                with self._mutex:
                    session.in_flight.remove(turn)

    def next_session(self, aside: Collection[OpenSession] = ()) -> OpenSession:
        """Return the session that is free soonest for the next request, whose number becomes its `turn`."""
        with self._mutex:
            usable = [session for session in self._sessions if not session.retired]
            # another thread may have lost the last one: then one that was set aside raises its error again
            session = soonest([each for each in usable if each not in aside] or usable, self._store)
            session.turn = next(_turns)
            return session

    def _accepted(self, session: OpenSession, sent_at: float, logins: int) -> None:
        super()._accepted(session, sent_at, logins)
        self._evictions.good(session.name, sent_at, logins)

    def _may_renew(self, record: SessionRecord) -> bool:
        return not self._evictions.is_suspect(record)

    def _leave_out(self, session: OpenSession) -> None:
        super()._leave_out(session)
        self._evictions.drop(session.name)

    # -- sessions that were set aside

    def _may_continue(self, aside: dict[OpenSession, SessionError]) -> bool:
        """Return whether a session is left to try; acquit suspects if they are the last hope."""
        if any(not session.retired and session not in aside for session in self._sessions):
            return True
        suspects = [session for session, error in aside.items() if hasattr(error, "rival")]
        for session in suspects:
            self._acquit(session)
            del aside[session]
        return bool(suspects)

    def _conclude(
        self, session: OpenSession, error: SessionError, good: OpenSession, response: requests.Response
    ) -> None:
        """Stop using a session that was refused a request which another session may send."""
        rival: int | None = getattr(error, "rival", None)
        if rival is not None:
            renewed = self._evictions.logged_in(good.name) > getattr(error, "at", 0.0)
            if renewed and not self._evictions.was_excused(session.name):
                self._acquit(session)  # the other one had to log in as well: they ended together
                return
            if self._settings.strict:
                discard(response)
                cause = f"when another one logged in: it gives fewer than the {self.asked} sessions asked for"
                message = f"The service ended the session {session.name!r} {cause}."
                raise SessionLost(message, hint='Ask for fewer "sessions", or leave out "strict".')
            session.manager.retire(rival)
        self._retire(session, error)

    def _retire(self, session: OpenSession, error: SessionError) -> None:
        with self._mutex:
            if session.retired or len(self.names) == 1:  # another thread was faster; and the last one stays
                return
            self._leave_out(session)
        if not getattr(error, "told", False):
            self._callbacks.notice(f"The run continues without the session {session.name!r}: {error}")

    def _acquit(self, session: OpenSession) -> None:
        """Let a session be logged in again that did not end because another session logged in."""
        self._evictions.excuse(self._record(session))
        session.manager.forgive()


@dataclass(slots=True)
class _Life:
    """One session since its last login."""

    logins: int = 0
    logged_in: float = 0.0
    good: float = 0.0  # when the newest accepted request was sent


class EvictionDetector:
    """Suspects sessions that the login of another session ended.

    Some services limit the sessions of an account and end the oldest one at a login. Logging that one in again would
    end the next, and so on forever. A session that the service ended is suspect if

    - another session has logged in since it was last known to be good, and
    - it has logged in itself since all sessions were last known to be good together.

    So sessions that all ended for another reason (a restart, their age) are logged in again, once each. The suspicion
    is confirmed if the refused request is accepted on another session. The store shares with all processes when each
    session logged in and when it was good together with the others. Sessions from before the run (`since`) may have
    ended for any reason.
    """

    def __init__(self, store: CookieStore, names: Sequence[str], since: float) -> None:
        self._store = store
        self._names = names
        self._since = since
        self._lives = {name: _Life() for name in names}
        self._are_proved = False  # whether all these lives were good together
        self._excused: dict[str, int] = {}  # the count of logins at the excuse

    def good(self, name: str, sent_at: float, logins: int) -> None:
        """Report that a request was accepted: when it was sent, and how often its session had logged in then."""
        life = self._lives.get(name)
        if life is None or logins < life.logins:
            return
        if logins > life.logins:
            self._lives[name] = life = _Life(logins, self.logged_in(name))
            self._are_proved = False
        life.good = max(life.good, sent_at)
        if self._are_proved:
            return
        lives = tuple(self._lives.values())
        together = min(other.good for other in lives)
        if together > max(other.logged_in for other in lives):
            self._are_proved = True
            self._excused.clear()
            for other in tuple(self._lives):
                self._note(other, together)

    def drop(self, name: str) -> None:
        """Forget a session that the pool stops using."""
        self._lives.pop(name, None)

    def excuse(self, record: SessionRecord) -> None:
        """Report that a session did not end because another session logged in."""
        self._excused[record.session] = record.logins

    def was_excused(self, name: str) -> bool:
        """Return whether a session was excused since all were last good together; a second time could go on forever."""
        return name in self._excused

    def is_suspect(self, record: SessionRecord) -> bool:
        """Return whether the login of another session may have ended this one."""
        name, logged_in = record.session, record.logged_in
        proved = record.together >= logged_in
        if proved or logged_in <= self._since or self._excused.get(name) == record.logins:
            return False
        last_good = max(logged_in, self._lives.get(name, _Life()).good)
        return any(self.logged_in(other) > last_good for other in self._names if other != name)

    def logged_in(self, name: str) -> float:
        """Return when a session last logged in, seconds since the epoch."""
        record = self._store.read(name)
        return record.logged_in if record is not None else 0.0

    def _note(self, name: str, together: float) -> None:
        """Note in a session's record when it was good together with the others, once per login."""
        while True:
            record = self._store.read(name)
            if record is None or record.together >= record.logged_in or record.logged_in > together:
                return  # the last condition: it has logged in meanwhile
            with contextlib.suppress(GenerationMoved):
                put(self._store, changed(record, together=together), record)
                return
