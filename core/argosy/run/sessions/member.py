"""One session of a pool, and what makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from argosy.contracts import Auth, CookieStore, ResponseHead
from argosy.errors import ConfigError, PluginError
from argosy.mistakes import mistake
from argosy.pacing import Pacer
from argosy.session.allowance import Allowance
from argosy.session.keeper import SessionKeeper
from argosy.session.login import PluginLogin
from argosy.session.policy import Policy, Watch
from argosy.session.record import SessionRecord
from argosy.transport.bounds import BodyLimits
from argosy.transport.load import Load
from argosy.transport.network import Network
from argosy.transport.scratch import open_session
from argosy.transport.sending import Reuse
from argosy.transport.session import AuthorizedSession, LoginDoubts
from argosy.transport.signing import PluginSigner

if TYPE_CHECKING:
    from argosy.config.settings import Settings

#: Sessions that a configuration can ask for, at most.
MOST_SESSIONS = 64


class Member:
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

    def __init__(self, keeper: SessionKeeper, session: AuthorizedSession, load: Load) -> None:
        self.keeper = keeper
        self.session = session
        self.load = load
        self.turn = 0  # raised with each request it gets, so that all free sessions have their turn
        self.served = False  # whether a request was accepted on it
        self.retired = False  # whether it is used no more

    @property
    def name(self) -> str:
        """Its name in the cookie store."""
        return self.keeper.session


class Recruiter:
    """Makes the sessions of a pool; they have the login, the bound on logins and the pace in common.

    Parameters
    ----------
    settings
        The run's settings.
    policy
        What the keepers may do.
    auth, store
        The plugins that log in and keep the sessions.
    is_refusal
        The auth plugin's judgement.
    watch
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
        watch: Watch,
        pacer: Pacer,
        network: Network,
        allowance: Allowance,
        may_renew: Callable[[SessionRecord], bool],
        on_accepted: Callable[[str, float, int], None],
        signer: PluginSigner | None,
    ) -> None:
        self._signer = signer
        self._timeout = settings.timeout
        self._plugin_timeout = settings.plugin_timeout
        self._body_limits = BodyLimits(
            settings.timeout.total, settings.low_speed_limit, settings.timeout.read
        )
        self._network = network
        self._policy = policy
        self._auth = auth
        self._store = store
        self._is_refusal = is_refusal
        self._watch = watch
        self._pacer = pacer
        self._allowance = allowance
        self._may_renew = may_renew
        self._on_accepted = on_accepted
        self._doubts = LoginDoubts()
        self._reuse = Reuse()

    def member(self, name: str, number: int) -> Member:
        """Return the session of this name, the so manieth of its pool (from 1)."""
        timeout, load, network = self._timeout, Load(), self._network
        login = PluginLogin(
            self._auth,
            lambda: open_session((timeout.connect, timeout.headers), number, network),
            self._plugin_timeout,
        )
        keeper = SessionKeeper(
            self._store,
            name,
            self._policy,
            login=None if self._auth.anonymous else login,
            watch=self._watch,
            allowance=self._allowance,
            may_renew=self._may_renew,
        )

        def accepted(sent_at: float, logins: int) -> None:
            member.served = True
            self._on_accepted(name, sent_at, logins)

        session = AuthorizedSession(
            keeper,
            self._is_refusal,
            pacer=self._pacer,
            timeout=(timeout.connect, timeout.headers, timeout.read),
            load=load,
            doubts=self._doubts,
            on_accepted=accepted,
            network=network,
            signer=self._signer,
            reuse=self._reuse,
            body_limits=self._body_limits,
        )
        member = Member(keeper, session, load)
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
            f"The auth plugin {auth.name!r} failed while it made its signer: {mistake(error, auth)}.",
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
