"""The sessions of one process, and which of them a request goes on.

A request goes on a session that is free; where none is, on the one that is expected to be free soonest. A
session that is lost is set aside, and the request is tried on another one. What happens there decides: if it is
accepted, the first session is not used any more; if it is refused on a session that is good, it is the request that is
refused. So a session that dies does not stop the others, and the run ends only when none is left.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter

from argosy.engine.sessions.eviction import EvictionDetector
from argosy.engine.sessions.http import PoolSession
from argosy.engine.sessions.login_all import Muster
from argosy.engine.sessions.pooled import PooledSession, Queues, SessionFactory, session_names, signer_of
from argosy.errors import SessionError, SessionLost, StorageError
from argosy.http.body import discard
from argosy.http.network import Network
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.login import LoginLimiter
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy, SessionCallbacks
from argosy.leasing.tokens import Tokens
from argosy.models.session import SessionRecord, Signer, Status
from argosy.ratelimit.limiter import RateLimiter

if TYPE_CHECKING:
    from argosy.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Share:
    """What the pool of a worker process is made of, beside the settings; fit to be pickled.

    Parameters
    ----------
    names
        The sessions that the run's own process has found usable.
    since
        When the run began, seconds since the epoch.
    """

    names: tuple[str, ...]
    since: float


def _kind_of(auth: Auth, signer: object) -> Signer:
    if signer is None:
        return Signer.NONE
    return Signer.STATELESS if auth.stateless_signer else Signer.STATEFUL


class SessionPool:
    """One or more sessions; making it logs nobody in and sends nothing.

    Parameters
    ----------
    settings
        The run's settings.
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
    share
        In a worker process, what the run's own process has found out; None in that one.
    allowance
        Says whether a session may be logged in; in a worker process, it asks the run.

    Raises
    ------
    ConfigError
        If the settings ask for another number of sessions than the auth plugin has to give.
    """

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
    ) -> None:
        self.requests = 0
        self._settings = settings
        self._auth = auth
        self._store = store
        self._callbacks = callbacks
        self._mutex = threading.Lock()
        self._queues = Queues(store, waits=settings.on_doubt == "wait")
        asked = session_names(settings, auth)
        self._since = share.since if share else time.time()
        # each session needs a first login; `max_logins` limits what comes on top of that without progress
        self.login_limit = login_limit or LoginLimiter(settings.max_logins + len(asked) - 1)
        self._rivals = EvictionDetector(store, asked, self._since)
        signer = signer_of(auth)
        kind = _kind_of(auth, signer)
        #: A signer whose state an answer may replace serves one request at a time, whatever its session.
        self._signing: contextlib.AbstractContextManager[object] = (
            threading.RLock()
            if kind is Signer.STATEFUL and self.lease is not LeaseMode.SHARED
            else contextlib.nullcontext()
        )
        factory = SessionFactory(
            settings,
            Policy(
                self.lease,
                settings.on_doubt,
                settings.doubt_wait,
                settings.max_logins,
                renewable=auth.can_login,
                tokens=Tokens.named(settings.token_cookies),
                signer=kind,
                remedy=auth.remedy,
            ),
            auth,
            store,
            is_refusal=is_refusal,
            callbacks=callbacks,
            rate_limiter=rate_limiter,
            network=network,
            login_limit=self.login_limit,
            may_renew=lambda record: not self._rivals.is_suspect(record),
            on_accepted=self._rivals.good,
            signer=signer,
        )
        self._members = [factory.member(name, number) for number, name in enumerate(asked, 1)]
        self._muster = Muster(self._members, store, can_login=auth.can_login)
        for member in self._members:
            if share is not None and member.name not in share.names:
                self._leave_out(member)
        #: For a source that expands an item; each request goes on a session of the pool.
        self.http: requests.Session = PoolSession(self.request, self.adapter, network)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sessions that can be used as far as is known."""
        return tuple(member.name for member in self._members if not member.retired)

    @property
    def managers(self) -> list[SessionManager]:
        """The managers of the sessions that can be used."""
        return [member.manager for member in self._members if not member.retired]

    @property
    def asked(self) -> int:
        """How many sessions were asked for."""
        return len(self._members)

    @property
    def share(self) -> Share:
        """What the pool of a worker process is made of."""
        return Share(self.names, self._since)

    @property
    def used(self) -> int:
        """How many sessions were used, or can be."""
        retired = {m for m in self._members if m.retired}
        with contextlib.suppress(StorageError):  # a report is written also where the store has failed
            retired |= {m for m in self._members if self._record(m).status is Status.RETIRED}
        return sum(m.served or m not in retired for m in self._members)

    @property
    def lease(self) -> LeaseMode:
        """The discipline that the sessions are kept by."""
        if self._auth.anonymous:
            return LeaseMode.SHARED  # nobody is logged in: there is no token to protect
        return LeaseMode(self._settings.lease)

    @property
    def logins(self) -> int:
        """The logins made from this process."""
        return sum(member.manager.logins for member in self._members)

    @property
    def refreshes(self) -> int:
        """How often a session was renewed without a login from this process."""
        return sum(member.manager.refreshes for member in self._members)

    @property
    def refusals(self) -> int:
        """The refusals that were seen in this process."""
        return sum(member.manager.refusals for member in self._members)

    def counts(self) -> dict[str, int]:
        """Return the figures of this process that a report adds up."""
        return {
            "requests": self.requests,
            "logins": self.logins,
            "refreshes": self.refreshes,
            "refusals": self.refusals,
        }

    def log_in(self) -> None:
        """Make sure that there are sessions; a pool that the service allows fewer of goes on with those.

        Raises
        ------
        SessionError
            If there is no session at all; with ``strict``, also if there are fewer than asked for.
        """
        if self._auth.anonymous:
            return
        problems = self._muster.begin()
        if problems and (self._settings.strict or len(problems) == len(self._members)):
            raise next(iter(problems.values()))
        for member in problems:
            self._leave_out(member)
        asked, given = len(self._members), len(self.names)
        for message in dict.fromkeys(map(str, problems.values())):
            self._callbacks.notice(
                f"The service gave {given} of the {asked} sessions asked for; the run goes on with {given}. ({message})"
            )

    def log_in_again(self, *, forget: bool = False) -> Iterator[tuple[str, SessionError | None]]:
        """Log every session in, whatever there is; yield the name of each, and what went wrong, if anything.

        Parameters
        ----------
        forget
            Whether to forget what was learned about the service, too.
        """
        return self._muster.again(forget=forget)

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        """Send an authorised GET; the body is unread."""
        return self.request("GET", url, stream=True, **kwargs)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send an authorised request on the session that is free soonest, as `requests.Session.request` does.

        Its redirects stay on that session. Where it is lost, the request is sent again on another one.

        Raises
        ------
        SessionError
            If no session is left.
        Refused
            If the service refuses this request although the session is good.
        """
        with self._mutex:
            self.requests += 1
        aside: dict[PooledSession, SessionError] = {}
        while True:
            member, ticket = self._take(aside)
            try:
                with member.manager.first_in_turn(), self._signing:
                    response = member.session.request(method, url, *args, **kwargs)
            except SessionError as error:
                aside[member] = error
                if not self._go_on(aside):
                    for other in aside.keys() - {member}:
                        self._retire(other, aside[other])
                    raise
            except BaseException:
                self._forgive(aside)
                raise
            else:
                if aside:
                    self._conclude(aside, member, response)
                return response
            finally:
                member.load.leave(ticket)

    def save(self) -> None:
        """Put the sessions on stable storage as they are; a worker that has one goes on meanwhile."""
        if not self._auth.anonymous:
            self._store.sync()

    def sync(self) -> None:
        """Put the sessions on stable storage, at the end of the run."""
        if not self._auth.anonymous:
            for manager in self.managers:
                manager.sync()

    def close(self) -> None:
        """Close the connections."""
        for member in self._members:
            member.session.close()

    # -- which session

    def _take(self, aside: Mapping[PooledSession, object]) -> tuple[PooledSession, object]:
        """Choose a session for a request, and put the request into its queue."""
        with self._mutex:
            usable = [m for m in self._members if not m.retired]
            # the last one may have been lost to another thread meanwhile: then one of ours says again why it is lost
            member = self._queues.soonest([m for m in usable if m not in aside] or usable)
            return member, self._queues.enter(member)

    def adapter(self, url: str) -> BaseAdapter:
        """Return what sends on the session that is free soonest."""
        with self._mutex:
            member = self._queues.soonest([m for m in self._members if not m.retired])
        return member.session.get_adapter(url)

    def _record(self, member: PooledSession) -> SessionRecord:
        return self._store.read(member.name) or SessionRecord(member.name)

    # -- what becomes of a session that was lost

    def _go_on(self, aside: dict[PooledSession, SessionError]) -> bool:
        """Return whether there is a session left to try; one that was only suspected may be the last hope."""
        if any(not m.retired and m not in aside for m in self._members):
            return True
        suspects = [m for m, error in aside.items() if hasattr(error, "rival")]
        for member in suspects:
            self._acquit(member)
            del aside[member]
        return bool(suspects)

    def _conclude(
        self, aside: Mapping[PooledSession, SessionError], good: PooledSession, response: requests.Response
    ) -> None:
        """Use no more what was refused something that another session was given."""
        for member, error in aside.items():
            rival: int | None = getattr(error, "rival", None)
            if rival is None:
                self._retire(member, error)
            elif (
                self._rivals.logged_in(good.name) > error.at  # type: ignore[attr-defined]  # a field of the error
                and not self._rivals.was_excused(member.name)
            ):
                self._acquit(member)  # the other one had to log in as well: they ended together
            elif self._settings.strict:
                discard(response)
                raise SessionLost(
                    f"The service ended the session {member.name!r} when another one logged in: it gives fewer than "
                    f"the {len(self._members)} sessions asked for.",
                    hint='Ask for fewer "sessions", or leave out "strict".',
                )
            else:
                member.manager.retire(rival)
                self._retire(member, error)

    def _retire(self, member: PooledSession, error: SessionError) -> None:
        with self._mutex:
            if member.retired or len(self.names) == 1:  # somebody was faster; and the last one stays
                return
            self._leave_out(member)
        if not hasattr(error, "told"):
            self._callbacks.notice(f"The run goes on without the session {member.name!r}: {error}")

    def _forgive(self, aside: Mapping[PooledSession, SessionError]) -> None:
        """Let sessions be tried again that one refusal alone speaks against: nothing was found out about it."""
        for member, error in aside.items():
            if hasattr(error, "unsure"):
                member.manager.forgive()

    def _acquit(self, member: PooledSession) -> None:
        """Let a session be logged in again that did not end because another one logged in."""
        self._rivals.excuse(self._record(member))
        member.manager.forgive()

    def _leave_out(self, member: PooledSession) -> None:
        member.retired = True
        self._rivals.drop(member.name)
