"""Several sessions, for services that allow an account more than one.

A request goes on a free session, or else on the one expected to be free soonest. A session that is lost is set aside, and the
request is tried on another one: if it is accepted there, the first session is no longer used; if a good session is refused
too, the request is refused. So a session that dies does not stop the others, and the run ends when none is left.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter

from argosy.engine.sessions.eviction import EvictionDetector
from argosy.engine.sessions.provider import OpenSession, SessionProvider, Share
from argosy.errors import LoginFailed, SessionError, SessionLost, TransferError
from argosy.http.body import discard
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.models.session import SessionRecord, Status
from argosy.toolkit.processes import has_ended, is_this_process

#: Seconds that a request is expected to hold a session, before any has.
USUAL = 1.0

_turns = itertools.count(1)


def enter(session: OpenSession) -> object:
    """Put a request into a session's queue; return what takes it out of the session's load."""
    session.turn = next(_turns)
    return session.load.enter()


def soonest(sessions: Iterable[OpenSession], store: CookieStore, *, waits: bool) -> OpenSession:
    """Return the free session that has been unused for longest, or else the one expected to be free soonest.

    Parameters
    ----------
    sessions
        The sessions to choose from.
    store
        Keeps their records, which show the one request of another process that holds a session; not how many wait.
    waits
        Whether a session in doubt rests before it is used again.
    """
    waiting = sorted(sessions, key=lambda session: session.turn)
    if len(waiting) == 1:
        return waiting[0]
    means = [session.load.mean for session in waiting if session.load.mean is not None]
    usual = sum(means) / len(means) if means else USUAL
    looks = waits or store.scope is not Scope.PROCESS
    left = {}
    for session in waiting:
        if session.load.queue:
            left[session] = session.load.free_in(usual)
        else:
            left[session] = _held_elsewhere(session, store, usual) if looks else 0.0
        if left[session] <= 0:
            return session
    return min(left, key=left.__getitem__)


def _held_elsewhere(session: OpenSession, store: CookieStore, usual: float) -> float:
    """Return the expected seconds until a session is free that this process does not use."""
    record = store.read(session.name)
    if record is None or record.status is not Status.IN_FLIGHT or record.holder is None:
        return 0.0
    if is_this_process(record.holder) or has_ended(record.holder):
        return session.manager.doubt_left()  # the mark was left behind: the session is in doubt
    return session.load.rest(time.time() - record.holder.since, usual)


class SessionPool(SessionProvider):
    """Several sessions; see `SessionProvider` for the parameters."""

    def __init__(self, *args: Any, share: Share | None = None, **options: Any) -> None:
        super().__init__(*args, share=share, **options)
        self._evictions = EvictionDetector(self._store, self.names, self._since)
        for session in self._sessions:
            if share is not None and session.name not in share.names:
                self._leave_out(session)

    def log_in(self) -> None:
        """Log in what is not logged in; go on with fewer sessions if the service does not allow more.

        After one refused login, no more are tried. If the service is out of reach, one usable session is enough.
        """
        problems: dict[OpenSession, SessionError] = {}
        refused: LoginFailed | None = None
        out_of_reach: TransferError | None = None
        for session in self._sessions:
            is_usable = self._record(session).is_usable
            if out_of_reach is not None and not is_usable:
                continue
            try:
                if refused is not None and not is_usable:
                    raise refused
                self._ensure(session)
            except SessionError as error:
                problems[session] = error
                refused = refused or self._refusal(error)
            except TransferError as error:
                out_of_reach = error
        asked, given = len(self._sessions), len(self._sessions) - len(problems)
        if out_of_reach is not None and not any(
            self._record(session).is_usable for session in self._sessions if session not in problems
        ):
            raise out_of_reach
        if problems and (self._settings.strict or not given):
            raise next(iter(problems.values()))
        for session in problems:
            self._leave_out(session)
        for message in dict.fromkeys(map(str, problems.values())):
            self._callbacks.notice(
                f"The service gave {given} of the {asked} sessions asked for; the run goes on with {given}. ({message})"
            )

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send an authorized request and its redirects on the session that is free soonest.

        If that session is lost, the request is sent again on another one.

        Raises
        ------
        SessionError
            If no session is left.
        Refused
            If the service refuses this request although the session is good.
        """
        self._count()
        aside: dict[OpenSession, SessionError] = {}
        while True:
            with self._mutex:
                session = self._soonest(aside)
                ticket = enter(session)
            try:
                response = self._send(session, method, url, *args, **kwargs)
            except SessionError as error:
                aside[session] = error
                if not self._go_on(aside):
                    for other in aside.keys() - {session}:
                        self._retire(other, aside[other])
                    raise
            except BaseException:
                for other, reason in aside.items():
                    if hasattr(reason, "unsure"):  # nothing was found out about it
                        other.manager.forgive()
                raise
            else:
                if aside:
                    self._conclude(aside, session, response)
                return response
            finally:
                session.load.leave(ticket)

    def adapter(self, url: str) -> BaseAdapter:
        """Return what sends a prepared request on the session that is free soonest."""
        with self._mutex:
            return self._soonest().http.get_adapter(url)

    def _soonest(self, aside: Mapping[OpenSession, object] | None = None) -> OpenSession:
        usable = [session for session in self._sessions if not session.retired]
        # another thread may have lost the last one: then one that was set aside raises its error again
        left = [session for session in usable if session not in (aside or {})] or usable
        return soonest(left, self._store, waits=self._settings.on_doubt == "wait")

    def _accepted(self, session: OpenSession, sent_at: float, logins: int) -> None:
        super()._accepted(session, sent_at, logins)
        self._evictions.good(session.name, sent_at, logins)

    def _may_renew(self, record: SessionRecord) -> bool:
        return not self._evictions.is_suspect(record)

    # -- sessions that were set aside

    def _go_on(self, aside: dict[OpenSession, SessionError]) -> bool:
        """Return whether a session is left to try; one that is only suspected may be the last hope."""
        if any(not session.retired and session not in aside for session in self._sessions):
            return True
        suspects = [session for session, error in aside.items() if hasattr(error, "rival")]
        for session in suspects:
            self._acquit(session)
            del aside[session]
        return bool(suspects)

    def _conclude(
        self, aside: Mapping[OpenSession, SessionError], good: OpenSession, response: requests.Response
    ) -> None:
        """Stop using sessions that were refused what another one was given."""
        for session, error in aside.items():
            rival: int | None = getattr(error, "rival", None)
            if rival is None:
                self._retire(session, error)
            elif (
                self._evictions.logged_in(good.name) > error.at  # type: ignore[attr-defined]  # a field of the error
                and not self._evictions.was_excused(session.name)
            ):
                self._acquit(session)  # the other one had to log in as well: they ended together
            elif self._settings.strict:
                discard(response)
                raise SessionLost(
                    f"The service ended the session {session.name!r} when another one logged in: it gives fewer than "
                    f"the {len(self._sessions)} sessions asked for.",
                    hint='Ask for fewer "sessions", or leave out "strict".',
                )
            else:
                session.manager.retire(rival)
                self._retire(session, error)

    def _retire(self, session: OpenSession, error: SessionError) -> None:
        with self._mutex:
            if session.retired or len(self.names) == 1:  # another thread was faster; and the last one stays
                return
            self._leave_out(session)
        if not hasattr(error, "told"):
            self._callbacks.notice(f"The run goes on without the session {session.name!r}: {error}")

    def _acquit(self, session: OpenSession) -> None:
        """Let a session be logged in again that did not end because another one logged in."""
        self._evictions.excuse(self._record(session))
        session.manager.forgive()

    def _leave_out(self, session: OpenSession) -> None:
        session.retired = True
        self._evictions.drop(session.name)
