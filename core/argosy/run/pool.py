"""The sessions of one process, and which of them a request goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import requests

from argosy.contracts import Auth, CookieStore, ResponseHead
from argosy.errors import LoginFailed
from argosy.session.keeper import SessionKeeper
from argosy.session.login import logger_in
from argosy.session.policy import Discipline, Policy, Watch
from argosy.transport.pacing import Pacer
from argosy.transport.scratch import open_jar
from argosy.transport.session import AuthorizedSession

if TYPE_CHECKING:
    from argosy.config.settings import Settings


class SessionPool:
    """One or more sessions of one account; making it logs nobody in and sends nothing.

    Parameters
    ----------
    settings
        The run's settings.
    auth, store
        The plugins that log in and keep the sessions.
    is_refusal
        The auth plugin's judgement.
    watch
        Who is told what happens.
    pacer
        Spaces requests to a host.
    names
        The sessions to use: in a worker process, those that the run's own process has found usable. None for
        all that the settings ask for.
    """

    def __init__(
        self,
        settings: Settings,
        auth: Auth,
        store: CookieStore,
        *,
        is_refusal: Callable[[ResponseHead], bool],
        watch: Watch,
        pacer: Pacer,
        names: Sequence[str] | None = None,
    ) -> None:
        self.requests = 0
        self._settings = settings
        self._auth = auth
        self._store = store
        self._is_refusal = is_refusal
        self._watch = watch
        self._pacer = pacer
        self._mutex = threading.Lock()
        self.keepers = [self._keeper(name) for name in names or session_names(settings)]
        self._sessions = [self._session(keeper) for keeper in self.keepers]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sessions that are used."""
        return tuple(keeper.session for keeper in self.keepers)

    @property
    def lease(self) -> Discipline:
        """The discipline that is used."""
        if self._auth.anonymous:
            return Discipline.SHARED  # nobody is logged in: there is no token to protect
        if self._settings.lease == "auto":
            return Discipline.EXCLUSIVE
        return Discipline(self._settings.lease)

    @property
    def logins(self) -> int:
        """The logins made from this process."""
        return sum(keeper.logins for keeper in self.keepers)

    @property
    def refusals(self) -> int:
        """The refusals that were seen in this process."""
        return sum(keeper.refusals for keeper in self.keepers)

    def counts(self) -> dict[str, int]:
        """Return the figures of this process that a report adds up."""
        return {"requests": self.requests, "logins": self.logins, "refusals": self.refusals}

    @property
    def http(self) -> requests.Session:
        """A session for a source that expands an item."""
        return self._sessions[0]

    def log_in(self) -> None:
        """Make sure that there are sessions; a pool that the service allows fewer of goes on with those.

        Raises
        ------
        SessionError
            If there is no session at all; with ``strict``, also if there are fewer than asked for.
        """
        if self._auth.anonymous:
            return
        for number, keeper in enumerate(list(self.keepers)):
            try:
                keeper.ensure()
            except LoginFailed as error:
                if number == 0 or self._settings.strict:
                    raise
                del self.keepers[number:], self._sessions[number:]
                self._watch.notice(
                    f"The service gave {number} of the {self._settings.sessions} sessions asked for "
                    f"({error.message}) The run goes on with {number}."
                )
                return

    def get(self, url: str) -> requests.Response:
        """Send an authorised GET on the session that is the least busy; the body is unread."""
        with self._mutex:
            session = min(self._sessions, key=lambda s: s.active)
            session.active += 1
            self.requests += 1
        try:
            return session.get(url, stream=True)
        finally:
            with self._mutex:
                session.active -= 1

    def save(self) -> None:
        """Put the sessions on stable storage as they are; a worker that has one goes on meanwhile."""
        if not self._auth.anonymous:
            self._store.sync()

    def sync(self) -> None:
        """Put the sessions on stable storage, at the end of the run."""
        if not self._auth.anonymous:
            for keeper in self.keepers:
                keeper.sync()

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            session.close()

    def _keeper(self, name: str) -> SessionKeeper:
        settings, auth = self._settings, self._auth
        timeout = (settings.timeout.connect, settings.timeout.headers)
        policy = Policy(
            self.lease, settings.on_doubt, settings.doubt_wait, settings.max_logins, renewable=auth.can_login
        )
        login = None if auth.anonymous else logger_in(auth, lambda: open_jar(timeout))
        return SessionKeeper(self._store, name, policy, login=login, watch=self._watch)

    def _session(self, keeper: SessionKeeper) -> AuthorizedSession:
        timeout = self._settings.timeout
        return AuthorizedSession(
            keeper,
            self._is_refusal,
            pacer=self._pacer,
            timeout=(timeout.connect, timeout.headers, timeout.read),
        )


def session_names(settings: Settings) -> tuple[str, ...]:
    """Return the names in the cookie store of the sessions that the settings ask for."""
    first = settings.session
    return (first, *(f"{first}-{number}" for number in range(2, settings.sessions + 1)))
