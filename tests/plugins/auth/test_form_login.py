"""The auth `form-login`, against real servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from argosy import PluginContext
from argosy.errors import ConfigError, LoginFailed
from argosy.http.session import open_session
from argosy_plugins.auth.form_login import FormLogin

PASSWORD = "hunter2&=%"
FORM = """<html><body><form id="search" action="/search"><input name="q"></form>
<form name="in" method="post" action="do?x=1">
<input type=hidden name="csrf" value="a&amp;b"><input name=user><input type="password" name="password">
<input type=checkbox name=keep checked><input type=checkbox name=spam>
<select name=realm><option value=a>A<option value=b selected>B</select><textarea name=note>
hi</textarea><input name=off disabled value=1><input type=reset name=r value=r>
<button name=go value=1>Go</button><button name=other value=2>No</button></form></body></html>"""


@pytest.fixture
def site(make_site: Callable[[], Any], reply: Any) -> Any:
    site = make_site()
    site.pages["/login/"] = lambda asked: reply(FORM, cookies=("pre=1; Path=/",))
    site.pages["/home"] = lambda asked: reply("Welcome")

    def check(asked: Any) -> Any:
        if ("password", PASSWORD) in asked.fields and asked.headers.get("Cookie") == "pre=1":
            return reply(status=303, location="/home", cookies=("token=T1; HttpOnly", "old=; Max-Age=0"))
        return reply(FORM)

    site.pages["/login/do"] = check
    return site


def auth(site: Any, tmp_path: Path, password: str = PASSWORD, **options: Any) -> FormLogin:
    (tmp_path / "password").write_text(password + "\n")
    fields = options.pop("fields", {"user": "ada", "password": {"file": "password"}})
    url = options.pop("url", None) or f"{site.url}/login/"
    return FormLogin({"url": url, "fields": fields, **options}, PluginContext(base=tmp_path))


def test_the_form_is_sent_as_a_browser_would(site: Any, session: Any, tmp_path: Path) -> None:
    auth(site, tmp_path).login(session)
    (posted,) = site.posted()
    assert posted.path == "/login/do"
    assert sorted(posted.fields) == sorted(
        [
            ("csrf", "a&b"),
            ("keep", "on"),
            ("realm", "b"),
            ("note", "hi"),
            ("go", "1"),
            ("user", "ada"),
            ("password", PASSWORD),
        ]
    )
    assert posted.headers["Origin"] == site.url
    assert posted.headers["Referer"] == f"{site.url}/login/"
    assert session.http.cookies["token"] == "T1"


def test_it_works_with_the_session_that_the_core_gives_it(site: Any, tmp_path: Path) -> None:
    jar = open_session((5, 5))
    auth(site, tmp_path).login(jar)
    jar.http.close()
    assert {cookie.name: cookie.value for cookie in jar.cookies}["token"] == "T1"


def test_it_logs_in_at_the_library(library_server: Any, session: Any, tmp_path: Path) -> None:
    server = library_server(lease_mode="strict")
    (tmp_path / "p").write_text(server.password)
    fields = {"user": server.user, "password": {"file": "p"}}
    login = FormLogin({"url": f"{server.url}/login", "fields": fields}, PluginContext(base=tmp_path))
    login.login(session)
    assert server.stats().logins == 1


def test_a_wrong_password_is_told_without_showing_it(site: Any, session: Any, tmp_path: Path) -> None:
    with pytest.raises(LoginFailed) as caught:
        auth(site, tmp_path, password="swordfish").login(session)
    assert f"status 200 from {site.url}/login/do, with a login form again" in str(caught.value)
    assert "swordfish" not in str(caught.value)


def test_a_field_that_the_form_lacks_is_named_when_it_fails(site: Any, session: Any, tmp_path: Path) -> None:
    fields = {"usr": "ada", "password": {"file": "password"}}
    with pytest.raises(LoginFailed, match=r"has no field usr; it has csrf, go, keep, note, password, realm, user"):
        auth(site, tmp_path, "wrong", fields=fields).login(session)


@pytest.mark.parametrize(
    ("success", "good"),
    [
        ({"cookie": "token"}, True),
        ({"cookie": "pre"}, False),  # set by the login page, whoever asks
        ({"cookie": "old"}, False),  # taken away
        ({"url": "/home"}, True),
        ({"url": "/desk"}, False),
        ({"text": "Welcome"}, True),
        ({"text": "Hello"}, False),
    ],
)
def test_success_is_what_the_configuration_says(
    site: Any, session: Any, tmp_path: Path, success: dict[str, str], good: bool
) -> None:
    login = auth(site, tmp_path, success=success)
    if good:
        login.login(session)
    else:
        with pytest.raises(LoginFailed, match="did not accept"):
            login.login(session)


@pytest.mark.parametrize(
    ("form", "path"), [(1, "/login/do"), ("in", "/login/do"), ("search", "/search"), (0, "/search")]
)
def test_the_form_may_be_chosen(
    site: Any, session: Any, tmp_path: Path, reply: Any, form: int | str, path: str
) -> None:
    site.pages["/search"] = lambda asked: reply("found")
    success = {"text": "found"} if path == "/search" else {"url": "/home"}
    auth(site, tmp_path, form=form, success=success).login(session)
    assert path in [asked.path for asked in site.asked]


@pytest.mark.parametrize(("form", "found"), [(7, "no form number 7"), ("x", "no form with the id or name 'x'")])
def test_a_form_that_is_not_there_is_named(
    site: Any, session: Any, tmp_path: Path, form: int | str, found: str
) -> None:
    with pytest.raises(LoginFailed, match=found):
        auth(site, tmp_path, form=form).login(session)


def test_a_page_without_a_form_says_what_to_do(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    site.pages["/login/"] = lambda asked: reply("<div id=app></div>")
    with pytest.raises(LoginFailed, match=r"no form with a password field.* \(it has 0 forms\).*auth cookies"):
        auth(site, tmp_path).login(session)


def test_a_missing_page_is_told(site: Any, session: Any, tmp_path: Path) -> None:
    with pytest.raises(LoginFailed, match="status 404"):
        auth(site, tmp_path, url=f"{site.url}/nowhere?token=secret").login(session)


def test_a_multipart_form_is_sent_as_one(site: Any, session: Any, tmp_path: Path, reply: Any) -> None:
    page = FORM.replace("method=", "enctype=multipart/form-data method=")
    site.pages["/login/"] = lambda asked: reply(page)
    site.pages["/login/do"] = lambda asked: reply("in")
    auth(site, tmp_path).login(session)
    (posted,) = site.posted()
    assert posted.headers["Content-Type"].startswith("multipart/form-data")
    assert f'name="password"\r\n\r\n{PASSWORD}\r\n' in posted.body


@pytest.mark.torture(11)
@pytest.mark.parametrize("way", ["action", "base", "redirect of the page", "307 of the form"])
def test_the_password_goes_to_no_other_origin(
    site: Any, session: Any, tmp_path: Path, make_site: Any, reply: Any, way: str
) -> None:
    other = make_site()
    other.pages["/steal"] = other.pages["/do"] = lambda asked: reply(FORM)
    action = FORM.replace('action="do?x=1"', f'action="{other.url}/steal"')
    base = FORM.replace("<html>", f'<html><base href="{other.url}/">').replace("do?x=1", "steal")
    if way == "307 of the form":
        site.pages["/login/do"] = lambda asked: reply(status=307, location=f"{other.url}/steal")
    elif way == "redirect of the page":
        site.pages["/login/"] = lambda asked: reply(status=302, location=f"{other.url}/steal")
    else:
        site.pages["/login/"] = lambda asked: reply(action if way == "action" else base)
    with pytest.raises(LoginFailed, match="another origin"):
        auth(site, tmp_path).login(session)
    assert other.posted() == []
    auth(site, tmp_path, allow_other_origin=True, success={"text": "csrf"}).login(session)
    assert len(other.posted()) == 1


def test_a_redirect_after_the_form_takes_no_field_along(
    site: Any, session: Any, tmp_path: Path, make_site: Any, reply: Any
) -> None:
    other = make_site()
    other.pages["/done"] = lambda asked: reply("in")
    site.pages["/login/do"] = lambda asked: reply(status=302, location=f"{other.url}/done")
    auth(site, tmp_path).login(session)
    assert [(asked.method, asked.fields) for asked in other.asked] == [("GET", [])]


@pytest.mark.parametrize(
    ("location", "found"), [("file:///etc/passwd", "no http or https"), ("/login/do", "more than 10 times")]
)
def test_a_redirect_to_nowhere_ends_the_login(
    site: Any, session: Any, tmp_path: Path, reply: Any, location: str, found: str
) -> None:
    site.pages["/login/do"] = lambda asked: reply(status=302, location=location)
    with pytest.raises(LoginFailed, match=found):
        auth(site, tmp_path).login(session)


@pytest.mark.parametrize("action", ["javascript:go()", "http://u:p@127.0.0.1/x"])
def test_an_action_that_is_no_url_is_refused(site: Any, session: Any, tmp_path: Path, reply: Any, action: str) -> None:
    site.pages["/login/"] = lambda asked: reply(FORM.replace("do?x=1", action))
    with pytest.raises(LoginFailed, match="not an http or https URL"):
        auth(site, tmp_path, allow_other_origin=True).login(session)
    assert site.posted() == []


def test_a_service_out_of_reach_is_left_to_the_core(session: Any, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    with pytest.raises(requests.ConnectionError):
        auth(None, tmp_path, url="http://127.0.0.1:9/login").login(session)


def test_a_secret_in_the_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="looks like a secret") as caught:
        auth(None, tmp_path, url="https://h/", fields={"Passwort": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="has a user name or a password") as caught:
        auth(None, tmp_path, url="https://u:hunter2@h/")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["password", "PWD", "user_pass", "client-secret", "otp", "your_pin", "Token"])
def test_the_schema_wants_a_reference_for_what_looks_secret(name: str) -> None:
    schema = dict(FormLogin.options_schema["properties"]["fields"])
    schema = {**schema, "patternProperties": {next(iter(schema["patternProperties"])): {"type": "object"}}}
    schema["additionalProperties"] = {"type": "string"}
    jsonschema.validate({name: {"env": "X"}, "user": "ada", "shipping": "x"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: "hunter2"}, schema)
