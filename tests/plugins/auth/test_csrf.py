"""CSRF tokens that each request sends back: from a field of a response, or from a cookie."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from argosy import Carrier, PluginContext
from argosy.errors import ConfigError
from argosy.http.hop import PluginSigner
from argosy_plugins.auth._csrf import CookieEcho, CsrfEcho
from argosy_plugins.auth.form_login import FormLogin
from argosy_plugins.auth.json_login import JsonLogin

ORIGIN = "https://library.example"
FORM = {"url": f"{ORIGIN}/login", "fields": {"user": "ada"}, "refusal": {}}
JSON = {"url": f"{ORIGIN}/login", "json": {"user": "ada"}, "refusal": {}}


def copied(cookies: str, url: str = f"{ORIGIN}/1") -> str | None:
    request = requests.Request("GET", url, headers={"Cookie": cookies}).prepare()
    field: str | None = CookieEcho("XSRF-TOKEN", "X-XSRF-TOKEN", [ORIGIN]).sign(request, {}).headers.get("X-XSRF-TOKEN")
    return field


@pytest.mark.parametrize(
    ("cookies", "field"),
    [
        ("sid=1; XSRF-TOKEN=abc%3D%3D", "abc=="),
        ('XSRF-TOKEN="abc"; sid=1', "abc"),
        ("XSRF-TOKEN=longest; XSRF-TOKEN=other", "longest"),
        ("XSRF-TOKEN=a%0D%0AX-Evil: 1", None),
        ("xsrf-token=abc; OTHER-XSRF-TOKEN=abc", None),
        ("", None),
    ],
)
def test_the_cookie_is_copied_as_the_page_would(cookies: str, field: str | None) -> None:
    assert copied(cookies) == field


def test_the_newest_value_of_the_cookie_is_copied() -> None:
    signer = CookieEcho("XSRF-TOKEN", "X-XSRF-TOKEN", [ORIGIN])
    for value in ("one", "two"):
        request = requests.Request("GET", f"{ORIGIN}/1", headers={"Cookie": f"XSRF-TOKEN={value}"}).prepare()
        assert signer.sign(request, {}).headers["X-XSRF-TOKEN"] == value


def test_another_origin_does_not_get_it() -> None:
    assert copied("XSRF-TOKEN=abc", "https://elsewhere.example/1") is None


def test_a_copy_does_not_stand_in_for_the_cookies() -> None:
    signer = CsrfEcho((ORIGIN,), "X-XSRF-TOKEN", cookie="XSRF-TOKEN").signer()
    assert signer is not None
    assert not PluginSigner(signer, "form-login").proves


@pytest.mark.parametrize(
    "auth",
    [
        FormLogin({**FORM, "csrf": {"header": "X-Token", "send": "X-CSRF"}}, PluginContext()),
        JsonLogin({**JSON, "csrf": {"header": "X-Token", "send": "X-CSRF", "each": True}}, PluginContext()),
    ],
    ids=lambda auth: auth.name,
)
def test_a_field_of_responses_is_a_carrier(auth: Any) -> None:
    assert auth.carriers == (Carrier("X-CSRF", "X-Token", (ORIGIN,)),)
    assert auth.signer() is None


def test_without_the_option_each_request_sends_nothing() -> None:
    login = JsonLogin({**JSON, "csrf": {"url": f"{ORIGIN}/csrf", "header": "X-Token"}}, PluginContext())
    assert (login.carriers, login.signer()) == ((), None)
    assert (FormLogin(FORM, PluginContext()).carriers, FormLogin(FORM, PluginContext()).signer()) == ((), None)


def test_a_field_that_requests_need_for_something_else() -> None:
    with pytest.raises(ConfigError, match=r"csrf\.send of the auth form-login is Authorization"):
        FormLogin({**FORM, "csrf": {"header": "X-Token", "send": "Authorization"}}, PluginContext())
    with pytest.raises(ConfigError, match="its value is in JSON"):
        JsonLogin({**JSON, "csrf": {"url": f"{ORIGIN}/csrf", "json": "$.csrf", "each": True}}, PluginContext())


def test_the_newest_value_of_the_login_is_kept() -> None:
    class Login:
        def __init__(self) -> None:
            self.http = requests.Session()
            self.added: list[tuple[str, str, tuple[str, ...]]] = []

        def add_header(self, name: str, value: str, origins: tuple[str, ...]) -> None:
            self.added.append((name, value, origins))

    login: Any = Login()
    told: list[str] = []
    CsrfEcho((ORIGIN,), header="X-Token").listen(login, told.append)
    for url, value in ((ORIGIN, "one"), (ORIGIN, " "), ("https://elsewhere.example", "stolen"), (ORIGIN, "two")):
        response = requests.Response()
        response.url, response.headers["X-Token"] = f"{url}/login", value
        for hook in login.http.hooks["response"]:
            hook(response)
    assert login.added == [("X-CSRF-Token", "one", (ORIGIN,)), ("X-CSRF-Token", "two", (ORIGIN,))]
    assert told == ["one", "two"]
