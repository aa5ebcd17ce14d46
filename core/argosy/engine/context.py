"""The context of a run in one process: its plugins, sessions, connections and staging."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How the process of a `RunContext` reaches the user and the run.

    Parameters
    ----------
    ask
        Asks the user for a secret, or None.
    ask_now
        Asks the user while a login waits for the answer, or None.
    attended
        Whether the user is logging in right now.
    share, login_limit
        In a worker process: the sessions that the run uses, and what asks the run before a login.
    """

    ask: Callable[[str], str] | None = None
    ask_now: Callable[[str], str] | None = None
    attended: bool = False
    share: Share | None = None
    login_limit: LoginLimiter | None = None


class RunContext:
    """The plugins and sessions of one process.

    Parameters
    ----------
    settings
        The run's settings.
    plugins
        The plugins that it may use.
    emit
        Takes events.
    stop
        Interrupts waits.
    redactor
        Learns the secrets of this process.
    options
        How to reach the user and the run.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: PluginManager,
        emit: Emit,
        stop: Stop,
        redactor: Redactor,
        options: ContextOptions = ContextOptions(),
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.redactor = redactor
        self.staging = StagingArea(settings.directory)
        self._emit = emit
        self._local = threading.local()
        self.plugin_context = PluginContext(
            settings.base,
            settings.directory,
            options.ask,
            redactor.add,
            self.notice,
            options.ask_now,
            options.attended,
        )
        self.ratelimit: RateLimit | None = (
            plugins.make(RateLimit, settings.ratelimit, self.plugin_context) if settings.ratelimit else None
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
            plugins,
            self.plugin_context,
            Patience(settings.max_retries, settings.retry_delay, settings.max_outage, stop),
        )
        self.auth: Auth = plugins.make(Auth, settings.auth, self.plugin_context)
        self.store: CookieStore = plugins.make(CookieStore, settings.cookie_store, self.plugin_context)
        self.source: Source | None = (
            plugins.make(Source, settings.source, self.plugin_context) if settings.source else None
        )
        self.outputs = Outputs.make(settings.output, plugins, self.plugin_context)
        self._plugins = plugins
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
            share=options.share,
            login_limit=options.login_limit,
        )

    def _network(self) -> Network:
        given = self.settings.proxy  # a reference: settings are pickled
        proxy = None if given is None else proxy_of(given, self.plugin_context.secret, self.redactor.add)
        return Network(self.settings.ca_bundle, proxy, self.settings.allow_downgrade)

    def plugins(self) -> tuple[Plugin, ...]:
        """Return the plugins of this run."""
        made = (
            self.source,
            self.ratelimit,
            self.auth,
            self.store,
            *(output for _, output in self.outputs.all),
        )
        return tuple(plugin for plugin in made if plugin is not None)

    def output(self, name: str) -> Output | None:
        """Return an output by name, also one that the configuration lacks; None if there is none."""
        for output in (*(output for _, output in self.outputs.all), *self._others.values()):
            if output is not None and output.name == name:
                return output
        if name not in self._others:
            try:
                info = self._plugins.find(Kind.OUTPUT, name)
                options = {"use": name, **default_options(info.options_schema)}
                self._others[name] = self._plugins.make(Output, options, self.plugin_context)
            except ArgosyError:
                self._others[name] = None
        return self._others[name]

    def close(self) -> None:
        """Close everything."""
        self.pool.close()
        self.staging.close()
        self.storage.close()
        for plugin in (*self.plugins(), *filter(None, self._others.values())):
            self.close_plugin(plugin)

    def close_plugin(self, plugin: Plugin) -> None:
        """Close a plugin; if that fails, only tell the user."""
        try:
            plugin.close()
        except (Exception, SystemExit) as error:
            self.notice(
                f"The plugin {plugin.name!r} failed while closing: {describe_exception(error, plugin)}"
            )

    def notice(self, message: str) -> None:
        """Tell the user something."""
        self._emit(EventKind.RUN_NOTICE, None, {"message": message})

    def working_on(self, item: str | None) -> None:
        """Set the item of the current thread, which its waits are reported for."""
        self._local.item = item

    def _waiting(self, reason: str) -> None:
        item = getattr(self._local, "item", None)
        if item is not None:
            self._emit(EventKind.RESOURCE_WAITING, item, {"for": reason})

    def _sleep(self, seconds: float) -> None:
        self.rate_limiter.tell()  # no lease is held now
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
            what = describe_exception(error, self.auth)
            raise PluginError(
                f"The auth plugin {self.auth.name!r} failed to judge a response: {what}.",
                hint="Report it to the plugin's author.",
                plugin=self.auth.name,
            ) from None
