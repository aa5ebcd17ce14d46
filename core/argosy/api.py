"""argosy as functions, for programs and notebooks: downloads, and sessions without a download."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from argosy.config.check import check
from argosy.config.load import load, load_file
from argosy.config.stores import store_options
from argosy.engine import plan
from argosy.engine.context import ContextOptions, RunContext
from argosy.engine.report import Report
from argosy.engine.run import Run, RunOptions
from argosy.errors import ConfigError, Problem, SessionError, TransferError
from argosy.events import Event, EventKind
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.leasing.adaptive import in_force
from argosy.leasing.copy import move_sessions
from argosy.leasing.policy import LeaseMode, Policy
from argosy.leasing.tokens import Tokens
from argosy.models.items import Item
from argosy.models.session import SessionRecord, Status
from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.plugins.manager import PluginManager, describe
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
Config = str | Path | Mapping[str, Any]
Tell = Callable[[str], None]
#: Plugins that are not installed: Python files, as for ``--plugin``, or classes.
Plugins = Iterable[str | Path | type[Plugin]]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What can be shown of a session: never its tokens.

    Parameters
    ----------
    name
        Its name in the cookie store.
    state
        ``idle``, ``in_flight``, ``dead`` or ``retired``.
    holder
        Who has it in flight, in words; None where nobody has.
    logins, refreshes
        How often it was logged in, and renewed without a login.
    logged_in, saved
        When it was logged in, and changed, for the last time: seconds since the epoch, 0 where unknown.
    expires
        When its tokens, or the first of its cookies, expire: seconds since the epoch, 0 where unknown.
    lease, lease_reason
        How requests share it now, and why.
    cookies, headers
        The names of its cookies, and of its header fields.
    """

    name: str
    state: str
    holder: str | None
    logins: int
    refreshes: int
    logged_in: float
    saved: float
    expires: float
    lease: str
    lease_reason: str
    cookies: tuple[str, ...]
    headers: tuple[str, ...]


def login(
    config: Config, *, forget: bool = False, on_notice: Tell = lambda message: None, plugins: Plugins = ()
) -> list[str]:
    """Log in as a configuration says, and keep the session in its cookie store; the same as ``argosy login``.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    forget
        Whether to forget what was learned about the service, too.
    on_notice
        Told what the person should know.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Returns
    -------
    list of str
        The names of the sessions that are logged in.

    Raises
    ------
    ArgosyError
        If none is.
    """
    with opened(*_loaded(config, plugins), on_notice) as environment:
        names, problems = [], []
        for name, problem in log_in(environment, forget=forget):
            if problem is None:
                names.append(name)
            else:
                problems.append(problem)
                on_notice(str(problem))
        if not names:
            raise problems[0]
        return names


def logout(
    config: Config, *, local: bool = False, on_notice: Tell = lambda message: None, plugins: Plugins = ()
) -> dict[str, bool]:
    """End the sessions of a configuration; the same as ``argosy logout``.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    local
        Whether to forget them here, and ask nothing of the service.
    on_notice
        Told what the person should know.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Returns
    -------
    dict
        For the name of each session that there was, whether it was ended at the service too.

    Raises
    ------
    ArgosyError
        If the service could not be asked; that session is kept.
    """
    with opened(*_loaded(config, plugins), on_notice) as environment:
        return dict(log_out(environment, local=local))


def sessions(config: Config, *, plugins: Plugins = ()) -> list[SessionInfo]:
    """Return what is known of the sessions in a configuration's cookie store; the same as ``argosy status`` shows.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.
    """
    return stored(*_loaded(config, plugins))


@contextmanager
def open_session(
    config: Config, *, on_notice: Tell = lambda message: None, plugins: Plugins = ()
) -> Iterator[requests.Session]:
    """Log in where that is needed, and give a requests session for a program of your own.

    Its requests take the lease as those of a download do, are sent again after a refusal, and a session that expires
    is renewed in time. Any number of threads may use it, and any number of programs and downloads one configuration.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape. It needs no source.
    on_notice
        Told what the person should know.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Yields
    ------
    requests.Session
        Good until the ``with`` block ends.

    Raises
    ------
    ArgosyError
        If there is no session and none can be had; later, from a request, for the same reason.
    """
    with opened(*_loaded(config, plugins), on_notice) as environment:
        environment.pool.log_in()
        try:
            yield environment.pool.http
        finally:
            environment.pool.sync()


def _loaded(config: Config, plugins: Plugins) -> tuple[Settings, PluginManager]:
    registry = _manager(plugins)
    return load(config, registry), registry


def _manager(plugins: Plugins) -> PluginManager:
    given = tuple(plugins)
    return PluginManager(
        files=[Path(file) for file in given if not isinstance(file, type)],
        given=[_described(cls) for cls in given if isinstance(cls, type)],
    )


def _described(cls: type[Plugin]) -> PluginInfo:
    for kind in Kind:
        if issubclass(cls, kind.interface):
            return describe(kind, cls, Origin(cls.__module__, "(not installed)", cls.__name__))
    raise ConfigError(
        f"{cls.__qualname__} is not a plugin: it extends none of the interfaces in argosy.interfaces."
    )


def check_config(config: Config, *, plugins: Plugins = ()) -> list[Problem]:
    """Return everything that is wrong with a configuration; the same as ``argosy config check``.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    PluginError
        If a plugin it names is broken.
    """
    if isinstance(config, Mapping):
        return check(config, _manager(plugins), "configuration")
    return check(load_file(Path(config)), _manager(plugins), str(config))


def preview(config: Config, *, plugins: Plugins = ()) -> list[Item]:
    """Return the items that a download would fetch, without a request or a login.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Raises
    ------
    ArgosyError
        If the run could not begin.
    """
    settings, registry = _loaded(config, plugins)
    items: list[Item] = []
    plan.preview(settings, registry, lambda found: items.append(found.item))
    return items


# -- what the functions above and the command line share


@contextmanager
def opened(
    settings: Settings,
    registry: PluginManager,
    tell: Tell,
    redactor: Redactor | None = None,
    ask: Callable[[str], str] | None = None,
    ask_now: Callable[[str], str] | None = None,
    *,
    attended: bool = False,
) -> Iterator[RunContext]:
    """Open what a configuration needs to log in; its notices are told."""
    known = redactor or Redactor()

    def emit(kind: EventKind, item: str | None, data: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_NOTICE:
            tell(known.scrub(str(data["message"])))

    options = ContextOptions(ask, ask_now, attended)
    environment = RunContext(settings, registry, emit, Stop(), known, options)
    try:
        yield environment
    finally:
        environment.close()


def log_in(environment: RunContext, *, forget: bool) -> Iterator[tuple[str, SessionError | None]]:
    """Log every session in; yield the name of each, and what went wrong, if anything.

    Raises
    ------
    ConfigError
        If nobody is logged in, or the session would be forgotten at once.
    """
    _need_a_login(environment)
    if environment.store.scope is Scope.PROCESS:
        raise ConfigError(
            f"The cookie store {environment.store.name!r} forgets the session when this command ends.",
            hint='Set "cookie_store" to "json-file".',
        )
    yield from environment.pool.log_in_again(forget=forget)


def log_out(environment: RunContext, *, local: bool) -> Iterator[tuple[str, bool]]:
    """Forget each session that there is; yield its name, and whether it was ended at the service."""
    _need_a_login(environment)
    for manager in environment.pool.managers:
        try:
            ended = manager.log_out(local=local)
        except (SessionError, TransferError) as error:
            error.message = f"The session {manager.session!r} was not ended, and is kept: {error.message}"
            error.hint = "To forget it here all the same: argosy logout --local CONFIG"
            raise
        if ended is not None:
            yield manager.session, ended


def _need_a_login(environment: RunContext) -> None:
    if environment.auth.anonymous:
        raise ConfigError(
            f"The configuration logs nobody in: its auth is {environment.auth.name!r}.",
            hint='Set "auth", for example to {"use": "form-login", ...}.',
        )


def stored(
    settings: Settings,
    registry: PluginManager,
    redactor: Redactor | None = None,
    ask: Callable[[str], str] | None = None,
) -> list[SessionInfo]:
    """Return what is known of the sessions in the cookie store; nothing else is opened."""
    on_secret = (redactor or Redactor()).add
    context = PluginContext(settings.base, settings.directory, ask, on_secret)  # it may need a key
    store = registry.make(CookieStore, settings.cookie_store, context)
    try:
        records = [store.read(name) for name in store.sessions()]
    finally:
        store.close()
    return [_info(record, settings) for record in records if record is not None]


def _info(record: SessionRecord, settings: Settings) -> SessionInfo:
    holder = record.holder if record.status is Status.IN_FLIGHT else None
    lease, reason = in_force(
        Policy(
            LeaseMode(settings.lease),
            renewable=record.renewable,
            tokens=Tokens.named(settings.token_cookies),
            signer=record.signer,
        ),
        record,
    )
    return SessionInfo(
        name=record.session,
        state=record.status.value,
        holder=None if holder is None else f"process {holder.pid} on {holder.host}",
        logins=record.logins,
        refreshes=record.refreshes,
        logged_in=record.logged_in,
        saved=record.saved,
        expires=_expires(record, settings.token_cookies),
        lease=lease.value,
        lease_reason=reason,
        cookies=tuple(sorted({cookie.name for cookie in record.cookies})),
        headers=tuple(sorted(token.name for token in record.headers)),
    )


def _expires(record: SessionRecord, tokens: Sequence[str]) -> float:
    ends = [
        cookie.expires
        for cookie in record.cookies
        if cookie.expires is not None and (not tokens or cookie.name in tokens)
    ]
    return record.expires or min(ends, default=0.0)


def expiry_text(expires: float, now: float | None = None) -> str:
    """Return when something expires, in words; empty where that is unknown."""
    from argosy.toolkit.text import time_text

    left = expires - (time.time() if now is None else now)
    if not expires:
        return ""
    return f"expires in {time_text(left)}" if left > 0 else f"expired {time_text(-left)} ago"


#: Seconds that transfers have to end in when a run is to end at once.
LAST_SECONDS = 3.0

#: Seconds after which a signal is noticed at the latest.
LOOK_UP = 0.2


def download(
    config: str | Path | Mapping[str, Any],
    on_event: Callable[[Event], None] | None = None,
    *,
    plugins: Plugins = (),
) -> Report:
    """Do what ``argosy download CONFIG`` does; print nothing, and never end the program.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    on_event
        Called with every `argosy.events.Event` of the run, from its threads, one at a time.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Returns
    -------
    Report
        What was done; items that failed are counted and named in it.

    Raises
    ------
    ArgosyError
        If the run could not begin, or ended early; the error's ``report`` says how far it came.

    Examples
    --------
    >>> import argosy
    >>> report = argosy.download({"source": {"use": "urls", "urls": []}, "directory": "library"})
    >>> report.counts.failed
    0
    """
    registry = _manager(plugins)
    return _reported(Run(load(config, registry), registry, RunOptions(on_event=on_event)))


def remake(
    config: str | Path | Mapping[str, Any],
    on_event: Callable[[Event], None] | None = None,
    *,
    plugins: Plugins = (),
) -> Report:
    """Do what ``argosy output CONFIG`` does: make the outputs of what is downloaded already, without a request.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape; of a dictionary, ``directory`` and
        ``output`` are enough.
    on_event
        Called with every `argosy.events.Event` of the run, from its threads, one at a time.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Returns
    -------
    Report
        What was made; items whose files are not all there are counted and named in it.

    Raises
    ------
    ArgosyError
        If the run could not begin, or ended early; the error's ``report`` says how far it came.
    """
    registry = _manager(plugins)
    options = RunOptions(on_event=on_event, reprocess=True)
    return _reported(Run(load(config, registry), registry, options))


def _reported(run: Run) -> Report:
    report = execute(run)
    if report.error is not None:
        report.error.__dict__["report"] = report
        raise report.error
    return report


def execute(run: Run) -> Report:
    """Execute a run in a thread of its own and wait for it; Ctrl-C once drains it, twice ends it.

    Signals are handled in the main thread, so none of them ever comes between a response's headers and
    the commit of the token they brought.

    Raises
    ------
    ArgosyError
        If the run could not begin.
    KeyboardInterrupt
        If it was interrupted twice and did not come to its end in a few seconds.
    """
    result: list[Report] = []
    raised: list[BaseException] = []
    over = threading.Event()

    def target() -> None:
        try:
            result.append(run.execute())
        except BaseException as error:  # handed to the caller below
            raised.append(error)
        finally:
            over.set()

    threading.Thread(target=target, name="argosy-run", daemon=True).start()
    _wait(over, run)
    if raised:
        raise raised[0]
    return result[0]


def _wait(over: threading.Event, run: Run) -> None:
    """Wait for the end of a run, and pass on what the person interrupts.

    `Thread.join` will not do: in CPython 3.11 a thread whose join was interrupted counts as ended. And a signal that
    the system delivers to another thread wakes nobody here, on Windows none does: so this looks up now and then.
    """
    stop, last, told = run.stop, math.inf, 0
    while not over.is_set():
        try:
            if (level := stop.draining + stop.aborted) > told:
                told = level
                # not here: an observer that hangs must not keep a run from ending
                threading.Thread(target=run.tell_stopping, name="argosy-stopping", daemon=True).start()
            over.wait(LOOK_UP)
            if stop.aborted:
                last = min(last, time.monotonic() + LAST_SECONDS)
            if time.monotonic() > last and not over.is_set():
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            if stop.aborted:
                raise
            if stop.draining:
                stop.abort()
            else:
                stop.drain()


def open_store(use: str, **options: Any) -> CookieStore:
    """Return a cookie store by its name, for programs that mount a `LeasedAdapter`.

    Parameters
    ----------
    use
        The plugin's name, as in a configuration: ``"json-file"``.
    options
        Its options: ``path="cookies.json"``; relative paths are relative to the current directory.

    Raises
    ------
    ConfigError
        If there is no such store, or the options are not valid.
    """
    registry = PluginManager()
    settings = load({"cookie_store": {"use": use, **options}}, registry)
    registry.find(Kind.COOKIE_STORE, use)
    return registry.make(CookieStore, settings.cookie_store, PluginContext())


def copy_sessions(
    source: str | Path | Mapping[str, Any],
    target: str | Path | Mapping[str, Any],
    sessions: Collection[str] = (),
    *,
    keep: bool = False,
    force: bool = False,
    plugins: Plugins = (),
) -> tuple[str, ...]:
    """Do what ``argosy session copy`` does: move sessions from one cookie store to another.

    Parameters
    ----------
    source, target
        The stores: the path of a configuration (its cookie store is meant), ``"sqlite:cookies.sqlite"``, or
        ``{"use": "sqlite", "path": "cookies.sqlite"}``.
    sessions
        The names of the sessions; empty for all.
    keep
        Leave them in the source as well: right only where the service never replaces a token.
    force
        Replace sessions of the same names in the target.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.

    Returns
    -------
    tuple of str
        The names of what was moved, sorted.

    Raises
    ------
    BusyError
        If somebody uses one of them; nothing was moved.
    ConfigError
        If there is no such store or session, or the target has one of that name already; nothing was moved.
    SessionInDoubt
        If nobody knows which token of one is good; nothing was moved.
    StoreError
        If a store fails. What was not moved by then is still in the source, and the same call goes on from there.
    """
    registry = _manager(plugins)
    with ExitStack() as opened:

        def open_named(given: str | Path | Mapping[str, Any]) -> CookieStore:
            options, base = store_options(given, registry)
            store = registry.make(CookieStore, options, PluginContext(base, base))
            opened.callback(store.close)
            return store

        return move_sessions(open_named(source), open_named(target), sessions, keep=keep, force=force)
