"""argosy as functions, for programs and notebooks: downloads, and sessions without a download."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from argosy.config.load import load, load_file
from argosy.config.schema import check
from argosy.engine import plan
from argosy.engine.context import RunContext
from argosy.engine.outputs import plugin_errors
from argosy.engine.report import ItemReport, Report
from argosy.engine.run import Run, RunOptions
from argosy.errors import ConfigError, Problem, SessionError, TransferError
from argosy.events import Event, EventKind
from argosy.interfaces.base import Plugin, PluginContext
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.interfaces.observer import Observer
from argosy.leasing.adaptive import in_force
from argosy.leasing.policy import LeaseMode, Policy, Tokens
from argosy.models.items import Item
from argosy.models.session import SessionRecord, Status
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.state.ledger import Row

Config = str | PathLike[str] | Mapping[str, Any]
Notify = Callable[[str], None]
OnEvent = Callable[[Event], None]
#: Plugins that are not installed: Python files, as for ``--plugin``, or classes.
Plugins = str | PathLike[str] | type[Plugin] | Iterable[str | PathLike[str] | type[Plugin]]

#: Lists by the suffix of the file, as options of a source.
_LISTS = {".jsonl": "path", ".ndjson": "path", ".csv": "path", ".txt": "file"}
#: Seconds that transfers get to end when a run is aborted.
_LAST_SECONDS = 3.0
#: Seconds between two checks for a signal.
_SIGNAL_CHECK = 0.2


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The public facts of a session, without its tokens; times are seconds since the epoch, 0 if unknown."""

    name: str
    state: str  # "idle", "in_flight", "dead" or "retired"
    holder: str | None  # the process that has a request in flight
    logins: int
    refreshes: int  # renewals without a login
    logged_in: float
    saved: float
    expires: float  # when its tokens, or the first of its cookies, expire
    lease: str  # how requests share it now
    lease_reason: str
    cookies: tuple[str, ...]  # names
    headers: tuple[str, ...]  # names


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token in a header field for another program, which may send it to `origins` only; times as in `SessionInfo`."""

    session: str
    header: str  # the name of the field
    value: str = field(repr=False)  # of the field
    token: str = field(repr=False)  # the value without its scheme
    expires: float
    origins: tuple[str, ...]


def download(
    config: Config | Iterable[str],
    on_event: OnEvent | None = None,
    *,
    directory: str | PathLike[str] | None = None,
    progress: bool = False,
    plugins: Plugins = (),
    limit: int | None = None,
    ask: Callable[[str], str] | None = None,
    **changes: Any,
) -> Report:
    """Download the items of a configuration, or URLs, like ``argosy download``, without printing; return the report.

    Parameters
    ----------
    config
        The path of a configuration (.toml, .json), a manifest (.jsonl, .ndjson, .csv) or a list of URLs (.txt), a mapping
        with the structure of a configuration, a URL, or several URLs.
    on_event
        Called with every `argosy.events.Event` of the run, from its threads, one at a time.
    directory
        The target directory, instead of the configuration's.
    progress
        Whether to show the progress in the terminal or in the notebook.
    plugins
        Plugins that are not installed: Python files, as for ``--plugin``, or classes.
    limit, ask, **changes
        The most items to download, what gets a secret from the user, and keys of the configuration to replace.

    Raises
    ------
    ArgosyError
        If the run cannot start, or ends early; its attribute ``report``, if set, is the `Report`.
    """
    changes |= {} if directory is None else {"directory": directory}
    if isinstance(config, str) and "://" in config:
        config = [config]
    if not isinstance(config, str | PathLike | Mapping):
        config = {"source": {"use": "urls", "urls": list(config)}}
    elif not isinstance(config, Mapping) and (option := _LISTS.get(Path(config).suffix.lower())):
        config = {"source": {"use": "urls" if option == "file" else "manifest", option: fspath(config)}}
    manager = _manager(plugins)
    observers = [manager.make(Observer, {"use": "progress"}, PluginContext())] if progress else []
    return _report_of(load(config, manager, changes), manager, on_event, observers=observers, limit=limit, ask=ask)


def remake(config: Config, on_event: OnEvent | None = None, *, plugins: Plugins = ()) -> Report:
    """Make the outputs of downloaded items, like ``argosy output CONFIG``, without a request; see `download`.

    A mapping needs only ``directory`` and ``output``. The report includes the items with missing files.
    """
    return _report_of(*_load(config, plugins), on_event, reprocess=True)


def check_config(config: Config, *, plugins: Plugins = ()) -> list[Problem]:
    """Return every problem of a configuration; its parameters are those of `download`.

    It raises a `ConfigError` if the file cannot be read, and a `PluginError` if one of its plugins is broken.
    """
    document = config if isinstance(config, Mapping) else load_file(Path(config))
    return check(document, _manager(plugins), "configuration" if document is config else str(config))


def preview(config: Config, *, plugins: Plugins = ()) -> list[Item]:
    """Return the items that `download` would fetch, without a request or a login, unless the source needs them."""
    items: list[Item] = []
    plan.preview(*_load(config, plugins), lambda item, *_: items.append(item))
    return items


def login(
    config: Config, *, forget: bool = False, on_notice: Notify = lambda message: None, plugins: Plugins = ()
) -> list[str]:
    """Log in, store the sessions like ``argosy login``, and return the names of those that are logged in.

    With `forget`, also discard what ``lease: auto`` has learned about the service. `on_notice` is called with messages for
    the user; the other parameters are those of `download`. It raises an `ArgosyError` if no session is logged in.
    """
    names, problems = [], []
    with open_context(*_load(config, plugins), on_notice) as context:
        for name, problem in log_in(context, forget=forget):
            if problem is None:
                names.append(name)
            else:
                problems.append(problem)
                on_notice(str(problem))
    if not names:
        raise problems[0]
    return names


def logout(
    config: Config, *, local: bool = False, on_notice: Notify = lambda message: None, plugins: Plugins = ()
) -> dict[str, bool]:
    """End the sessions of a configuration and delete them from the cookie store, like ``argosy logout``.

    Return the name of each session that existed, and whether the service ended it. With `local`, the service is not asked;
    the other parameters are those of `login`. If the service cannot be asked, it raises an `ArgosyError`, and that session
    is kept.
    """
    with open_context(*_load(config, plugins), on_notice) as context:
        return dict(log_out(context, local=local))


def sessions(config: Config, *, plugins: Plugins = ()) -> list[SessionInfo]:
    """Return the sessions in a configuration's cookie store, as ``argosy status`` shows them."""
    settings, manager = _load(config, plugins)
    return stored_sessions(settings, manager, PluginContext(settings.base, settings.directory))


def read_config(config: Config, *, plugins: Plugins = ()) -> dict[str, Any]:
    """Return the keys of a valid configuration with their defaults; secrets are still references."""
    settings, _ = _load(config, plugins)
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


@contextmanager
def open_session(
    config: Config,
    *,
    on_notice: Notify = lambda message: None,
    plugins: Plugins = (),
    redactor: Redactor | None = None,
    ask: Callable[[str], str] | None = None,
) -> Iterator[requests.Session]:
    """Log in if necessary and yield a `requests.Session` for your own program; its parameters are those of `login`.

    Its requests take leases, are repeated after a refusal, and renew the session before it expires. Threads can share
    it, and programs and downloads can share its configuration, which needs no source. If no login is possible, this
    function or a request raises an `ArgosyError`. `redactor` learns all secrets, and `ask` gets a secret from the user.
    """
    with open_context(*_load(config, plugins), on_notice, redactor, ask=ask) as context:
        context.pool.log_in()
        try:
            yield context.pool.http
        finally:
            context.pool.sync()


def token(
    config: Config,
    valid_for: float = 0.0,
    *,
    name: str | None = None,
    refused: str = "",
    on_notice: Notify = lambda message: None,
    plugins: Plugins = (),
) -> AccessToken:
    """Return a token for another program, like ``argosy token CONFIG``, renewed before if necessary.

    It is good for `valid_for` seconds, if its expiry is known. `name` is its header field, if the session has several tokens.
    If it was `refused`, it is replaced unless a newer one is there. The other parameters are those of `login`.
    """
    with open_context(*_load(config, plugins), on_notice) as context:
        return fresh_token(context, valid_for, name, refused)


def open_store(use: str, **options: Any) -> CookieStore:
    """Return a cookie store, for programs that mount a `LeasedAdapter`: ``open_store("json-file", path="cookies.json")``.

    Relative paths are relative to the current directory. It raises a `ConfigError` if the options are not valid.
    """
    plugins = PluginManager()
    plugins.find(Kind.COOKIE_STORE, use)
    settings = load({"cookie_store": {"use": use, **options}}, plugins)
    return plugins.make(CookieStore, settings.cookie_store, PluginContext())


def _manager(plugins: Plugins) -> PluginManager:
    given = (plugins,) if isinstance(plugins, str | PathLike | type) else tuple(plugins)
    return PluginManager(
        files=[Path(file) for file in given if not isinstance(file, type)],
        given=[cls for cls in given if isinstance(cls, type)],
    )


def _load(config: Config, plugins: Plugins) -> tuple[Settings, PluginManager]:
    manager = _manager(plugins)
    return load(config, manager), manager


# -- shared with the command line


@contextmanager
def open_context(
    settings: Settings, plugins: PluginManager, notify: Notify, redactor: Redactor | None = None, **asking: Any
) -> Iterator[RunContext]:
    """Open what a login needs; `notify` gets its notices."""
    redactor = redactor or Redactor()

    def emit(kind: EventKind, item: str | None, data: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_NOTICE:
            notify(redactor.scrub(str(data["message"])))

    context = RunContext(settings, plugins, emit, Stop(), redactor, **asking)
    try:
        yield context
    finally:
        context.close()


def log_in(context: RunContext, *, forget: bool) -> Iterator[tuple[str, SessionError | None]]:
    """Log in all sessions; yield the name of each, and the error if it failed."""
    _need_auth(context, lasting=True)
    yield from context.pool.log_in_again(forget=forget)


def log_out(context: RunContext, *, local: bool) -> Iterator[tuple[str, bool]]:
    """Delete each session; yield its name, and whether the service ended it."""
    _need_auth(context)
    for manager in context.pool.managers:
        try:
            ended = manager.log_out(local=local)
        except (SessionError, TransferError) as error:
            error.message = f"Cannot end the session {manager.session!r}; it was kept: {error.message}"
            error.hint = "To delete it without the service: argosy logout --local CONFIG"
            raise
        if ended is not None:
            yield manager.session, ended


def _need_auth(context: RunContext, *, lasting: bool = False) -> None:
    if context.auth.anonymous:
        hint = 'Set "auth", for example to {"use": "form-login", ...}.'
        raise ConfigError(f"The configuration has no login: its auth is {context.auth.name!r}.", hint=hint)
    if lasting and context.store.scope is Scope.PROCESS:
        hint = 'Set "cookie_store" to "json-file".'
        raise ConfigError(f"The cookie store {context.store.name!r} would lose the session at the end.", hint=hint)


def fresh_token(context: RunContext, valid_for: float = 0.0, name: str | None = None, refused: str = "") -> AccessToken:
    """Return a good token of the first session; see `token`."""
    manager = context.pool.managers[0]
    with plugin_errors("auth plugin", context.auth):
        fixed = context.auth.fixed_token()
    _need_auth(context, lasting=fixed is None)

    def is_stale(record: SessionRecord) -> bool:
        is_refused = any(refused in (one.value, one.value.rpartition(" ")[2]) for one in record.headers)
        return is_refused or 0 < record.expires < time.time() + valid_for

    record = SessionRecord(manager.session, headers=fixed[:1], expires=fixed[1]) if fixed else manager.fresh(is_stale)
    if manager.logins or manager.refreshes:
        manager.sync()
    found = [one for one in record.headers if name is None or one.name.lower() == name.lower()]
    names, hint = ", ".join(one.name for one in record.headers) or "none", "For other programs: argosy gateway CONFIG"
    if len(found) != 1:
        message = f"The session {record.session!r} has no single token in a header field; fields with tokens: {names}."
        raise ConfigError(message, hint=hint if names == "none" else "Choose one of them with --name.")
    (one,) = found
    scheme, _, bare = one.value.rpartition(" ")
    if manager.policy.carriers.of(found) or scheme.lower() == "dpop":
        why = "it is bound to a key that argosy keeps" if scheme.lower() == "dpop" else "responses replace it"
        raise ConfigError(f"Another program cannot use the token in {one.name}: {why}.", hint=hint)
    if is_stale(record):
        what = "was refused" if refused in (one.value, bare) else f"expires in {record.expires - time.time():.0f} s"
        raise SessionError(f"The newest token of the session {record.session!r} {what}.", hint=context.auth.remedy)
    return AccessToken(record.session, one.name, one.value, bare, record.expires, one.origins)


def stored_sessions(settings: Settings, plugins: PluginManager, context: PluginContext) -> list[SessionInfo]:
    """Return the sessions in the cookie store, without opening anything else."""
    store = plugins.make(CookieStore, settings.cookie_store, context)
    try:
        records = [store.read(name) for name in store.sessions()]
    finally:
        store.close()
    return [_session_info(record, settings) for record in records if record is not None]


def _session_info(record: SessionRecord, settings: Settings) -> SessionInfo:
    holder = record.holder if record.status is Status.IN_FLIGHT else None
    tokens = Tokens.named(settings.token_cookies)
    policy = Policy(LeaseMode(settings.lease), renewable=record.renewable, tokens=tokens, signer=record.signer)
    lease, reason = in_force(policy, record)
    ends = [cookie.expires for cookie in tokens.of(record.cookies) if cookie.expires is not None]
    return SessionInfo(
        name=record.session,
        state=record.status.value,
        holder=None if holder is None else f"process {holder.pid} on {holder.host}",
        logins=record.logins,
        refreshes=record.refreshes,
        logged_in=record.logged_in,
        saved=record.saved,
        expires=record.expires or min(ends, default=0.0),
        lease=lease.value,
        lease_reason=reason,
        cookies=tuple(sorted({cookie.name for cookie in record.cookies})),
        headers=tuple(sorted(token.name for token in record.headers)),
    )


def _report_of(settings: Settings, plugins: PluginManager, on_event: OnEvent | None, **options: Any) -> Report:
    redactor, items = Redactor(), []

    def collect(report: Report, rows: Iterable[tuple[Row, bool]]) -> None:
        for row, had_job in rows:
            state = {"done": "done" if had_job else "skipped", "failed": "failed"}.get(row.state, "left")
            state = "failed" if state == "done" and row.failure is not None else state  # an additional output of it
            files = row.files if row.state == "done" else ()
            paths = () if settings.remote is not None else tuple(settings.directory / file.name for file in files)
            id_, title = redactor.scrub((row.id, row.title))
            failure = row.failure and replace(row.failure, id=id_, title=title)
            items.append(ItemReport(id_, title, state, paths, files, row.bytes, failure))

    given = RunOptions(on_event=on_event, on_report=collect, redactor=redactor, **options)
    report = replace(execute(Run(settings, plugins, given)), items=tuple(items))
    if report.error is not None:
        report.error.__dict__["report"] = report
        raise report.error
    return report


def execute(run: Run) -> Report:
    """Execute a run in its own thread and wait for it; Ctrl-C once drains it, twice aborts it.

    Python handles signals in the main thread, so a signal never comes between a response's headers and the commit of
    their token. Raises a KeyboardInterrupt if an aborted run does not end within seconds.
    """
    result: list[Report] = []
    raised: list[BaseException] = []
    over = threading.Event()

    def target() -> None:
        try:
            result.append(run.execute())
        except BaseException as error:  # raised in the caller's thread below
            raised.append(error)
        finally:
            over.set()

    threading.Thread(target=copy_context().run, args=(target,), name="argosy-run", daemon=True).start()
    _wait(over, run)
    if raised:
        raise raised[0]
    return result[0]


def _wait(over: threading.Event, run: Run) -> None:
    """Wait until a run is over, and pass on interrupts.

    Not with `Thread.join`: in CPython 3.11, a thread counts as ended once a join was interrupted. The wait has a timeout
    because the system may deliver a signal to another thread, which does not wake this one.
    """
    stop, deadline, told = run.stop, math.inf, 0
    while not over.is_set():
        try:
            if (level := stop.draining + stop.aborted) > told:
                told = level
                # in a thread, as an observer that hangs must not keep the run from ending
                threading.Thread(target=run.tell_stopping, name="argosy-stopping", daemon=True).start()
            over.wait(_SIGNAL_CHECK)
            if stop.aborted:
                deadline = min(deadline, time.monotonic() + _LAST_SECONDS)
            if time.monotonic() > deadline and not over.is_set():
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            if stop.aborted:
                raise
            if stop.draining:
                stop.abort()
            else:
                stop.drain()
