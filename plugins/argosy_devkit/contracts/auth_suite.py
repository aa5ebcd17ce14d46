"""What the suite for auth plugins is made with: a service that asks who you are, and what the core does with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from argosy.config.schema import default_options
from argosy.engine.sessions.login import PluginLogin
from argosy.http.session import open_session
from argosy.interfaces.auth import Auth, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.leasing.login import Credentials, NewSession
from argosy.models.session import SessionRecord, header_fields
from argosy_devkit.client import LibraryServer, ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginSuite, make_plugin
from argosy_devkit.contracts.promises import relying_on

#: Seconds to connect to the service of a test, and for each answer.
TIMEOUT = (10.0, 30.0)
#: How much of a page an auth plugin is shown.
START = 64 * 1024

LOGIN = "argosy.Auth.login (docs/plugins/contracts.md)"


@dataclass
class Door:
    """An auth plugin at the door of a service, called as the core calls it.

    Parameters
    ----------
    auth
        The plugin.
    secrets
        What it has told to keep out of everything that is shown.
    """

    auth: Auth
    secrets: list[str] = field(default_factory=list)

    def login(self) -> PluginLogin:
        """Return what the core logs in with."""
        return PluginLogin(self.auth, lambda: open_session(TIMEOUT))

    def granted(self, before: SessionRecord | None = None) -> Credentials:
        """Log in, in the place of a session that there was; what is due at once is renewed at once."""
        login = self.login()
        granted = login.log_in(before or SessionRecord("default"))
        if 0 < granted.due <= time.time() and login.can_refresh(record_of(granted)):
            granted = self.refresh(granted)
        return granted

    def logged_in(self) -> Credentials:
        """Log in, where the test is about something else."""
        with relying_on("login() makes a session that the service accepts.", LOGIN, "login()"):
            return self.granted()

    def refresh(self, granted: Credentials) -> Credentials:
        """Renew a session that was just logged in."""
        return self.login().refresh(record_of(granted), lambda cookies: None)

    def log_out(self, granted: Credentials) -> bool:
        """End a session at the service; return whether that is offered."""
        return self.login().log_out(record_of(granted), lambda cookies: None)

    def get(self, url: str, granted: Credentials | None = None, signed: bool = True) -> ResponseHead:
        """Ask for a URL with what a login gave, or as nobody; return what the plugin sees of the answer."""
        session: NewSession = open_session(TIMEOUT)
        session.cookies = granted.cookies if granted else ()
        headers = header_fields(granted.headers, url) if granted else {}
        signer = self.auth.signer() if signed and granted is not None else None
        with session.http.get(url, headers=headers, auth=signer, timeout=TIMEOUT) as response:
            return head_of(url, response)


def head_of(url: str, response: requests.Response) -> ResponseHead:
    """Return what an auth plugin sees of a response."""
    page = "html" in response.headers.get("Content-Type", "")
    start = response.content[:START] if page else b""
    accept = str(response.request.headers.get("Accept", "*/*"))
    return ResponseHead(url, response.url, response.status_code, response.headers, start, accept)


def record_of(granted: Credentials) -> SessionRecord:
    """Return the record of a session that was just logged in."""
    return SessionRecord(
        "default",
        1,
        granted.cookies,
        headers=granted.headers,
        credentials=dict(granted.credentials),
        logins=1,
    )


class AuthSuite(PluginSuite):
    """An auth plugin is made anew for each test, at a service of its own."""

    plugin: ClassVar[type[Auth]]
    documented: ClassVar[str] = "argosy.Auth (docs/plugins/contracts.md)"

    @pytest.fixture
    def service(self, library_server: ServerFactory) -> Any:
        """Start the service; a library server with a login form, unless you override it.

        Whatever it is, `options_for`, `protected` and `secrets` get it.
        """
        return library_server(discipline="strict")

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Return options with which the plugin can log in at the service."""
        return {}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any] | None:
        """Return options that the service does not accept; None where there is no such thing."""
        return None

    def protected(self, service: Any) -> str:
        """Return a URL of the service that only somebody who is logged in can have."""
        return str(service.url_for("/files/a.bin?size=3000"))

    def counted(self, service: Any) -> tuple[int, int] | None:
        """Return how many logins, and how many tokens that it had replaced, the service has received by now.

        None where it does not count. A library server does; for any other service, override this.
        """
        if not isinstance(service, LibraryServer):
            return None
        stats = service.stats()
        return stats.logins, stats.replaced_tokens_sent

    def secrets(self, service: Any) -> list[str]:
        """Return the secrets that the options lead to: none of them may be shown."""
        return [service.password]

    @pytest.fixture
    def given(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Return the options with the schema's defaults."""
        return {**default_options(self.plugin.options_schema), **self.options_for(service, tmp_path)}

    @pytest.fixture
    def door(self, given: Mapping[str, Any], tmp_path: Path) -> Any:
        """Make the plugin."""
        yield from self.make(given, tmp_path)

    def make(self, options: Mapping[str, Any], tmp_path: Path) -> Iterator[Door]:
        """Make the plugin with other options; it is closed at the end of the loop."""
        library = tmp_path / "library"
        library.mkdir(exist_ok=True)
        secrets: list[str] = []
        whole = {**default_options(self.plugin.options_schema), **options}
        auth = make_plugin(self.plugin, whole, PluginContext(tmp_path, library, on_secret=secrets.append))
        yield Door(auth, secrets)
        auth.close()

    def needs_login(self) -> None:
        """Skip the test where nobody is logged in."""
        if self.plugin.anonymous:
            pytest.skip(f"{self.plugin.name} logs nobody in")
