"""A program that fetches from a library server through the lease: here, and in processes of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import requests

from argosy.engine.sessions.login import PluginLogin
from argosy.errors import LoginFailed
from argosy.http.adapter import LeasedAdapter
from argosy.http.hop import PluginSigner
from argosy.http.session import AuthorizedSession, open_session
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead, SessionSigner
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Carriers, Policy
from argosy.models.session import Carrier, Signer
from argosy.toolkit.forms import parse_page
from argosy_devkit.client import LibraryServer
from argosy_devkit.contracts.store_processes import SESSION, StoreSpec, obey
from argosy_devkit.contracts.waiting import Thread
from mutants.carrier_auths import Digest

#: Seconds for connect, and for headers.
_TIMEOUT = (10.0, 60.0)


class LibraryLogin(Auth):
    """Logs in to a library server, and takes a 401 for a refusal."""

    name = "library-login"
    summary = "The login form of a library server"

    def login(self, session: LoginSession) -> None:
        """Fill in the form."""
        url = self.options["url"]
        (form,) = parse_page(session.http.get(url).text).forms
        known = {"user": self.options["user"], "password": self.options["password"]}
        answer = session.http.post(url, data={**dict(form.fields), **known})
        if answer.url.endswith("/login"):
            raise LoginFailed("The library server did not accept the login.")

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the status says so."""
        return response.status == 401


class HeaderLogin(LibraryLogin):
    """Logs in to a library server whose tokens are in header fields."""

    fields = ("access-token", "client", "uid")

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The three fields, which change as one."""
        home = (self.options["url"],)
        return tuple(
            Carrier(name, name, home, follows=self.fields[0] * (place > 0)) for place, name in enumerate(self.fields)
        )

    def login(self, session: LoginSession) -> None:
        """Send the user and the password as JSON."""
        account = {"user": self.options["user"], "password": self.options["password"]}
        answer = session.http.post(self.options["url"], json=account)
        for name in self.fields:
            session.add_header(name, answer.headers[name], [self.options["url"]])


class NonceLogin(LibraryLogin):
    """Takes the first nonce from a challenge, and the next ones from the answers."""

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The nonce."""
        home = (self.options["url"],)
        return (Carrier("nonce", "Authentication-Info", home, parameter="nextnonce", is_kept=True),)

    def login(self, session: LoginSession) -> None:
        """Ask for a challenge."""
        answer = session.http.get(self.options["url"].replace("/login", "/"))
        session.keep("nonce", answer.headers["WWW-Authenticate"].partition('nonce="')[2].partition('"')[0])

    def signer(self) -> SessionSigner:
        """Return what answers the nonce."""
        return Digest(self.options["user"], self.options["password"], self.options["url"])


@dataclass(frozen=True)
class ClientSpec:
    """What a process needs to fetch from a library server through the lease.

    Parameters
    ----------
    store
        Opens the store.
    url
        The server's URL.
    login
        The options of `LibraryLogin`.
    manager_class, adapter_class
        The manager and the adapter that are tried.
    policy
        What the manager may do.
    auth_class
        The auth plugin.
    """

    store: StoreSpec
    url: str
    login: Mapping[str, str]
    manager_class: type[SessionManager] = SessionManager
    adapter_class: type[LeasedAdapter] = LeasedAdapter
    policy: Policy = field(default_factory=Policy)
    auth_class: type[LibraryLogin] = LibraryLogin

    @classmethod
    def of(cls, store: StoreSpec, server: LibraryServer, **options: Any) -> ClientSpec:
        """Return the spec for a server."""
        login = {"url": server.login_url, "user": server.user, "password": server.password}
        return cls(store, server.url, login, **options)


class Client:
    """One program.

    Parameters
    ----------
    spec
        How it is made.
    store
        A store that is open already; the spec's where there is none.
    deadline
        Seconds for connect, send and headers of one request.
    """

    def __init__(self, spec: ClientSpec, store: CookieStore | None = None, deadline: float = 60.0) -> None:
        self.url = spec.url
        self._opened = spec.store.make() if store is None else None
        self.store = store or self._opened
        assert self.store is not None
        auth = spec.auth_class(spec.login, PluginContext())
        login = PluginLogin(auth, lambda: open_session(_TIMEOUT))
        policy, given = replace(spec.policy, carriers=Carriers(auth.carriers)), auth.signer()
        signer = None if given is None else PluginSigner(given, auth.name)
        if signer is not None:
            policy = replace(policy, signer=Signer.KEPT)
        self.manager = spec.manager_class(self.store, SESSION, policy, login=login)
        adapter = spec.adapter_class(self.manager, deadline=deadline)
        self.session = AuthorizedSession(adapter, auth.is_refusal, signer=signer)

    def close(self) -> None:
        """Close its connections, and the store where it opened it."""
        self.session.close()
        if self._opened is not None:
            self._opened.close()

    def get(self, path: str, **options: Any) -> requests.Response:
        """Send one request, as any program would; its body is unread."""
        return self.session.get(f"{self.url}{path}", stream=True, **options)

    def fetch(self, path: str, tries: int = 1) -> int:
        """Fetch something whole; return the number of bytes. What fails on its way is tried again under a new lease."""
        while True:
            tries -= 1
            try:
                response = self.get(path)
                size = len(response.content)
            except requests.RequestException:
                if tries == 0:
                    raise
            else:
                assert response.status_code == 200, f"the service answered with status {response.status_code}"
                return size

    def load(self, name: str, threads: int, each: int) -> None:
        """Fetch some files in each of some threads at once."""

        def work(thread: int) -> None:
            for number in range(each):
                size = self.fetch(f"/files/{name}-{thread}-{number}?size=2000", tries=3)
                assert size == 2000, f"{size} of 2000 bytes came"

        for running in [Thread(partial(work, thread)) for thread in range(threads)]:
            running.result()


def obey_client(spec: ClientSpec, pipe: Connection) -> None:
    """Do with a client what the orders say until the pipe is closed."""
    obey(_Hand(spec), pipe)


class _Hand:
    """The orders."""

    def __init__(self, spec: ClientSpec) -> None:
        self._client = Client(spec)

    def ready(self) -> None:
        """Do nothing, so that the answer says that the process is there."""

    def lease(self) -> None:
        """Take a lease, and send nothing."""
        self._client.manager.lease(f"{self._client.url}/files/a")

    def fetch(self, path: str) -> int:
        return self._client.fetch(path)

    def load(self, name: str, threads: str, each: str) -> None:
        self._client.load(name, int(threads), int(each))
