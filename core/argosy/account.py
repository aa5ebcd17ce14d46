"""Sessions as functions: log in, log out, and see which there are, without a download."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from argosy.config import load
from argosy.contracts import PluginContext, Scope
from argosy.errors import ConfigError, SessionError, TransferError
from argosy.events import EventKind
from argosy.redaction import Redactor
from argosy.registry import Registry
from argosy.run.environment import Environment
from argosy.run.stop import Stop
from argosy.session.auto import in_force
from argosy.session.policy import Discipline, Policy
from argosy.session.record import SessionRecord, Status
from argosy.session.tokens import Tokens

if TYPE_CHECKING:
    from argosy.config import Settings

Config = str | Path | Mapping[str, Any]
Tell = Callable[[str], None]
Files = Iterable[str | Path]


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
    config: Config, *, forget: bool = False, on_notice: Tell = lambda message: None, plugins: Files = ()
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
        Plugins that are one Python file each, as ``--plugin``.

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
    config: Config, *, local: bool = False, on_notice: Tell = lambda message: None, plugins: Files = ()
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
        Plugins that are one Python file each, as ``--plugin``.

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


def sessions(config: Config, *, plugins: Files = ()) -> list[SessionInfo]:
    """Return what is known of the sessions in a configuration's cookie store; the same as ``argosy status`` shows.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    plugins
        Plugins that are one Python file each, as ``--plugin``.
    """
    return stored(*_loaded(config, plugins))


@contextmanager
def open_session(
    config: Config, *, on_notice: Tell = lambda message: None, plugins: Files = ()
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
        Plugins that are one Python file each, as ``--plugin``.

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


def _loaded(config: Config, plugins: Files) -> tuple[Settings, Registry]:
    registry = Registry.load(files=map(Path, plugins))
    return load(config, registry), registry


# -- what the functions above and the command line share


@contextmanager
def opened(
    settings: Settings,
    registry: Registry,
    tell: Tell,
    redactor: Redactor | None = None,
    ask: Callable[[str], str] | None = None,
    ask_now: Callable[[str], str] | None = None,
    *,
    attended: bool = False,
) -> Iterator[Environment]:
    """Open what a configuration needs to log in; its notices are told."""

    def emit(kind: EventKind, item: str | None, data: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_NOTICE:
            tell(str(data["message"]))

    environment = Environment(
        settings, registry, emit, Stop(), redactor or Redactor(), ask, ask_now=ask_now, attended=attended
    )
    try:
        yield environment
    finally:
        environment.close()


def log_in(environment: Environment, *, forget: bool) -> Iterator[tuple[str, SessionError | None]]:
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


def log_out(environment: Environment, *, local: bool) -> Iterator[tuple[str, bool]]:
    """Forget each session that there is; yield its name, and whether it was ended at the service."""
    _need_a_login(environment)
    for keeper in environment.pool.keepers:
        try:
            ended = keeper.log_out(local=local)
        except (SessionError, TransferError) as error:
            error.message = f"The session {keeper.session!r} was not ended, and is kept: {error.message}"
            error.hint = "To forget it here all the same: argosy logout --local CONFIG"
            raise
        if ended is not None:
            yield keeper.session, ended


def _need_a_login(environment: Environment) -> None:
    if environment.auth.anonymous:
        raise ConfigError(
            f"The configuration logs nobody in: its auth is {environment.auth.name!r}.",
            hint='Set "auth", for example to {"use": "form-login", ...}.',
        )


def stored(
    settings: Settings,
    registry: Registry,
    redactor: Redactor | None = None,
    ask: Callable[[str], str] | None = None,
) -> list[SessionInfo]:
    """Return what is known of the sessions in the cookie store; nothing else is opened."""
    on_secret = (redactor or Redactor()).add
    context = PluginContext(settings.base, settings.directory, ask, on_secret)  # it may need a key
    store = registry.cookie_store(settings.cookie_store, context)
    try:
        records = [store.read(name) for name in store.sessions()]
    finally:
        store.close()
    return [_info(record, settings) for record in records if record is not None]


def _info(record: SessionRecord, settings: Settings) -> SessionInfo:
    holder = record.holder if record.status is Status.IN_FLIGHT else None
    lease, reason = in_force(
        Policy(
            Discipline(settings.lease),
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
    from argosy.run.text import time_text

    left = expires - (time.time() if now is None else now)
    if not expires:
        return ""
    return f"expires in {time_text(left)}" if left > 0 else f"expired {time_text(-left)} ago"
