"""Which session is free soonest.

One session of a pool, and what makes it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from argosy.engine.sessions.login import PluginLogin
from argosy.errors import ConfigError, PluginError
from argosy.http.connections import Reuse
from argosy.http.limits import BodyLimits
from argosy.http.load import Load
from argosy.http.network import Network
from argosy.http.session import AuthorizedSession, LoginDoubts, open_session
from argosy.http.signing import PluginSigner
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.leasing.login import LoginLimiter
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy, SessionCallbacks
from argosy.models.session import SessionRecord, Status
from argosy.ratelimit.limiter import RateLimiter
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.processes import has_ended, is_this_process

if TYPE_CHECKING:
    from argosy.config.settings import Settings

#: Seconds that a request is expected to hold a session, before any has.
USUAL = 1.0


class Queues:
    """The queues for the sessions of a pool; its user lets one thread at a time in.

    The requests of this process are known one by one. Of those of other processes, the store knows the one
    that has a session just now; how many wait behind it nobody knows.

    Parameters
    ----------
    store
        Keeps the sessions' records.
    waits
        Whether a session in doubt is to rest for a while before it is used again.
    """

    def __init__(self, store: CookieStore, *, waits: bool) -> None:
        self._store = store
        self._looks = waits or store.scope is not Scope.PROCESS
        self._turns = itertools.count(1)

    def enter(self, member: PooledSession) -> object:
        """Put a request into the queue for a session; return what takes it out of the session's load."""
        member.turn = next(self._turns)
        return member.load.enter()

    def soonest(self, members: Iterable[PooledSession]) -> PooledSession:
        """Return a session that is free, the one that has not been used for longest; else the one free soonest."""
        waiting = sorted(members, key=lambda m: m.turn)
        best, shortest = waiting[0], float("inf")
        if len(waiting) == 1:
            return best
        means = [m.load.mean for m in waiting if m.load.mean is not None]
        usual = sum(means) / len(means) if means else USUAL
        for member in waiting:
            left = member.load.free_in(usual) if member.load.queue else self._marked(member, usual)
            if left <= 0:
                return member
            if left < shortest:
                best, shortest = member, left
        return best

    def _marked(self, member: PooledSession, usual: float) -> float:
        """Return the seconds until a session that nobody of this process uses is expected to be free."""
        record = self._store.read(member.name) if self._looks else None
        if record is None or record.status is not Status.IN_FLIGHT or record.holder is None:
            return 0.0
        if is_this_process(record.holder) or has_ended(record.holder):
            return member.manager.doubt_left()  # a mark that was left behind: the session is in doubt
        return member.load.rest(time.time() - record.holder.since, usual)


#: Sessions that a configuration can ask for, at most.
MOST_SESSIONS = 64


class PooledSession:
    """One session of a pool.

    Parameters
    ----------
    keeper
        Its keeper.
    session
        Sends requests on it.
    load
        How busy it is.
    """

    def __init__(self, manager: SessionManager, session: AuthorizedSession, load: Load) -> None:
        self.manager = manager
        self.session = session
        self.load = load
        self.turn = 0  # raised with each request it gets, so that all free sessions have their turn
        self.served = False  # whether a request was accepted on it
        self.retired = False  # whether it is used no more

    @property
    def name(self) -> str:
        """Its name in the cookie store."""
        return self.manager.session


class SessionFactory:
    """Makes the sessions of a pool; they have the login, the bound on logins and the pace in common.

    Parameters
    ----------
    settings
        The run's settings.
    policy
        What the managers may do.
    auth, store
        The plugins that log in and keep the sessions.
    is_refusal
        The auth plugin's judgement.
    callbacks
        Who is told what happens.
    pacer
        Spaces requests to a host.
    network
        How all of them reach the service.
    allowance
        Says whether a session may be logged in.
    may_renew
        Says whether a session that the service ended may be logged in again.
    on_accepted
        Called for each request that was accepted: with the session's name, the time at which it was sent, and the
        session's count of logins then.
    signer
        Adds to each request something that is computed of it.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        auth: Auth,
        store: CookieStore,
        *,
        is_refusal: Callable[[ResponseHead], bool],
        callbacks: SessionCallbacks,
        rate_limiter: RateLimiter,
        network: Network,
        login_limit: LoginLimiter,
        may_renew: Callable[[SessionRecord], bool],
        on_accepted: Callable[[str, float, int], None],
        signer: PluginSigner | None,
    ) -> None:
        self._signer = signer
        self._timeout = settings.timeout
        self._body_limits = BodyLimits(
            settings.timeout.total, settings.low_speed_limit, settings.timeout.read
        )
        self._network = network
        self._policy = policy
        self._auth = auth
        self._store = store
        self._is_refusal = is_refusal
        self._callbacks = callbacks
        self._pacer = rate_limiter
        self._allowance = login_limit
        self._may_renew = may_renew
        self._on_accepted = on_accepted
        self._doubts = LoginDoubts()
        self._reuse = Reuse()

    def member(self, name: str, number: int) -> PooledSession:
        """Return the session of this name, the so manieth of its pool (from 1)."""
        timeout, load, network = self._timeout, Load(), self._network
        login = PluginLogin(
            self._auth,
            lambda: open_session((timeout.connect, timeout.headers), number, network),
        )
        manager = SessionManager(
            self._store,
            name,
            self._policy,
            login=None if self._auth.anonymous else login,
            callbacks=self._callbacks,
            login_limit=self._allowance,
            may_renew=self._may_renew,
        )

        def accepted(sent_at: float, logins: int) -> None:
            member.served = True
            self._on_accepted(name, sent_at, logins)

        session = AuthorizedSession(
            manager,
            self._is_refusal,
            rate_limiter=self._pacer,
            timeout=(timeout.connect, timeout.headers, timeout.read),
            load=load,
            doubts=self._doubts,
            on_accepted=accepted,
            network=network,
            signer=self._signer,
            reuse=self._reuse,
            body_limits=self._body_limits,
        )
        member = PooledSession(manager, session, load)
        return member


def signer_of(auth: Auth) -> PluginSigner | None:
    """Return what an auth plugin adds to each request.

    Raises
    ------
    PluginError
        If it fails, or gives something else.
    """
    try:
        signer: object = auth.signer()  # a plugin may give anything
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The auth plugin {auth.name!r} failed while it made its signer: {describe_exception(error, auth)}.",
            hint="Report it to the plugin's author.",
            plugin=auth.name,
        ) from None
    if signer is None:
        return None
    if isinstance(signer, AuthBase):
        return PluginSigner(signer, auth.name)
    raise PluginError(
        f"The auth plugin {auth.name!r} gave a signer of type {type(signer).__name__}; it should be a "
        "requests.auth.AuthBase, or None.",
        hint="Report it to the plugin's author.",
        plugin=auth.name,
    )


def session_names(settings: Settings, auth: Auth) -> tuple[str, ...]:
    """Return the names in the cookie store of the sessions that are asked for.

    Raises
    ------
    ConfigError
        If the settings ask for another number of sessions than the auth plugin has to give.
    """
    first, asked = settings.session, settings.sessions
    brought: object = auth.session_count  # a plugin may give anything
    if brought is not None and not (isinstance(brought, int) and brought >= 1):
        raise PluginError(
            f"The auth plugin {auth.name!r} says that it has {brought!r} sessions; it should be a number from 1.",
            hint="Report it to the plugin's author.",
            plugin=auth.name,
        )
    if asked is not None and brought is not None and asked != brought:
        raise ConfigError(
            f'"sessions" asks for {asked}, and the auth {auth.name!r} is given {brought}.',
            hint=f'Leave "sessions" out, or give {auth.name!r} as many as it says.',
        )
    count = 1 if auth.anonymous else asked or brought or 1
    return tuple(name_of(first, number) for number in range(1, count + 1))


def name_of(first: str, number: int) -> str:
    """Return the name of the so manieth session (from 1) of a pool, by the name of its first one."""
    return first if number == 1 else f"{first}-{number}"
