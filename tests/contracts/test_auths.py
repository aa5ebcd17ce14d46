"""The built-in auth plugins keep to their contract, each at a service of its kind."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from argosy.interfaces import Auth, PluginContext
from argosy_devkit import ServerFactory, body_of
from argosy_devkit.contracts.auth import AuthContract, Client
from argosy_plugins.auth.basic import BasicAuth
from argosy_plugins.auth.bearer import BearerAuth
from argosy_plugins.auth.cookies import CookieImport
from argosy_plugins.auth.digest import DigestAuth
from argosy_plugins.auth.form_login import FormLogin
from argosy_plugins.auth.json_login import JsonLogin
from argosy_plugins.auth.none import NoAuth
from argosy_plugins.auth.oauth2 import OAuth2Auth
from mutants.carrier_auths import BodyAuth, CsrfAuth, HeaderAuth, NonceAuth
from servers import rules
from servers.http_auth import PASSWORD, TOKEN, USER, HttpAuthServer
from servers.oauth_server import SECRET, OAuthServer
from servers.service import Service, start


def secret(tmp_path: Path, value: str) -> dict[str, str]:
    """Put a secret into a file."""
    name = f"secret-{len(list(tmp_path.iterdir()))}"
    (tmp_path / name).write_text(value, "utf-8")
    return {"file": name}


class TestNone(AuthContract):
    plugin = NoAuth

    @pytest.fixture
    def service(self, library_server: ServerFactory) -> Any:
        return library_server(lease_mode="open")


class TestFormLogin(AuthContract):
    plugin = FormLogin

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        fields = {"user": service.user, "password": secret(tmp_path, service.password)}
        return {"url": service.login_url, "fields": fields}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        fields = {"user": service.user, "password": secret(tmp_path, "not-the-password")}
        return {"url": service.login_url, "fields": fields}


class TestCookies(AuthContract):
    plugin = CookieImport

    @pytest.fixture
    def service(self, library_server: ServerFactory) -> Any:
        return library_server(lease_mode="static")

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        fields = {"user": service.user, "password": secret(tmp_path, service.password)}
        browser = Client(FormLogin({"url": service.login_url, "fields": fields}, PluginContext(base=tmp_path)))
        lines = [f"{c.domain}\tFALSE\t/\tFALSE\t4102444800\t{c.name}\t{c.value}" for c in browser.log_in().http.cookies]
        (tmp_path / "jar.txt").write_text("\n".join(["# Netscape HTTP Cookie File", *lines, ""]))
        return {"path": "jar.txt"}

    def secrets(self, service: Any) -> list[str]:
        return []


class OfHttp(AuthContract):
    """At a service made with Flask-HTTPAuth."""

    @pytest.fixture
    def service(self) -> Iterator[HttpAuthServer]:
        with HttpAuthServer() as server:
            yield server

    def protected(self, service: Any) -> str:
        return f"{service.url}/{self.plugin.name}/1"

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        password = secret(tmp_path, PASSWORD)
        return {
            "origins": [service.url],
            "user": USER,
            "password": password,
            "check": self.protected(service),
        }

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any] | None:
        return {**self.options_for(service, tmp_path), "password": secret(tmp_path, "not-the-password")}

    def item(self, service: Any, number: int) -> str:
        return f"{service.url}/{self.plugin.name}/{number}"

    def is_right(self, service: Any, number: int, content: bytes) -> bool:
        return bool(content == service.body(number))

    def counted(self, service: Any) -> tuple[int, int]:
        return 0, service.seen["replaced"]  # these schemes have no logins

    def secrets(self, service: Any) -> list[str]:
        return [PASSWORD]


class TestBasic(OfHttp):
    plugin = BasicAuth


class TestDigest(OfHttp):
    plugin = DigestAuth


class TestBearer(OfHttp):
    plugin = BearerAuth

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {"origins": [service.url], "token": secret(tmp_path, TOKEN)}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any] | None:
        return None  # it sends nothing at its login

    def secrets(self, service: Any) -> list[str]:
        return [TOKEN]


class TestOAuth2(AuthContract):
    plugin = OAuth2Auth

    @pytest.fixture
    def service(self) -> Iterator[OAuthServer]:
        with OAuthServer() as server:
            yield server

    def protected(self, service: Any) -> str:
        return f"{service.url}/files/1"

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {
            "grant": "refresh_token",
            "issuer": service.url,
            "client_id": "argosy",
            "client_secret": secret(tmp_path, SECRET),
            "refresh_token": secret(tmp_path, service.first_token()),
            "origins": [service.url],
        }

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {**self.options_for(service, tmp_path), "refresh_token": secret(tmp_path, "not-the-token")}

    def item(self, service: Any, number: int) -> str:
        return f"{service.url}/files/{number}"

    def is_right(self, service: Any, number: int, content: bytes) -> bool:
        return bool(content == service.body(number))

    def counted(self, service: Any) -> tuple[int, int]:
        return sum(n for name, n in service.seen.items() if name.startswith("token:")), service.seen["reused"]

    def secrets(self, service: Any) -> list[str]:
        return [SECRET]


class OfCarriers(AuthContract):
    """At a library server that replaces its tokens, and ends the session if an old one comes."""

    rules: ClassVar[Mapping[str, Any]]

    @pytest.fixture
    def service(self, library_server: ServerFactory) -> Any:
        return library_server(**{"lease_mode": "revoke", **self.rules})

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {"url": service.login_url, "user": service.user, "password": secret(tmp_path, service.password)}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {**self.options_for(service, tmp_path), "password": secret(tmp_path, "not-the-password")}


class TestHeaderTokens(OfCarriers):
    plugin = HeaderAuth
    rules = {"carrier": "header"}


@pytest.mark.slow
class TestHeaderTokensInBatches(OfCarriers):
    plugin = HeaderAuth
    rules = {"carrier": "header", "lease_mode": "slide", "slide_every": 3}


@pytest.mark.slow
class TestTokenAgainstForgery(OfCarriers):
    plugin = CsrfAuth
    rules = {"csrf": True}


@pytest.mark.slow
class TestNonces(OfCarriers):
    plugin = NonceAuth
    rules = {"carrier": "nonce"}


@pytest.mark.slow
class TestTokensInBodies(OfCarriers):
    plugin: ClassVar[type[Auth]] = BodyAuth
    rules = {"carrier": "body"}

    def item(self, service: Any, number: int) -> str:
        return str(service.url_for(f"/json/{number}?size=3000")) if number % 2 else super().item(service, number)

    def is_right(self, service: Any, number: int, content: bytes) -> bool:
        if number % 2 == 0:
            return super().is_right(service, number, content)
        return base64.b64decode(json.loads(content)["data"]) == body_of(str(number), 3000)


@pytest.mark.slow
class TestTokensInWholeBodies(TestTokensInBodies):
    rules = {"carrier": "body", "commit": "body"}


class OfJsonLogin(OfCarriers):
    """The plugin ``json-login``; `given_tokens` are its options for the tokens."""

    plugin: ClassVar[type[Auth]] = JsonLogin
    given_tokens: ClassVar[Mapping[str, Any]]

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        account = {"user": service.user, "password": secret(tmp_path, service.password)}
        return {"url": service.login_url, "json": account, **self.given_tokens}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        account = {"user": service.user, "password": secret(tmp_path, "not-the-password")}
        return {**self.options_for(service, tmp_path), "json": account}


class TestJsonLogin(OfJsonLogin):
    rules = {"carrier": "header"}
    given_tokens = {"tokens": {"headers": ["access-token", "client", "uid"]}}


@pytest.mark.slow
class TestJsonLoginWithCookies(OfJsonLogin):
    rules = {}
    given_tokens = {}


@pytest.mark.slow
class TestJsonLoginInBatches(TestJsonLogin):
    rules = {"carrier": "header", "lease_mode": "slide", "slide_every": 3}


@pytest.mark.slow
class TestJsonLoginAgainstForgery(OfJsonLogin):
    rules = {"csrf": True}
    given_tokens = {"tokens": {"headers": ["X-CSRF-Token"], "cookies": ["token"]}}


@pytest.mark.slow
class TestJsonLoginWithBodies(OfJsonLogin, TestTokensInBodies):
    rules = {"carrier": "body"}
    given_tokens = {"tokens": {"json": {"path": "$.token"}}, "rotate": "body"}


@pytest.mark.slow
class TestJsonLoginWithRefreshTokens(AuthContract):
    """At an API made with Django REST framework and Simple JWT."""

    plugin = JsonLogin

    @pytest.fixture
    def service(self) -> Iterator[Service]:
        with start("django_tokens") as service:
            yield service

    def protected(self, service: Any) -> str:
        return f"{service.url}/books/1.bin"

    def counted(self, service: Any) -> tuple[int, int]:
        return service.tally().logins, service.tally().replaced_tokens_sent

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return {
            "url": f"{service.url}/api/token/",
            "json": {"username": rules.USER, "password": secret(tmp_path, rules.PASSWORD)},
            "tokens": {"json": {"path": "$.access"}},
            "keep": {"refresh_token": "$.refresh"},
            "refresh": {"url": f"{service.url}/api/token/refresh/", "json": {"refresh": "{refresh_token}"}},
        }

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        account = {"username": rules.USER, "password": secret(tmp_path, "not-the-password")}
        return {**self.options_for(service, tmp_path), "json": account}

    def secrets(self, service: Any) -> list[str]:
        return [rules.PASSWORD]


@pytest.mark.slow
class TestJsonLoginInSteps(AuthContract):
    """At an application made with Flask and Flask-JWT-Extended, with a code, tokens in cookies, and a logout."""

    plugin = JsonLogin

    @pytest.fixture
    def service(self) -> Iterator[Service]:
        with start("flask_cookies", period=1) as service:
            yield service

    def protected(self, service: Any) -> str:
        return f"{service.url}/books/1.bin"

    def counted(self, service: Any) -> tuple[int, int]:
        return service.tally().logins, service.tally().replaced_tokens_sent

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return self._options(service, tmp_path, rules.PASSWORD)

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        return self._options(service, tmp_path, "not-the-password")

    def _options(self, service: Any, tmp_path: Path, password: str) -> Mapping[str, Any]:
        first = {
            "url": f"{service.url}/login",
            "json": {"user": {"name": rules.USER, "password": secret(tmp_path, password)}},
            "success": {"status": 401, "json": "$.challenge"},
            "failure": {"json": "$.errors"},
            "take": {"challenge": "$.challenge"},
        }
        key = secret(tmp_path, f"otpauth://totp/library?secret={rules.KEY}&period=1")
        url = f"{service.url}/login/{{challenge}}"
        return {
            "csrf": {"url": f"{service.url}/session", "json": "$.csrf.token", "send": "X-Form-Token"},
            "steps": [first, {"url": url, "method": "PUT", "json": {"code": {"totp": key}}}],
            "keep": {"csrf": {"cookie": "csrf_access_token"}},
            "logout": {"url": f"{service.url}/logout", "headers": {"X-CSRF-TOKEN": "{csrf}"}},
        }

    def secrets(self, service: Any) -> list[str]:
        return [rules.PASSWORD]


@pytest.mark.slow
class TestDigestWithNonces(OfCarriers):
    """One nonce is good for one request, and the next one comes with the answer."""

    plugin = DigestAuth
    rules = {"carrier": "nonce"}

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        password = secret(tmp_path, service.password)
        check = self.protected(service)
        return {"origins": [service.url], "user": service.user, "password": password, "check": check}
