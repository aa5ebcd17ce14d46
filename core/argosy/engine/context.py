"""The context of a run in one process: its plugins, sessions, connections and staging; and the choice of its strategy."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.config.location import open_storage
from argosy.config.schema import default_options
from argosy.engine.outputs import Outputs, plugin_errors
from argosy.engine.sessions.provider import Share, open_sessions
from argosy.errors import ArgosyError, ConfigError
from argosy.events import Emit, EventKind
from argosy.http.session import Network, check_proxy, environment_proxies, header_field
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.interfaces.output import Output
from argosy.interfaces.ratelimit import RateLimit
from argosy.interfaces.source import Source
from argosy.interfaces.storage import Patience
from argosy.interfaces.strategy import Strategy
from argosy.interfaces.transport import Transport
from argosy.leasing.login import LoginLimiter
from argosy.leasing.policy import SessionCallbacks
from argosy.plugins.kinds import Kind
from argosy.ratelimit.limiter import RateLimiter
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.hosts import host_key
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.secrets import Secret
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager


class RunContext:
    """The plugins and sessions of one process; the redactor learns its secrets.

    In a worker process, `share` and `login_limit` come from the run, and `folder` is on its own disk, if there is one. `asking` is
    how a `PluginContext` reaches the user.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: PluginManager,
        emit: Emit,
        stop: Stop,
        redactor: Redactor,
        share: Share | None = None,
        login_limit: LoginLimiter | None = None,
        folder: Path | None = None,
        **asking: Any,
    ) -> None:
        self.settings = settings
        self.stop = stop
        self.redactor = redactor
        self.staging = StagingArea(settings.home, folder)
        self._plugins = plugins
        self._emit = emit
        self._local = threading.local()
        self._mutex = threading.Lock()
        context = self.plugin_context = PluginContext(
            settings.base, settings.directory, on_secret=redactor.add, notice=self.notice, **asking
        )
        shared = plugins.make(RateLimit, settings.ratelimit, context) if settings.ratelimit else None
        self.rate_limiter = RateLimiter(
            settings.download_delay,
            max_outage=settings.max_outage,
            probe_time=settings.timeout.connect + settings.timeout.headers,
            shared=shared,
            notice=self.notice,
        )
        self.storage = open_storage(settings.remote, plugins, context)
        self.storage.patience = Patience(settings.max_retries, settings.retry_delay, settings.max_outage, stop)
        self.auth = plugins.make(Auth, settings.auth, context)
        self.store = plugins.make(CookieStore, settings.cookie_store, context)
        self.source = plugins.make(Source, settings.source, context) if settings.source else None
        self.outputs = Outputs(settings.output, plugins, context)
        self._by_name: dict[str, Output | None] = {made.name: made for made in self.outputs.all.values()}
        transport = plugins.make(Transport, settings.transport, context)
        made = (self.source, shared, transport, self.auth, self.store, *self.outputs.all.values())
        #: The plugins of this run.
        self.plugins: list[Plugin] = [plugin for plugin in made if plugin is not None]
        proxies = environment_proxies(transport, redactor.add) if settings.trust_environment else {}
        if (value := settings.proxy) is not None:
            # a URL without a password is not a secret
            given = Secret(value) if isinstance(value, str) else context.secret(value)
            proxies = dict.fromkeys(("http", "https"), check_proxy(given, transport, redactor.add))
        fields = {name: header_field(name, value, context.secret) for name, value in settings.headers.items()}
        network = Network(settings.ca_bundle, proxies, settings.allow_downgrade, settings.user_agent, settings.referer)
        self.pool = open_sessions(
            settings,
            self.auth,
            self.store,
            is_refusal=self._is_refusal,
            callbacks=SessionCallbacks(
                self._waiting,
                lambda reason: self._emit_count(EventKind.LOGIN, "logins", reason),
                lambda reason: self._emit_count(EventKind.REFRESH, "refreshes", reason),
                self.notice,
                redactor.add,
                self._sleep,
                lambda: stop.check(between=True),
                lambda: self._emit(EventKind.REFUSAL, None, {}),
            ),
            rate_limiter=self.rate_limiter,
            network=network._replace(headers=fields, header_origins=settings.header_origins),
            share=share,
            login_limit=login_limit,
            transport=transport,
        )

    def output(self, name: str) -> Output | None:
        """Return an output by name; if the configuration lacks it, one with default options, or None."""
        with self._mutex:  # worker threads ask at the same time, and importing a plugin takes a while
            if name not in self._by_name:
                self._by_name[name] = None
                with contextlib.suppress(ArgosyError):
                    schema = self._plugins.find(Kind.OUTPUT, name).options_schema
                    options = {"use": name, **default_options(schema)}
                    self._by_name[name] = self._plugins.make(Output, options, self.plugin_context)
            return self._by_name[name]

    def close(self) -> None:
        """Close everything."""
        self.pool.close()
        self.staging.close()
        self.storage.close()
        for plugin in dict.fromkeys((*self.plugins, *filter(None, self._by_name.values()))):
            try:
                plugin.close()
            except (Exception, SystemExit) as error:
                self.notice(f"The plugin {plugin.name!r} failed while closing: {describe_exception(error, plugin)}")

    def notice(self, message: str) -> None:
        """Tell the user something."""
        self._emit(EventKind.RUN_NOTICE, None, {"message": message})

    def working_on(self, item: str | None) -> None:
        """Set the item of the current thread, which its waits are reported for."""
        self._local.item = item

    def _waiting(self, reason: str) -> None:
        item = getattr(self._local, "item", None)
        if item is not None:
            facts = self.rate_limiter.why() if reason == "delay" else {}
            if reason == "login" and (where := self.settings.auth.get("url")):
                facts = {"host": host_key(where)}
            self._emit(EventKind.RESOURCE_WAITING, item, {"for": reason, **facts})

    def _sleep(self, seconds: float) -> None:
        self.rate_limiter.tell()  # no lease is held now
        self.stop.sleep(seconds)

    def _emit_count(self, kind: EventKind, counted: str, reason: str) -> None:
        self._emit(kind, None, {"number": self.pool.counts()[counted], "reason": reason})

    def _is_refusal(self, response: ResponseHead) -> bool:
        if self.auth.anonymous:
            return False
        with plugin_errors("auth plugin", self.auth):
            return bool(self.auth.is_refusal(response))


def choose(context: RunContext, plugins: PluginManager) -> tuple[Strategy, str | None]:
    """Return the configured strategy, or a serial one if it is not safe with the cookie store; and why it does less."""
    settings, store = context.settings, context.store
    default = "serial" if settings.max_workers == 1 else "threads"
    strategy = plugins.make(Strategy, settings.strategy or {"use": default}, context.plugin_context)
    reason = None
    if not context.auth.anonymous and store.scope < strategy.needs:
        several = "machines" if strategy.needs is Scope.CLUSTER else "processes"
        reason = (
            f"The strategy {strategy.name!r} uses several {several}, but the lease of the cookie store {store.name!r}"
        )
        reason = f"{reason} only covers one {'process' if store.scope is Scope.PROCESS else 'machine'}."
        stores = [info for info in plugins.plugins() if info.kind is Kind.COOKIE_STORE]
        wide = " or ".join(f'"{info.name}"' for info in stores if getattr(info.cls, "scope", 0) >= strategy.needs)
        change = f'Set "cookie_store" to {wide}, or use the strategy "threads".'
        if settings.strict:
            raise ConfigError(reason, hint=change)
        strategy.close()
        strategy = plugins.make(Strategy, {"use": "serial"}, context.plugin_context)
        reason = f"{reason} The run is serial instead. {change}"
    elif settings.strategy and not strategy.parallel and settings.max_workers > 1:
        number = settings.max_workers
        reason = f"The strategy {strategy.name!r} does one item at a time: max_workers {number} has no effect."
    return strategy, reason


def ask_safely(ask: Callable[[str], str], settings: Settings, plugins: PluginManager, text: str) -> str:
    """Ask for a secret; raise a ConfigError if other processes need it and others could read it on its way to them."""
    if settings.strategy is not None:
        strategy = plugins.make(Strategy, settings.strategy, PluginContext(settings.base, settings.directory, ask))
        strategy.close()
        if strategy.needs > Scope.PROCESS and not strategy.private:
            message = f"The workers of the strategy {strategy.name!r} need a secret that you type ({text!r})"
            hint = 'Give it by {"env": NAME} or {"file": PATH}, which each worker reads itself, or use TLS (tls://...).'
            raise ConfigError(f"{message}, and others could read it on its way to them.", hint=hint)
    return ask(text)
