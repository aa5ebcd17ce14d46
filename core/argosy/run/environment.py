"""What the workers of one process share: plugins, sessions and connections, made from the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import requests

from argosy.contracts import Auth, CookieStore, Output, Plugin, PluginContext, ResponseHead, Source
from argosy.errors import LoginFailed, PluginError
from argosy.events import Emit, EventKind
from argosy.redaction import Redactor
from argosy.run.stop import Stop
from argosy.session.keeper import SessionKeeper
from argosy.session.login import logger_in
from argosy.session.policy import Discipline, Policy, Watch
from argosy.transport.pacing import Pacer
from argosy.transport.scratch import open_jar
from argosy.transport.session import AuthorizedSession

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.registry import Registry


class Environment:
    """The plugins and sessions of one process.

    Parameters
    ----------
    settings
        The run's settings.
    registry
        The installed plugins.
    emit
        Takes events.
    stop
        Says whether to go on.
    ask
        Asks the person for a secret, or None.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        emit: Emit,
        stop: Stop,
        redactor: Redactor,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.redactor = redactor
        self.requests = 0
        self.pacer = Pacer(settings.download_delay)
        self._emit = emit
        self._mutex = threading.Lock()
        self._local = threading.local()
        self.context = PluginContext(settings.base, settings.directory, ask, redactor.add, self.notice)
        self.auth: Auth = registry.auth(settings.auth, self.context)
        self.store: CookieStore = registry.cookie_store(settings.cookie_store, self.context)
        self.source: Source | None = (
            registry.source(settings.source, self.context) if settings.source else None
        )
        self.outputs: tuple[Output, ...] = tuple(registry.output(o, self.context) for o in settings.output)
        self.keepers = [self._keeper(number) for number in range(settings.sessions)]
        self._sessions = [self._session(keeper) for keeper in self.keepers]

    @property
    def lease(self) -> Discipline:
        """The discipline that is used."""
        if self.auth.anonymous:
            return Discipline.SHARED  # nobody is logged in: there is no token to protect
        if self.settings.lease == "auto":
            return Discipline.EXCLUSIVE
        return Discipline(self.settings.lease)

    def log_in(self) -> None:
        """Make sure that there are sessions; a pool that the service allows fewer of goes on with those.

        Raises
        ------
        SessionError
            If there is no session at all; with ``strict``, also if there are fewer than asked for.
        """
        if self.auth.anonymous:
            return
        for number, keeper in enumerate(list(self.keepers)):
            try:
                keeper.ensure()
            except LoginFailed as error:
                if number == 0 or self.settings.strict:
                    raise
                del self.keepers[number:], self._sessions[number:]
                self.notice(
                    f"The service gave {number} of the {self.settings.sessions} sessions asked for "
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

    @property
    def http(self) -> requests.Session:
        """A session for a source that expands an item."""
        return self._sessions[0]

    def counts(self) -> dict[str, int]:
        """Return the figures of this process that a report adds up."""
        return {
            "requests": self.requests,
            "logins": sum(keeper.logins for keeper in self.keepers),
            "refusals": sum(keeper.refusals for keeper in self.keepers),
        }

    def sync(self) -> None:
        """Put the sessions on stable storage."""
        if not self.auth.anonymous:
            for keeper in self.keepers:
                keeper.sync()

    def plugins(self) -> tuple[Plugin, ...]:
        """Return the plugins that were made."""
        source = () if self.source is None else (self.source,)
        return (*source, self.auth, self.store, *self.outputs)

    def close(self) -> None:
        """Close what was opened."""
        for session in self._sessions:
            session.close()
        for plugin in self.plugins():
            self.close_plugin(plugin)

    def close_plugin(self, plugin: Plugin) -> None:
        """Close a plugin; one that fails there is named, and that is all."""
        try:
            plugin.close()
        except (Exception, SystemExit) as error:
            self.notice(f"The plugin {plugin.name!r} failed at its end: {type(error).__name__}: {error}")

    def notice(self, message: str) -> None:
        """Tell the person something."""
        self._emit(EventKind.RUN_NOTICE, None, {"message": self.redactor.scrub(message)})

    def working_on(self, item: str | None) -> None:
        """Say which item the current thread works on, so that its waits are shown there."""
        self._local.item = item

    def _waiting(self, reason: str) -> None:
        item = getattr(self._local, "item", None)
        if item is not None:
            self._emit(EventKind.RESOURCE_WAITING, item, {"for": reason})

    def _logged_in(self, reason: str) -> None:
        data: Mapping[str, Any] = {"number": sum(k.logins for k in self.keepers), "reason": reason}
        self._emit(EventKind.LOGIN, None, data)

    def _keeper(self, number: int) -> SessionKeeper:
        settings, auth = self.settings, self.auth
        timeout = (settings.timeout.connect, settings.timeout.headers)
        policy = Policy(
            self.lease, settings.on_doubt, settings.doubt_wait, settings.max_logins, renewable=auth.can_login
        )
        watch = Watch(self._waiting, self._logged_in, self.notice, self.redactor.add, self.stop.sleep)
        name = settings.session if number == 0 else f"{settings.session}-{number + 1}"
        login = None if auth.anonymous else logger_in(auth, lambda: open_jar(timeout))
        return SessionKeeper(self.store, name, policy, login=login, watch=watch)

    def _session(self, keeper: SessionKeeper) -> AuthorizedSession:
        timeout = self.settings.timeout
        return AuthorizedSession(
            keeper,
            self._is_refusal,
            pacer=self.pacer,
            timeout=(timeout.connect, timeout.headers, timeout.read),
        )

    def _is_refusal(self, response: ResponseHead) -> bool:
        if self.auth.anonymous:
            return False
        try:
            return bool(self.auth.is_refusal(response))
        except (Exception, SystemExit) as error:
            what = self.redactor.scrub(f"{type(error).__name__}: {error}")
            raise PluginError(
                f"The auth plugin {self.auth.name!r} failed while it judged a response: {what}.",
                hint="Report it to the plugin's author.",
                plugin=self.auth.name,
            ) from None
