"""The auth `form-login` where a login has several pages, or asks for a code."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import PluginContext
from argosy.config.schema import check
from argosy.errors import ConfigError, LoginFailed
from argosy.http.session import open_session
from argosy.plugins.manager import PluginManager
from argosy_plugins.auth._codes import Totp
from argosy_plugins.auth.form_login import FormLogin
from servers.rules import KEY, PASSWORD, USER
from servers.service import Service, start

TOTP = {"totp": {"env": "KEY"}}
PROMPT = {"one_time": {"prompt": "Code"}}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("KEY", KEY)


def auth(url: str, code: object = None, ask_now: Callable[[str], str] | None = None, **options: Any) -> FormLogin:
    fields = {"user": USER, "password": {"env": "PASSWORD"}, **({"code": code} if code else {})}
    context = PluginContext(ask_now=ask_now)
    return FormLogin({"url": url, "fields": fields, **options}, context)


def log_in(plugin: FormLogin, before: dict[str, str] | None = None) -> dict[str, str]:
    """Log in; return what is kept with the session, as the one before kept it."""
    opened = open_session((30, 30))
    opened.before = before or {}
    try:
        plugin.login(opened)
    finally:
        opened.http.close()
    return dict(opened.credentials)


def login_page(service: Service) -> str:
    return f"{service.url}/login"


@pytest.mark.parametrize(
    "rules", [{"code": "same"}, {"code": "next"}, {"steps": True}, {"steps": True, "code": "next"}]
)
def test_each_field_goes_to_the_page_that_asks_for_it(rules: dict[str, Any]) -> None:
    with start("flask_library", **rules) as service:
        log_in(auth(login_page(service), TOTP if "code" in rules else None))
        assert service.counts() == {"logins": 1}


def test_a_code_that_the_service_does_not_ask_for_is_not_missed() -> None:
    with start("flask_library", steps=True) as service:
        log_in(auth(login_page(service), TOTP))
        assert service.counts() == {"logins": 1}


def test_a_code_that_nobody_named_is_asked_for_in_vain() -> None:
    found = r"asks for code, which looks like a one-time code. Name it among the fields"
    with start("flask_library", code="next") as service, pytest.raises(LoginFailed, match=found):
        log_in(auth(login_page(service)))


def test_no_code_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by one plugin, and not by another one that knows what was kept with the session."""
    monkeypatch.setenv("KEY", f"otpauth://totp/ada?secret={KEY}&period=1")
    with start("flask_library", code="next", period=1) as service:
        first = auth(login_page(service), TOTP)
        log_in(first)
        kept = log_in(first)
        log_in(auth(login_page(service), TOTP), kept)
        assert service.counts() == {"logins": 3}


def test_a_person_is_asked_when_the_service_asks() -> None:
    import pyotp

    with start("flask_library", steps=True, code="next") as service:
        asked: list[str] = []

        def ask_now(text: str) -> str:
            asked.append(text)
            return f" {pyotp.TOTP(KEY).now()}\n"

        plugin = auth(login_page(service), PROMPT, ask_now)
        assert (asked, plugin.can_login) == ([], False)
        log_in(plugin)
        assert (asked, service.counts()) == (["Code"], {"logins": 1})
        with pytest.raises(LoginFailed, match=r"asks for a one-time code \(code\).*argosy login CONFIG"):
            log_in(auth(login_page(service), PROMPT))


def test_nobody_is_asked_after_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "swordfish")

    def ask_now(text: str) -> str:
        raise AssertionError

    with start("flask_library", code="next") as service:
        with pytest.raises(LoginFailed, match="with a login form again") as caught:
            log_in(auth(login_page(service), PROMPT, ask_now))
        assert service.counts() == {"failed_logins": 1}
    assert "swordfish" not in str(caught.value)


def test_a_code_that_was_used_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyotp

    monkeypatch.setenv("CODE", pyotp.TOTP(KEY).now())
    with start("flask_library", code="next") as service:
        plugin = auth(login_page(service), {"one_time": {"env": "CODE"}})
        kept = log_in(plugin)
        with pytest.raises(LoginFailed, match=r"was used before, and nothing was sent.*argosy login CONFIG"):
            log_in(plugin, kept)
        assert service.counts() == {"logins": 1}


def test_a_wrong_code_is_told_without_showing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "GEZDGNBVGY3TQOJQ")
    with start("flask_library", code="next") as service:
        with pytest.raises(LoginFailed, match="Check the one-time code as well") as caught:
            log_in(auth(login_page(service), TOTP))
        assert service.counts() == {"failed_logins": 1}
    assert not re.search(r"\b[0-9]{6}\b|GEZD", str(caught.value))


@pytest.mark.parametrize(
    ("algorithm", "key", "codes"),
    [
        ("SHA1", b"12345678901234567890", {59: "94287082", 1111111109: "07081804", 20000000000: "65353130"}),
        ("SHA256", b"12345678901234567890" + b"123456789012", {59: "46119246", 1111111109: "68084774"}),
        ("SHA512", b"1234567890" * 6 + b"1234", {59: "90693936", 1111111109: "25091201"}),
    ],
)
def test_codes_are_those_of_the_rfc(algorithm: str, key: bytes, codes: dict[int, str]) -> None:
    """RFC 6238, appendix B."""
    secret = base64.b32encode(key).decode().rstrip("=")
    totp = Totp.read(f"otpauth://totp/x?secret={secret}&algorithm={algorithm}&digits=8")
    assert {now: totp.at(now) for now in codes} == codes


@given(st.text() | st.text().map(lambda text: f"otpauth://totp/x?secret={KEY}&{text}"))
def test_any_text_is_a_key_or_none(text: str) -> None:
    try:
        totp = Totp.read(text)
    except (ValueError, KeyError):
        return
    assert len(totp.at(0)) == totp.digits


@pytest.mark.parametrize("key", [KEY.lower(), " ".join([KEY[:4], KEY[4:]]), f"otpauth://totp/x?secret={KEY}"])
def test_a_key_is_taken_as_services_show_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    import pyotp

    monkeypatch.setenv("KEY", key)
    field = auth("https://h/", TOTP)._fields["code"]
    codes = pyotp.TOTP(KEY).now(), field.value(""), pyotp.TOTP(KEY).now()
    assert codes[1] in codes[::2]


@pytest.mark.parametrize("key", ["hunter2 0189", f"otpauth://hotp/x?secret={KEY}&counter=1", "otpauth://x", ""])
def test_a_key_that_is_none_is_not_shown(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key)
    fields = {"user": "a", "code": {"totp": {"file": "key"}}}
    with pytest.raises(ConfigError, match="The key for the codes of the field 'code'") as caught:
        FormLogin({"url": "https://h/", "fields": fields}, PluginContext(base=tmp_path))
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (TOTP, True),
        (PROMPT, True),
        ({"totp": "JBSW"}, False),
        ({"totp": {"env": "A"}, "one_time": {"env": "B"}}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("name", ["code", "otp"])
def test_the_schema_knows_codes(name: str, value: object, good: bool) -> None:
    document = {"auth": {"use": "form-login", "url": "https://h/", "fields": {name: value}}}
    problems = check(document, PluginManager(), "argosy.json")
    assert (not problems) == good
    assert good or "or an object" in str(problems)
    assert "JBSW" not in str(problems)


PAGE = "<form method=post action=/in><input name=user><input name=password type=password></form>"
SENT_ON = '<body onload="document.forms[0].submit()"><form method=post action="{}"><input type=hidden name=SAMLResponse value="a&amp;b"><input type=hidden name=RelayState value=1></form>'


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_what_a_script_would_send_on_is_sent_on(make_site: Any, reply: Any, session: Any, where: str) -> None:
    """SAML 2.0 bindings section 3.5: from the identity provider to the service."""
    site, other = make_site(), make_site()
    target = (site if where == "here" else other).url + "/acs"
    site.pages["/login"] = lambda asked: reply(PAGE)
    site.pages["/in"] = lambda asked: reply(SENT_ON.format(target))
    site.pages["/acs"] = other.pages["/acs"] = lambda asked: reply("Welcome", cookies=("sid=1",))
    url = f"{site.url}/login"
    if where == "elsewhere":
        with pytest.raises(LoginFailed, match="The login is sent on to another origin"):
            auth(url).login(session)
        assert other.asked == []
    auth(url, allow_other_origin=True, success={"text": "Welcome"}).login(session)
    posted = (site if where == "here" else other).posted()[-1]
    assert (posted.path, posted.fields) == ("/acs", [("SAMLResponse", "a&b"), ("RelayState", "1")])


def test_a_password_that_no_page_asks_for_is_told(make_site: Any, reply: Any, session: Any) -> None:
    site = make_site()
    site.pages["/login"] = lambda asked: reply("<form method=post action=/in><input name=user></form>")
    site.pages["/in"] = lambda asked: reply("Please wait")
    with pytest.raises(LoginFailed, match="never asked for password"):
        auth(f"{site.url}/login").login(session)
    (posted,) = site.posted()
    assert posted.fields == [("user", USER)], "a secret goes only where it is asked for"


def test_pages_that_never_end_are_left(make_site: Any, reply: Any, session: Any) -> None:
    site = make_site()
    site.pages["/login"] = lambda asked: reply(SENT_ON.format("/login") + PAGE)
    site.pages["/in"] = lambda asked: reply(SENT_ON.format("/in"))
    auth(f"{site.url}/login").login(session)
    assert len(site.posted()) < 10


def test_a_second_page_elsewhere_gets_nothing(make_site: Any, reply: Any, session: Any) -> None:
    site, other = make_site(), make_site()
    site.pages["/login"] = lambda asked: reply("<form method=post action=/in><input name=user></form>")
    site.pages["/in"] = lambda asked: reply(status=302, location=f"{other.url}/login")
    other.pages["/login"] = lambda asked: reply(PAGE)
    with pytest.raises(LoginFailed, match="another origin"):
        auth(f"{site.url}/login").login(session)
    assert other.posted() == []
