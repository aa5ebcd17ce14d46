"""The contract of auth plugins as a test suite.

Subclass it in your tests and run pytest::

    from argosy_devkit.contracts.auth import AuthContract

    class TestMyAuth(AuthContract):
        plugin = MyAuth

        def options_for(self, service, tmp_path):
            (tmp_path / "password.txt").write_text(service.password)
            return {"url": service.login_url, "user": service.user, "password": {"file": "password.txt"}}

        def wrong_options_for(self, service, tmp_path):
            (tmp_path / "wrong.txt").write_text("wrong")
            return {**self.options_for(service, tmp_path), "password": {"file": "wrong.txt"}}

The service is a library server (`argosy_devkit.LibraryServer`) with a login form. For any other service, override the
fixture ``service``, and `protected`, `secrets`, `item`, `is_right` and `counted` with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from requests.auth import AuthBase
from requests.cookies import create_cookie

from argosy import Report
from argosy.errors import ArgosyError, LoginFailed, RefreshRefused, TransferError
from argosy.interfaces import Auth, PluginContext, ResponseHead, SessionSigner
from argosy.models import Cookie, HeaderToken, origin_of
from argosy_devkit.bodies import body_of
from argosy_devkit.client import LibraryServer, ServerFactory
from argosy_devkit.contracts.plugin_suite import PluginRules, make_plugin, with_defaults
from argosy_devkit.contracts.promises import BrokenPromise, documented_at, relying_on

#: Seconds to connect to the service of a test, and for each response.
TIMEOUT = (10.0, 30.0)
#: Bytes of a page that an auth plugin sees.
START = 64 * 1024
#: The items and the workers of the real run.
ITEMS, WORKERS = 30, 8

_LOGIN = "argosy.Auth.login (docs/plugins/contracts.md)"
_REFUSAL = "argosy.Auth.is_refusal (docs/plugins/contracts.md)"
_FAILING = "How a plugin may fail (docs/plugins/failing.md)"

T = TypeVar("T")


class PlainSession:
    """A session made of requests alone; satisfies `argosy.LoginSession`."""

    number = 1

    def __init__(self) -> None:
        self.http = requests.Session()
        self.http.mount("http://", _WithTimeout())
        self.http.mount("https://", _WithTimeout())
        self.credentials: dict[str, str] = {}
        self.tokens: dict[str, HeaderToken] = {}
        self.lifetime: float | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The header tokens; `http` does not send them."""
        return {token.name: token.value for token in self.tokens.values()}

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Add cookies that did not come with a response."""
        for cookie in cookies:
            self.http.cookies.set_cookie(
                create_cookie(  # type: ignore[no-untyped-call]  # not in the stubs
                    cookie.name,
                    cookie.value,
                    domain=cookie.domain if cookie.host_only else f".{cookie.domain}",
                    path=cookie.path,
                    secure=cookie.secure,
                    expires=None if cookie.expires is None else int(cookie.expires),
                )
            )

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        """Send a token in a header field."""
        self.tokens[name.lower()] = HeaderToken(name, value, tuple(map(origin_of, origins)))

    def keep(self, name: str, value: str) -> None:
        """Keep a value with the session."""
        self.credentials[name] = value

    def expires_in(self, seconds: float) -> None:
        """Set the lifetime of the tokens."""
        self.lifetime = seconds

    def copy(self) -> PlainSession:
        """Return a session with the same cookies, header tokens and credentials."""
        copy = PlainSession()
        copy.http.cookies.update(self.http.cookies)
        copy.tokens.update(self.tokens)
        copy.credentials.update(self.credentials)
        return copy


class _WithTimeout(requests.adapters.HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        return super().send(request, *args, **{**options, "timeout": options.get("timeout") or TIMEOUT})


class _Signing(_WithTimeout):
    """Signs each request when it is sent, as argosy does under the lease; what a signer sends again is signed anew."""

    def __init__(self, signer: SessionSigner, kept: Mapping[str, str]) -> None:
        super().__init__()
        self._sign = signer.sign
        self._kept = kept

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.argosy_signer = self  # type: ignore[attr-defined]  # the note that argosy leaves, too
        response = super().send(self._sign(request.copy(), self._kept), *args, **options)
        response.request = request
        return response


class Client:
    """Uses an auth plugin at a service, as argosy does.

    Parameters
    ----------
    auth
        The plugin.
    secrets
        The secrets that its context knows.
    """

    def __init__(self, auth: Auth, secrets: list[str] | None = None) -> None:
        self.auth = auth
        self.secrets = secrets or []

    def log_in(self) -> PlainSession:
        """Log in, and renew tokens that expire at once."""
        session = PlainSession()
        _call(self.auth.login, session)
        if session.lifetime is not None and session.lifetime <= 0 and self.auth.can_refresh(session.credentials):
            session = self.refresh(session)
        return session

    def logged_in(self) -> PlainSession:
        """Log in for a test of something else."""
        with relying_on("login() creates a session that the service accepts.", _LOGIN, "login()"):
            return self.log_in()

    def refresh(self, session: PlainSession) -> PlainSession:
        """Return a renewed copy of a session."""
        renewed = session.copy()
        _call(self.auth.refresh, renewed)
        return renewed

    def log_out(self, session: PlainSession) -> bool:
        """End a session at the service; return whether the plugin can."""
        return _call(self.auth.logout, session.copy())

    def get(self, url: str, session: PlainSession | None = None, *, signed: bool = True) -> ResponseHead:
        """Request a URL with or without a session; return what the plugin sees of the response."""
        sent = PlainSession() if session is None else session.copy()
        headers = {token.name: token.value for token in sent.tokens.values() if token.concerns(url)}
        signer = self.auth.signer() if signed and session is not None else None
        if isinstance(signer, SessionSigner):
            sent.http.mount(f"{origin_of(url)}/", _Signing(signer, sent.credentials))
            signer = None
        try:
            response = sent.http.get(url, headers=headers, auth=signer)
        finally:
            sent.http.close()
        page = "html" in response.headers.get("Content-Type", "")
        accept = str(response.request.headers.get("Accept", "*/*"))
        start = response.content[:START]
        return ResponseHead(
            url,
            response.url,
            response.status_code,
            response.headers,
            start if page else b"",
            accept,
            None if response.status_code in (206, 304) else lambda: start,
        )


def _call(step: Callable[[Any], T], session: PlainSession) -> T:
    try:
        return step(session)
    finally:
        session.http.close()


class AuthContract(PluginRules):
    """Each test is one promise of `argosy.interfaces.Auth`.

    Each test creates the plugin and a service of its own.
    """

    plugin: ClassVar[type[Auth]]
    documented = "argosy.Auth (docs/plugins/contracts.md)"

    @pytest.fixture
    def service(self, library_server: ServerFactory) -> Any:
        """Start the service: a library server with a login form, unless you override it.

        `options_for`, `protected` and `secrets` receive it.
        """
        return library_server(lease_mode="strict")

    def options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Return options with which the plugin can log in to the service."""
        return {}

    def wrong_options_for(self, service: Any, tmp_path: Path) -> Mapping[str, Any] | None:
        """Return options that the service rejects, or None if there are none."""
        return None

    def protected(self, service: Any) -> str:
        """Return a URL of the service that requires a login."""
        return str(service.url_for("/files/a.bin?size=3000"))

    def counted(self, service: Any) -> tuple[int, int] | None:
        """Return how many logins and how many replaced tokens the service has received, or None if it does not count.

        A library server counts. For any other service, override this: only the service knows whether it has replaced a
        token that it receives. If it does not count, the run of many items ends with a skip that says so.
        """
        if not isinstance(service, LibraryServer):
            return None
        stats = service.stats()
        return stats.logins, stats.replaced_tokens_sent

    def item(self, service: Any, number: int) -> str:
        """Return the URL of an item of the run, which requires a login; by default, a file of a library server."""
        if not isinstance(service, LibraryServer):
            return self.protected(service)
        return service.url_for(f"/files/item-{number}.bin?size={3000 + number}")

    def is_right(self, service: Any, number: int, content: bytes) -> bool:
        """Return whether a downloaded file has the content of that item."""
        if not isinstance(service, LibraryServer):
            return bool(content)
        url = urlsplit(self.item(service, number))
        (size,) = parse_qs(url.query)["size"]
        return content == body_of(url.path.removeprefix("/files/"), int(size))

    def secrets(self, service: Any) -> list[str]:
        """Return the secrets that the options refer to; nothing may show them."""
        return [service.password]

    @pytest.fixture
    def given(self, service: Any, tmp_path: Path) -> Mapping[str, Any]:
        """Return the options and the schema's defaults."""
        return with_defaults(self.plugin, self.options_for(service, tmp_path))

    @pytest.fixture
    def client(self, given: Mapping[str, Any], tmp_path: Path) -> Any:
        """Create the plugin."""
        yield from self.make(given, tmp_path)

    def make(self, options: Mapping[str, Any], tmp_path: Path) -> Iterator[Client]:
        """Create the plugin with other options, and close it when the loop ends."""
        library = tmp_path / "library"
        library.mkdir(exist_ok=True)
        secrets: list[str] = []
        context = PluginContext(tmp_path, library, on_secret=secrets.append)
        auth = make_plugin(self.plugin, with_defaults(self.plugin, options), context)
        client = Client(auth)
        client.secrets = secrets
        yield client
        auth.close()

    def needs_login(self) -> None:
        """Skip the test if the plugin does not log in."""
        if self.plugin.anonymous:
            pytest.skip(f"{self.plugin.name} does not log in")

    @documented_at(_LOGIN)
    def test_the_service_accepts_the_session(self, client: Client, service: Any) -> None:
        """The service accepts the session of login(), with what signer() adds."""
        self.needs_login()
        url = self.protected(service)
        assert client.get(url, client.log_in()).status == 200, f"the service does not accept the session at {url}"

    @documented_at(_LOGIN)
    def test_creating_it_sends_nothing(self, tmp_path: Path, given: Mapping[str, Any]) -> None:
        """Only login() sends requests: the plugin is also created to check its options."""
        sent: list[str] = []

        def send(adapter: object, request: requests.PreparedRequest, *args: object, **options: object) -> None:
            sent.append(str(request.url))
            raise requests.ConnectionError("not yet")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(requests.adapters.HTTPAdapter, "send", send)
            with suppress(requests.ConnectionError, BrokenPromise):
                for client in self.make(given, tmp_path):
                    assert client.auth.remedy, "remedy must say what a person can do"
        assert not sent, f"it sent a request while it was created: {sent}"

    @documented_at(_REFUSAL)
    def test_it_sees_a_refusal(self, client: Client, service: Any) -> None:
        """The service's response to a request without a session is a refusal; otherwise login pages become files."""
        self.needs_login()
        head = client.get(self.protected(service))
        assert bool(client.auth.is_refusal(head)), (
            f"is_refusal() is false for status {head.status} from {head.final_url}"
        )

    @documented_at(_REFUSAL)
    def test_a_file_is_not_a_refusal(self, client: Client, service: Any) -> None:
        """The file that was requested is not a refusal; otherwise each item would cost a login."""
        url = self.protected(service)
        session = None if self.plugin.anonymous else client.logged_in()
        head = client.get(url, session)
        assert head.status == 200, f"the service does not give {url} to the session"
        assert not client.auth.is_refusal(head), f"it takes the file at {url} for a refusal"
        plain = ResponseHead(url, url, 200, {"Content-Type": "application/octet-stream"})
        assert not client.auth.is_refusal(plain), "it takes a plain file for a refusal"
        part = ResponseHead(url, url, 206, head.headers)
        assert not client.auth.is_refusal(part), "it takes a part of the file for a refusal"

    @documented_at(_REFUSAL)
    @pytest.mark.parametrize("status", [200, 206, 304, 404, 410, 416, 429, 500, 502, 503])
    def test_other_errors_are_not_refusals(self, client: Client, service: Any, status: int) -> None:
        """A service that is broken or busy, or lacks a file, does not reject the session: a login would not help."""
        url = urljoin(self.protected(service), "/about")  # HTML in place of a file would be suspicious
        page = b"<!DOCTYPE html><title>Library</title><h1>Something</h1><p>A page without a form."
        head = ResponseHead(url, url, status, {"Content-Type": "text/html"}, page)
        assert not client.auth.is_refusal(head), f"it takes status {status} for a refusal"

    @documented_at(_FAILING)
    def test_a_wrong_password_is_a_failed_login(self, tmp_path: Path, service: Any) -> None:
        """If the service rejects the credentials, login() raises LoginFailed; the message shows no secret."""
        self.needs_login()
        wrong = self.wrong_options_for(service, tmp_path)
        if wrong is None:
            pytest.skip("wrong_options_for() returns None")
        for client in self.make(wrong, tmp_path):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - any other error must be named
                client.log_in()
            error = caught.value
            assert isinstance(error, LoginFailed), f"a rejected login raised {type(error).__name__}: {error}"
            shown = [secret for secret in client.secrets if secret in str(error)]
            assert not shown, "the message of a failed login shows a secret"

    @documented_at("argosy.PluginContext.secret (docs/plugins/failing.md)")
    def test_its_secrets_are_known(self, client: Client, service: Any) -> None:
        """The context knows each secret of the options (`context.secret` sees to that), so argosy can redact it."""
        self.needs_login()
        for secret in self.secrets(service):
            assert secret in client.secrets, "the context does not know a secret of the plugin"
            assert secret not in repr(client.auth), "its repr shows a secret"

    @documented_at("argosy.Auth.signer (docs/plugins/contracts.md)")
    def test_a_signer_keeps_to_its_service(self, client: Client, service: Any) -> None:
        """signer() changes only requests to the service's own origins."""
        signer: object = client.auth.signer()
        if signer is None:
            return
        assert isinstance(signer, AuthBase), f"signer() returned a {type(signer).__name__}"
        plain = requests.Request("GET", "https://elsewhere.example/books/1").prepare()
        if isinstance(signer, SessionSigner):
            signed = signer.sign(plain.copy(), client.logged_in().credentials)
        else:
            signed = signer(plain.copy())
        assert dict(signed.headers) == dict(plain.headers), "its signer gives the credentials to another host"
        assert signed.url == plain.url, "its signer changes the URL of a request to another host"

    @documented_at("argosy.LoginSession.add_header (docs/plugins/contracts.md)")
    def test_header_tokens_keep_to_its_service(self, client: Client, service: Any) -> None:
        """A token in a header field is sent only to the service's own origins."""
        self.needs_login()
        for token in client.logged_in().tokens.values():
            assert not token.concerns("https://elsewhere.example/books/1"), "a token goes to any host"

    @documented_at("argosy.Auth.carriers (docs/plugins/contracts.md)")
    def test_its_carriers_are_complete(self, client: Client, service: Any) -> None:
        """Each carrier has origins, a field or `find`, and follows another one, if any; no other origin may replace it."""
        carriers = client.auth.carriers
        names = {carrier.name for carrier in carriers}
        for carrier in carriers:
            assert carrier.origins, f"the carrier {carrier.name!r} has no origins, so no response replaces it"
            elsewhere = origin_of("https://elsewhere.example") in map(origin_of, carrier.origins)
            assert not elsewhere, f"another origin may replace the carrier {carrier.name!r}"
            assert carrier.field or carrier.find, f"the carrier {carrier.name!r} has neither a field nor find"
            assert carrier.follows in {"", *names} - {carrier.name}, (
                f"the carrier {carrier.name!r} follows {carrier.follows!r}, which is not another carrier"
            )

    @documented_at(_LOGIN)
    def test_it_can_log_in_again(self, client: Client, service: Any) -> None:
        """If can_login is true, each login() creates a new session, and the newest one works."""
        self.needs_login()
        if not client.auth.can_login:
            pytest.skip(f"{self.plugin.name} cannot create a new session")
        for _ in range(2):
            head = client.get(self.protected(service), client.log_in())
            assert head.status == 200, "the service does not accept the session of a second login"

    @documented_at("argosy.Auth.refresh (docs/plugins/contracts.md)")
    def test_a_refresh_renews_the_session(self, client: Client, service: Any) -> None:
        """If can_refresh() is true, refresh() renews the session with the credentials kept with it."""
        self.needs_login()
        assert not client.auth.can_refresh({}), "can_refresh() is true for a session without credentials"
        session = client.logged_in()
        if not client.auth.can_refresh(session.credentials):
            pytest.skip(f"{self.plugin.name} keeps nothing to renew a session with")
        renewed = client.refresh(session)
        head = client.get(self.protected(service), renewed)
        assert head.status == 200, "the service does not accept the renewed session"
        try:
            client.refresh(session)  # a service may accept a refresh token only once
        except RefreshRefused:
            pass
        except ArgosyError as error:
            pytest.fail(f"a spent refresh token raised {type(error).__name__}: {error}")

    @documented_at("argosy.Auth.logout (docs/plugins/contracts.md)")
    def test_a_logout_ends_the_session(self, client: Client, service: Any) -> None:
        """If logout() returns True, the service refuses the session afterwards."""
        self.needs_login()
        session = client.logged_in()
        if not client.log_out(session):
            pytest.skip(f"{self.plugin.name} does not log out at the service")
        head = client.get(self.protected(service), session, signed=False)
        assert client.auth.is_refusal(head), "logout() returned True, but the service still accepts the session"

    @documented_at(_FAILING)
    def test_an_unreachable_service_is_a_clear_error(self, given: Mapping[str, Any], tmp_path: Path) -> None:
        """If the service is unreachable, login() raises TransferError or LoginFailed, or lets requests' error pass."""
        self.needs_login()
        for client in self.make(given, tmp_path):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(requests.adapters.HTTPAdapter, "send", _unreachable)
                try:
                    client.log_in()  # may need no request
                except (TransferError, LoginFailed, requests.RequestException):
                    pass
                except Exception as error:
                    pytest.fail(f"an unreachable service raised {type(error).__name__}: {error}")

    def test_a_run_needs_one_login(self, tmp_path: Path, given: Mapping[str, Any], service: Any) -> None:
        """A run of many items and several workers logs in once and never sends a replaced token."""
        before = self.counted(service)
        report = self._download(tmp_path, given, service, range(ITEMS))
        self._check_counts(before, service, "one run")
        assert report.counts.done == ITEMS, f"items failed: {report.failures}"
        assert report.logins <= 1, f"it logged in {report.logins} times in one run; once is enough"
        assert report.refusals == 0, f"it took {report.refusals} responses of the run for refusals"
        if before is None and not self.plugin.anonymous:
            pytest.skip("the run went well, but the service did not count its tokens: override counted()")

    def test_the_next_run_continues_the_session(self, tmp_path: Path, given: Mapping[str, Any], service: Any) -> None:
        """All that identifies the session is stored with it, so the next run needs no login and sends the newest tokens."""
        before = self.counted(service)
        reports = [self._download(tmp_path, given, service, numbers) for numbers in (range(4), range(4, 8))]
        self._check_counts(before, service, "two runs")
        assert [report.counts.done for report in reports] == [4, 4], f"items failed: {reports[-1].failures}"
        assert reports[1].logins == 0, "the second run logged in again, although its session was stored"

    def _download(self, tmp_path: Path, given: Mapping[str, Any], service: Any, numbers: Iterable[int]) -> Report:
        """Download items, each of which must have its own content."""
        urls = {number: self.item(service, number) for number in numbers}
        lines = [
            json.dumps({"id": f"item-{number}", "resources": [{"url": url, "path": f"{number}.bin"}]})
            for number, url in urls.items()
        ]
        (tmp_path / "items.jsonl").write_text("\n".join(lines), "utf-8")
        takes_bodies = [c for client in self.make(given, tmp_path) for c in client.auth.carriers if c.find is not None]
        report = self.run(
            tmp_path,
            given,
            source={"use": "manifest", "path": "items.jsonl"},
            cookie_store={"use": "json-file", "path": str(tmp_path / "cookies.json")},
            lease="exclusive-to-end" if takes_bodies else "auto",
            max_workers=WORKERS,
        )
        for number in urls:
            file = tmp_path / "library" / f"item-{number}" / f"{number}.bin"
            if file.exists():
                right = self.is_right(service, number, file.read_bytes())
                assert right, f"the file of item {number} has the wrong content"
        return report

    def _check_counts(self, before: tuple[int, int] | None, service: Any, what: str) -> None:
        after = self.counted(service)
        if before is not None and after is not None:
            logins, replaced = (now - then for now, then in zip(after, before, strict=True))
            assert replaced == 0, (
                f"{replaced} requests carried a token that the service had replaced: every request must go through "
                "argosy, which knows the newest one"
            )
            assert logins <= 1, f"the service received {logins} logins in {what}; one is enough"


def _unreachable(*args: object, **options: object) -> None:
    raise requests.ConnectionError("no route to the service")
