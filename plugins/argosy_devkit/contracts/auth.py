"""The contract of auth plugins as a test suite.

Subclass it in your tests, and run pytest::

    from argosy_devkit.contracts.auth import AuthContract

    class TestMyAuth(AuthContract):
        plugin = MyAuth

        def options_for(self, service, tmp_path):
            (tmp_path / "password.txt").write_text(service.password)
            return {"url": service.login_url, "user": service.user, "password": {"file": "password.txt"}}

        def wrong_options_for(self, service, tmp_path):
            (tmp_path / "wrong.txt").write_text("wrong")
            return {**self.options_for(service, tmp_path), "password": {"file": "wrong.txt"}}

The service is a library server (`argosy_devkit.LibraryServer`) that asks for a name and a password in a form. For any
other, override the fixture ``service``, and `protected` and `secrets` with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from requests.auth import AuthBase

from argosy.errors import ArgosyError, LoginFailed, RefreshRefused, SessionError, TransferError
from argosy.interfaces.auth import ResponseHead
from argosy_devkit.contracts.auth_suite import LOGIN, AuthSuite, Door
from argosy_devkit.contracts.plugin_suite import PluginRules
from argosy_devkit.contracts.promises import BrokenPromise, documented_at

_REFUSAL = "argosy.Auth.is_refusal (docs/plugins/contracts.md)"
#: What the core says of a login that raised something of its own.
MISTAKE = "failed during login"
#: How many items the real run has, and how many workers do them.
ITEMS, WORKERS = 24, 4
_FAILING = "How a plugin may fail (docs/plugins/failing.md)"


class AuthContract(PluginRules, AuthSuite):
    """Each test is one promise of `argosy.interfaces.Auth`.

    .. versionadded:: 0.1
    """

    documented = AuthSuite.documented

    @documented_at(LOGIN)
    def test_a_login_opens_the_door(self, door: Door, service: Any) -> None:
        """What is in the session after login(), with what signer() adds, is accepted by the service."""
        self.needs_login()
        url = self.protected(service)
        assert door.get(url, door.granted()).status == 200, (
            f"the service does not accept the session at {url}"
        )

    @documented_at(LOGIN)
    def test_making_it_asks_nothing_of_the_service(self, tmp_path: Path, given: Mapping[str, Any]) -> None:
        """It is made for a look at the options, too, and where nobody logs in: only login() sends requests."""
        sent: list[str] = []

        def send(
            adapter: object, request: requests.PreparedRequest, *args: object, **options: object
        ) -> None:
            sent.append(str(request.url))
            raise requests.ConnectionError("not yet")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(requests.adapters.HTTPAdapter, "send", send)
            with suppress(requests.ConnectionError, BrokenPromise):
                for door in self.make(given, tmp_path):
                    assert door.auth.remedy, "remedy says nothing of what a person can do"
        assert not sent, f"it sent a request while it was made: {sent}"

    @documented_at(_REFUSAL)
    def test_a_refusal_is_seen(self, door: Door, service: Any) -> None:
        """What the service says to somebody who is not logged in is a refusal, or a login page is kept as a book."""
        self.needs_login()
        head = door.get(self.protected(service))
        assert bool(door.auth.is_refusal(head)), (
            f"status {head.status} from {head.final_url} is no refusal to it"
        )

    @documented_at(_REFUSAL)
    def test_what_was_asked_for_is_no_refusal(self, door: Door, service: Any) -> None:
        """An answer with what was asked for is none, or each item would cost a login."""
        url = self.protected(service)
        granted = None if self.plugin.anonymous else door.logged_in()
        head = door.get(url, granted)
        assert head.status == 200, f"the service does not give {url} to the session"
        assert not door.auth.is_refusal(head), f"it takes what it was given at {url} for a refusal"
        plain = ResponseHead(url, url, 200, {"Content-Type": "application/octet-stream"})
        assert not door.auth.is_refusal(plain), "it takes a plain file for a refusal"

    @documented_at(_REFUSAL)
    @pytest.mark.parametrize("status", [200, 206, 304, 404, 410, 416, 429, 500, 502, 503])
    def test_other_troubles_are_no_refusals(self, door: Door, service: Any, status: int) -> None:
        """A service that is broken, busy, or has no such file says nothing of the session: no login is wasted on it."""
        url = urljoin(self.protected(service), "/about")  # HTML in the place of a file would be suspicious
        page = b"<!DOCTYPE html><title>Library</title><h1>Something</h1><p>A page without a form."
        head = ResponseHead(url, url, status, {"Content-Type": "text/html"}, page)
        assert not door.auth.is_refusal(head), f"it takes status {status} for a refusal"

    @documented_at(_FAILING)
    def test_a_wrong_password_is_a_failed_login(self, tmp_path: Path, service: Any) -> None:
        """Where the service does not accept it, login() raises LoginFailed, without the secrets in its text."""
        self.needs_login()
        wrong = self.wrong_options_for(service, tmp_path)
        if wrong is None:
            pytest.skip("wrong_options_for() names nothing that the service does not accept")
        for door in self.make(wrong, tmp_path):
            with pytest.raises(SessionError) as caught:
                door.granted()
            error = caught.value
            assert isinstance(error, LoginFailed), f"a refused login raised {type(error).__name__}: {error}"
            assert MISTAKE not in error.message, f"it raised something else: {error}"
            shown = [secret for secret in door.secrets if secret in str(error)]
            assert not shown, "the message of a failed login shows a secret"

    @documented_at("argosy.PluginContext.secret (docs/plugins/failing.md)")
    def test_its_secrets_are_told(self, door: Door, service: Any) -> None:
        """Each secret of its options is told to the context (`context.secret` does that), so that none is shown."""
        self.needs_login()
        for secret in self.secrets(service):
            assert secret in door.secrets, "it knows a secret that the context was not told of"
            assert secret not in repr(door.auth), "its repr shows a secret"

    @documented_at("argosy.Auth.signer (docs/plugins/contracts.md)")
    def test_a_signer_keeps_to_its_service(self, door: Door, service: Any) -> None:
        """What signer() adds to requests goes to the service's own origins, and to nobody else's."""
        signer: object = door.auth.signer()
        if signer is None:
            return
        assert isinstance(signer, AuthBase), f"signer() gave a {type(signer).__name__}"
        plain = requests.Request("GET", "https://elsewhere.example/books/1").prepare()
        signed = signer(plain.copy())
        assert dict(signed.headers) == dict(plain.headers), "its signer gives the credentials to another host"
        assert signed.url == plain.url, "its signer changes the URL of a request to another host"

    @documented_at("argosy.LoginSession.add_header (docs/plugins/contracts.md)")
    def test_header_tokens_keep_to_its_service(self, door: Door, service: Any) -> None:
        """A token in a header field is for the service's own origins, and for nobody else's."""
        self.needs_login()
        for token in door.logged_in().headers:
            assert not token.concerns("https://elsewhere.example/books/1"), "a token goes to any host"

    @documented_at(LOGIN)
    def test_it_can_log_in_again(self, door: Door, service: Any) -> None:
        """Where can_login says so, it makes a new session as often as it is asked to, and the newest is good."""
        self.needs_login()
        if not door.auth.can_login:
            pytest.skip(f"{self.plugin.name} makes no new session")
        for _ in range(2):
            assert door.get(self.protected(service), door.granted()).status == 200, (
                "a second login is no good"
            )

    @documented_at("argosy.Auth.refresh (docs/plugins/contracts.md)")
    def test_a_refresh_opens_the_door(self, door: Door, service: Any) -> None:
        """Where can_refresh() says so, refresh() renews the session with what was kept with it."""
        self.needs_login()
        assert not door.auth.can_refresh({}), (
            "can_refresh() is true for a session with which nothing was kept"
        )
        granted = door.logged_in()
        if not door.auth.can_refresh(granted.credentials):
            pytest.skip(f"{self.plugin.name} keeps nothing to renew a session with")
        fresh = door.refresh(granted)
        assert door.get(self.protected(service), fresh).status == 200, "the renewed session is no good"
        try:
            door.refresh(granted)  # a service may replace what it was renewed with
        except RefreshRefused:
            pass
        except ArgosyError as error:
            pytest.fail(f"a refresh token that is spent raised {type(error).__name__}: {error}")

    @documented_at("argosy.Auth.logout (docs/plugins/contracts.md)")
    def test_a_logout_closes_the_door(self, door: Door, service: Any) -> None:
        """Where logout() says that it has ended the session at the service, the service refuses it."""
        self.needs_login()
        granted = door.logged_in()
        if not door.log_out(granted):
            pytest.skip(f"{self.plugin.name} asks nothing of the service to log out")
        assert door.auth.is_refusal(door.get(self.protected(service), granted, signed=False)), (
            "logout() says that it has ended the session, and the service accepts it still"
        )

    @documented_at(_FAILING)
    def test_a_service_out_of_reach_is_no_mistake(self, given: Mapping[str, Any], tmp_path: Path) -> None:
        """A service that cannot be reached raises TransferError or LoginFailed, and none that names a mistake."""
        self.needs_login()
        for door in self.make(given, tmp_path):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(requests.adapters.HTTPAdapter, "send", _out_of_reach)
                said = ""
                try:
                    door.granted()  # or it needs no request for that
                except (TransferError, LoginFailed) as error:
                    said = str(error)
                assert MISTAKE not in said, f"it raised something else: {said}"

    def test_a_run_goes_well_with_it(self, tmp_path: Path, given: Mapping[str, Any], service: Any) -> None:
        """In a real run of many items by several workers one login is enough, and no replaced token is ever sent."""
        url = self.protected(service)
        lines = [
            json.dumps({"id": f"item-{n}", "resources": [{"url": url, "path": f"{n}.bin"}]})
            for n in range(ITEMS)
        ]
        (tmp_path / "items.jsonl").write_text("\n".join(lines), "utf-8")
        before = self.counted(service)
        report = self.run(
            tmp_path,
            given,
            source={"use": "manifest", "path": "items.jsonl"},
            cookie_store={"use": "json-file", "path": str(tmp_path / "cookies.json")},
            max_workers=WORKERS,
        )
        after = self.counted(service)
        if before is not None and after is not None:
            logins, replaced = (now - then for now, then in zip(after, before, strict=True))
            assert replaced == 0, (
                f"{replaced} requests carried a token that the service had replaced: every request has to go through "
                "the core, which knows the newest one"
            )
            assert logins <= 1, f"the service received {logins} logins in one run, where one is enough"
        assert report.counts.done == ITEMS, f"items failed: {report.failures}"
        assert report.logins <= 1, f"it logged in {report.logins} times in one run, where once is enough"
        assert report.refusals == 0, f"it took {report.refusals} answers in the run for refusals"


def _out_of_reach(*args: object, **options: object) -> None:
    raise requests.ConnectionError("no route to the service")
