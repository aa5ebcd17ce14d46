"""The sessions on which a run sends its requests: one, or a pool of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from requests.adapters import BaseAdapter

from argosy.engine.sessions.login import PluginLogin
from argosy.errors import ConfigError, LoginFailed, SessionError, StorageError, TransferError
from argosy.http.adapter import LeasedAdapter
from argosy.http.body import BodyLimits
from argosy.http.hop import PluginSigner
from argosy.http.session import AuthorizedSession, Network, PlainSession, open_session
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.cookie_store import CookieStore
from argosy.interfaces.transport import Transport
from argosy.leasing.login import LoginLimiter
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Carriers, LeaseMode, Policy, SessionCallbacks, Tokens
from argosy.models.session import SessionRecord, Signer, Status
from argosy.ratelimit.limiter import RateLimiter
from argosy.toolkit.failures import blame

if TYPE_CHECKING:
    from argosy.config.settings import Settings


class Share(NamedTuple):
    """What a worker process needs to know about the run's sessions besides the settings."""

    names: tuple[str, ...]  # of the usable sessions
    since: float  # when the run began, in seconds since the epoch


@dataclass(slots=True, eq=False)
class OpenSession:
    """One session of this process."""

    manager: SessionManager
    http: AuthorizedSession
    turn: int = 0  # the number of the last request it was given
    in_flight: list[int] = field(default_factory=list)  # the numbers of its requests, oldest first
    served: bool = False  # whether a request was accepted on it
    retired: bool = False  # whether the run has stopped using it

    @property
    def name(self) -> str:
        """Its name in the cookie store."""
        return self.manager.session


class _PluginSession(PlainSession):
    """A requests session for plugins, with its own headers: its requests go through a provider."""

    def __init__(self, provider: SessionProvider, network: Network) -> None:
        super().__init__(network)
        self._provider = provider

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request as `requests.Session.request` does."""
        if len(args) < 3:  # the third argument after the URL is the headers
            kwargs["headers"] = {**self.headers, **(kwargs.get("headers") or {})}
        return self._provider.request(method, url, *args, **kwargs)

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """Return what sends a prepared request: under a lease, but its response is not judged."""
        return self._provider.next_session().http.get_adapter(str(url))


class SessionProvider:
    """One session; `argosy.engine.sessions.pool.SessionPool` has several. Making it sends nothing."""

    def __init__(
        self,
        settings: Settings,
        auth: Auth,
        store: CookieStore,
        *,
        is_refusal: Callable[[ResponseHead], bool],
        callbacks: SessionCallbacks,
        rate_limiter: RateLimiter,
        network: Network = Network(),
        share: Share | None = None,
        login_limit: LoginLimiter | None = None,
        transport: Transport | None = None,
    ) -> None:
        names = session_names(settings, auth)
        #: How many sessions were asked for.
        self.asked = len(names)
        #: The lease mode of the sessions; without a login there is no token to protect.
        self.lease = LeaseMode.SHARED if auth.anonymous else LeaseMode(settings.lease)
        self.requests = 0
        self._settings = settings
        self._auth = auth
        self._store = store
        self._callbacks = callbacks
        self._mutex = threading.RLock()
        self._since = share.since if share else time.time()
        # each session needs a first login; `max_logins` limits more logins without progress
        self.login_limit = login_limit or LoginLimiter(settings.max_logins + self.asked - 1)
        (signer, carriers), kind = _signing_of(auth), Signer.NONE
        if carriers.in_bodies and self.lease is not LeaseMode.EXCLUSIVE_TO_END:
            raise ConfigError(
                f"The auth {auth.name!r} takes new tokens from the bodies of responses, which need a longer lease.",
                hint='Set "lease" to "exclusive-to-end".',
            )
        if signer is not None and signer.proves:
            stateful = Signer.KEPT if any(carrier.is_kept for carrier in carriers.all) else Signer.STATEFUL
            kind = Signer.STATELESS if auth.stateless_signer else stateful
        # a signer whose state a response may replace serves one request at a time over all sessions
        is_serial = kind is Signer.STATEFUL and self.lease is not LeaseMode.SHARED
        self._signing = threading.RLock() if is_serial else contextlib.nullcontext()
        policy = Policy(
            self.lease,
            settings.on_doubt,
            settings.doubt_wait,
            settings.doubt_within,
            settings.max_logins,
            renewable=auth.can_login,
            tokens=Tokens() if auth.anonymous else Tokens.named(settings.token_cookies),
            carriers=carriers,
            signer=kind,
            remedy=auth.remedy,
        )
        timeout, doubts = settings.timeout, threading.Event()

        def opened(name: str, number: int) -> OpenSession:
            waits = (timeout.connect, timeout.headers)
            login = PluginLogin(auth, lambda: open_session(waits, number, network, transport))
            manager = SessionManager(
                store,
                name,
                policy,
                login=None if auth.anonymous else login,
                callbacks=callbacks,
                login_limit=self.login_limit,
                may_renew=self._may_renew,
            )
            adapter = LeasedAdapter(manager, deadline=timeout.headers, rate_limiter=rate_limiter, transport=transport)
            adapter.body_limits = BodyLimits(timeout.total, settings.low_speed_limit, timeout.read)
            http = AuthorizedSession(
                adapter,
                is_refusal,
                timeout=(timeout.connect, timeout.read),
                doubts=doubts,
                on_accepted=lambda sent_at, logins: self._accepted(session, sent_at, logins),
                network=network,
                signer=signer,
            )
            session = OpenSession(manager, http)
            return session

        self._sessions = [opened(name, number) for number, name in enumerate(names, 1)]
        #: For a source that expands an item.
        self.http: requests.Session = _PluginSession(self, network)

    # -- requests

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        """Send an authorized GET, or a POST of `data`; the response's body is unread."""
        return self.request("POST" if "data" in kwargs else "GET", url, stream=True, **kwargs)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send an authorized request as `requests.Session.request` does; raise `SessionError` if no session is left."""
        with self._mutex:
            self.requests += 1
        return self._deliver(method, url, *args, **kwargs)

    def next_session(self) -> OpenSession:
        """Return the session for the next request."""
        return self._sessions[0]

    def _deliver(self, *args: Any, **kwargs: Any) -> requests.Response:
        return self._send(self._sessions[0], *args, **kwargs)

    def _send(self, session: OpenSession, *args: Any, **kwargs: Any) -> requests.Response:
        with session.manager.first_in_turn(), self._signing:
            return session.http.request(*args, **kwargs)

    def _accepted(self, session: OpenSession, sent_at: float, logins: int) -> None:
        session.served = True

    def _may_renew(self, record: SessionRecord) -> bool:
        return True

    # -- logging in and saving

    def log_in(self) -> None:
        """Log in the sessions without a login; continue with fewer sessions if the service does not allow more.

        After one refused login, no more are tried. If the service is out of reach, one usable session is enough.
        """
        if self._auth.anonymous:
            return
        problems: dict[OpenSession, SessionError] = {}
        failure: LoginFailed | TransferError | None = None  # that the next login would have, too
        for session in self._sessions:
            try:
                if failure is not None and not self._record(session).is_usable:
                    raise failure
                self._ensure(session)
            except SessionError as error:
                problems[session] = error
                failure = failure or self._refusal(error)
            except TransferError as error:
                failure = error
        if isinstance(failure, TransferError) and not any(self._record(s).is_usable for s in self._sessions):
            raise failure
        given = self.asked - len(problems)
        if problems and (self._settings.strict or not given):
            raise next(iter(problems.values()))
        for session in problems:
            self._leave_out(session)
        for message in dict.fromkeys(map(str, problems.values())):
            self._callbacks.notice(f"The run uses {given} of the {self.asked} sessions asked for: {message}")

    def log_in_again(self, *, forget: bool = False) -> Iterator[tuple[str, SessionError | None]]:
        """Log every session in; yield its name, and its error or None. `forget` drops the facts about the service."""
        refused: LoginFailed | None = None
        for session in self._sessions:
            problem: SessionError | None = refused
            if refused is None:
                try:
                    session.manager.login(forget=forget)
                    session.manager.sync()
                except SessionError as error:
                    problem, refused = error, self._refusal(error)
            yield session.name, problem

    def save(self) -> None:
        """Put the sessions on stable storage as they are, while workers continue."""
        if not self._auth.anonymous:
            self._store.sync()

    def sync(self) -> None:
        """Put the sessions on stable storage at the end of the run."""
        for manager in () if self._auth.anonymous else self.managers:
            manager.sync()

    def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            session.http.close()

    def _ensure(self, session: OpenSession) -> None:
        if self._record(session).status is Status.RETIRED:
            first = self._sessions[0].name
            records = [self._store.read(name) for name in self._store.sessions() if name.startswith(first)]
            # the service gives at least as many sessions as are asked for now
            if self.asked <= sum(record is not None and record.is_usable for record in records):
                session.manager.login("fewer sessions are asked for")
        session.manager.ensure()
        wanted, agent = self._settings.user_agent, self._record(session).user_agent
        if wanted and agent not in ("", wanted):
            text = f"The session {session.name!r} keeps the User-Agent of its login: {agent!r}"
            self._callbacks.notice(f'{text}. To use the new "user_agent": argosy login CONFIG')

    def _refusal(self, error: SessionError) -> LoginFailed | None:
        """Return the error if the service would refuse the next login, too; imported jars are independent."""
        return error if isinstance(error, LoginFailed) and self._auth.can_login else None

    def _leave_out(self, session: OpenSession) -> None:
        session.retired = True

    def _record(self, session: OpenSession) -> SessionRecord:
        return self._store.read(session.name) or SessionRecord(session.name)

    # -- facts

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sessions that are usable, as far as this process knows."""
        return tuple(manager.session for manager in self.managers)

    @property
    def managers(self) -> list[SessionManager]:
        """The managers of the usable sessions."""
        return [session.manager for session in self._sessions if not session.retired]

    @property
    def used(self) -> int:
        """How many sessions were used or are usable."""
        used = [session for session in self._sessions if session.served or not session.retired]
        with contextlib.suppress(StorageError):  # a report is written even if the store has failed
            return sum(one.served or self._record(one).status is not Status.RETIRED for one in used)
        return len(used)

    @property
    def share(self) -> Share:
        """The facts for a worker process."""
        return Share(self.names, self._since)

    def in_force(self) -> tuple[str, str | None]:
        """Return the lease mode in force and, unless it is as configured, the reason; exclusive if any session is."""
        if self.lease is not LeaseMode.AUTO:
            used = self.lease.value
            return used, None if used == self._settings.lease else "no one is logged in"
        try:
            mode, reason = min(manager.in_force() for manager in self.managers)  # "exclusive" before "shared"
        except StorageError:  # the run reports it
            return LeaseMode.EXCLUSIVE.value, "the cookie store failed"
        return mode.value, reason

    def counts(self) -> dict[str, int]:
        """Return the figures of this process that a report adds up."""
        managers = [session.manager for session in self._sessions]
        names = ("logins", "refreshes", "refusals")
        figures = {name: sum(getattr(manager, name) for manager in managers) for name in names}
        return {"requests": self.requests, **figures}


def open_sessions(settings: Settings, auth: Auth, store: CookieStore, **options: Any) -> SessionProvider:
    """Return the provider for the settings; the options are those of `SessionProvider`."""
    if len(session_names(settings, auth)) == 1:
        return SessionProvider(settings, auth, store, **options)
    from argosy.engine.sessions.pool import SessionPool

    return SessionPool(settings, auth, store, **options)


def _signing_of(auth: Auth) -> tuple[PluginSigner | None, Carriers]:
    """Return the signer of an auth plugin's requests, and what responses may replace besides cookies."""
    try:
        signer, carriers = auth.signer(), Carriers(tuple(auth.carriers))
    except (Exception, SystemExit) as error:
        raise blame(error, [auth]) or error from None
    return None if signer is None else PluginSigner(signer, auth.name), carriers


def session_names(settings: Settings, auth: Auth) -> tuple[str, ...]:
    """Return the names in the cookie store of the sessions that the settings ask for."""
    asked, brought = settings.sessions, auth.session_count
    if asked is not None and brought is not None and asked != brought:
        hint = f'Leave "sessions" out, or give {auth.name!r} as many.'
        raise ConfigError(f'"sessions" asks for {asked}, but the auth {auth.name!r} has {brought}.', hint=hint)
    first = settings.session
    if settings.shard is not None:
        first = first.replace("{shard}", str(settings.shard.number))
    elif "{" in first and not auth.anonymous:
        hint = 'Set "shard" to "1/3", for example; a download also takes --shard 1/3.'
        raise ConfigError(f"The session {first!r} needs a shard.", hint=hint)
    count = 1 if auth.anonymous else asked or brought or 1
    return (first, *(f"{first}-{number}" for number in range(2, count + 1)))
