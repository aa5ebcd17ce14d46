"""What the workers of one process share: plugins, sessions and connections, made from the settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from argosy.config.schema import default_options
from argosy.engine.outputs import Outputs
from argosy.engine.sessions.provider import Share, open_sessions
from argosy.errors import ArgosyError, PluginError
from argosy.events import Emit, EventKind
from argosy.http.network import Network, proxy_of
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.interfaces.output import Output
from argosy.interfaces.ratelimit import RateLimit
from argosy.interfaces.source import Source
from argosy.interfaces.storage import Patience
from argosy.leasing.login import LoginLimiter
from argosy.leasing.policy import SessionCallbacks
from argosy.plugins.kinds import Kind
from argosy.ratelimit.limiter import RateLimiter
from argosy.state.staging import StagingArea
from argosy.storage.open import open_storage
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager


class RunContext:
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
    redactor
        Told the secrets; takes them out of what is shown.
    ask
        Asks the person for a secret, or None.
    share, allowance
        In a worker process, what the run's own has found out about the sessions, and what asks it before a login.
    ask_now
        Asks the person while a login waits for the answer, or None.
    attended
        Whether a person is logging in right now.
    """

    def __init__(
        self,
        settings: Settings,
        registry: PluginManager,
        emit: Emit,
        stop: Stop,
        redactor: Redactor,
        ask: Callable[[str], str] | None = None,
        share: Share | None = None,
        login_limit: LoginLimiter | None = None,
        ask_now: Callable[[str], str] | None = None,
        attended: bool = False,
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.redactor = redactor
        self.staging = StagingArea(settings.directory)
        self._emit = emit
        self._local = threading.local()
        self.context = PluginContext(
            settings.base, settings.directory, ask, redactor.add, self.notice, ask_now, attended
        )
        self.ratelimit: RateLimit | None = (
            registry.make(RateLimit, settings.ratelimit, self.context) if settings.ratelimit else None
        )
        self.rate_limiter = RateLimiter(
            settings.download_delay,
            max_outage=settings.max_outage,
            probe_time=settings.timeout.connect + settings.timeout.headers,
            shared=self.ratelimit,
            notice=self.notice,
        )
        self.storage = open_storage(
            settings.directory,
            settings.remote,
            registry,
            self.context,
            Patience(settings.max_retries, settings.retry_delay, settings.max_outage, stop),
        )
        self.auth: Auth = registry.make(Auth, settings.auth, self.context)
        self.store: CookieStore = registry.make(CookieStore, settings.cookie_store, self.context)
        self.source: Source | None = (
            registry.make(Source, settings.source, self.context) if settings.source else None
        )
        self.outputs = Outputs.make(settings.output, registry, self.context)
        self._registry = registry
        self._others: dict[str, Output | None] = {}
        self.pool = open_sessions(
            settings,
            self.auth,
            self.store,
            is_refusal=self._is_refusal,
            callbacks=SessionCallbacks(
                self._waiting,
                self._logged_in,
                self._refreshed,
                self.notice,
                redactor.add,
                self._sleep,
                lambda: stop.check(between=True),
            ),
            rate_limiter=self.rate_limiter,
            network=self._network(),
            share=share,
            login_limit=login_limit,
        )

    def _network(self) -> Network:
        given = self.settings.proxy  # where it is kept, until here: settings are pickled
        proxy = None if given is None else proxy_of(given, self.context.secret, self.redactor.add)
        return Network(self.settings.ca_bundle, proxy, self.settings.allow_downgrade)

    def plugins(self) -> tuple[Plugin, ...]:
        """Return the plugins that were made."""
        made = (
            self.source,
            self.ratelimit,
            self.auth,
            self.store,
            *(output for _, output in self.outputs.all),
        )
        return tuple(plugin for plugin in made if plugin is not None)

    def output(self, name: str) -> Output | None:
        """Return an output of a name, that of the run or another one; None where there is none to be had."""
        for output in (*(output for _, output in self.outputs.all), *self._others.values()):
            if output is not None and output.name == name:
                return output
        if name not in self._others:
            try:
                info = self._registry.find(Kind.OUTPUT, name)
                options = {"use": name, **default_options(info.options_schema)}
                self._others[name] = self._registry.make(Output, options, self.context)
            except ArgosyError:
                self._others[name] = None
        return self._others[name]

    def close(self) -> None:
        """Close what was opened."""
        self.pool.close()
        self.staging.close()
        self.storage.close()
        for plugin in (*self.plugins(), *filter(None, self._others.values())):
            self.close_plugin(plugin)

    def close_plugin(self, plugin: Plugin) -> None:
        """Close a plugin; one that fails there is named, and that is all."""
        try:
            plugin.close()
        except (Exception, SystemExit) as error:
            self.notice(f"The plugin {plugin.name!r} failed at its end: {describe_exception(error, plugin)}")

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

    def _sleep(self, seconds: float) -> None:
        self.rate_limiter.tell()  # no session is held now
        self.stop.sleep(seconds)

    def _logged_in(self, reason: str) -> None:
        data: Mapping[str, Any] = {"number": self.pool.counts()["logins"], "reason": reason}
        self._emit(EventKind.LOGIN, None, data)

    def _refreshed(self, reason: str) -> None:
        data: Mapping[str, Any] = {"number": self.pool.counts()["refreshes"], "reason": reason}
        self._emit(EventKind.REFRESH, None, data)

    def _is_refusal(self, response: ResponseHead) -> bool:
        if self.auth.anonymous:
            return False
        try:
            return bool(self.auth.is_refusal(response))
        except (Exception, SystemExit) as error:
            what = self.redactor.scrub(describe_exception(error, self.auth))
            raise PluginError(
                f"The auth plugin {self.auth.name!r} failed while it judged a response: {what}.",
                hint="Report it to the plugin's author.",
                plugin=self.auth.name,
            ) from None
