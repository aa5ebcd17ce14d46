"""What counts as a refusal."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import ResponseHead
from argosy.toolkit.forms import parse_page
from argosy.toolkit.login_pages import RefusalRules, refusal_schema

LOGIN = b"<!doctype html><form action=/in><INPUT NAME=p TYPE='Password'></form>"


def judged(
    final: str = "https://h/1",
    status: int = 200,
    start: bytes = b"",
    asked: str = "https://h/1",
    headers: dict[str, str] | None = None,
    accept: str = "*/*",
    **rules: Any,
) -> bool:
    jsonschema.validate(rules, refusal_schema())
    made = RefusalRules.from_options({"refusal": rules} if rules else {})
    return made.is_refusal(ResponseHead(asked, final, status, headers or {}, start, accept))


@pytest.mark.parametrize("status", [401, 403, 419, 440])
def test_a_status_is_a_refusal(status: int) -> None:
    assert judged(status=status)
    assert not judged(status=status, statuses=[])
    assert judged(status=418, statuses=[418])


def test_a_challenge_says_what_is_refused() -> None:
    """RFC 6750 section 3.1."""
    assert judged(status=400, headers={"WWW-Authenticate": 'Bearer realm="x", error="invalid_token"'})
    assert judged(status=401, headers={"WWW-Authenticate": 'Bearer realm="x"'})
    assert not judged(status=403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="a"'})
    assert not judged(status=400, headers={"WWW-Authenticate": 'Bearer error="invalid_request"'})


@pytest.mark.parametrize("status", [200, 206, 304, 404, 416, 429, 500, 503])
def test_other_statuses_are_none(status: int) -> None:
    assert not judged(status=status)


@pytest.mark.torture(8)
@pytest.mark.parametrize(
    "path",
    ["login", "Login?next=/1", "login/", "login.php", "users/sign_in", "signin", "sign-in", "auth/login", "cas/login",
     "sso", "saml2/idp", "oauth2/v2.0/authorize", "accounts/login/", "session/new", "x/login;jsessionid=1",
     "wp-login.php", "Account/Login?ReturnUrl=%2F1", "realms/x/protocol/openid-connect/auth?client_id=a",
     "Shibboleth.sso/Login", "idp/profile/SAML2/Redirect/SSO?SAMLRequest=x", "adfs/ls/?wa=wsignin1.0",
     "go?SAMLRequest=x&RelayState=y", "a?response_type=code&client_id=b&redirect_uri=c", "admin/login/?next=/1"],
)  # fmt: skip
def test_a_redirect_to_a_login_page_is_a_refusal(path: str) -> None:
    assert judged(f"https://h/{path}")


@pytest.mark.parametrize(
    "path",
    [
        "2",
        "login-howto.html",
        "books/logins",
        "blog/in",
        "1?back=/login",
        "assigning",
        "auth/1",
        "1?client_id=2",
    ],
)
def test_a_redirect_elsewhere_is_none(path: str) -> None:
    assert not judged(f"https://h/{path}")


def test_a_login_page_that_was_asked_for_is_none() -> None:
    assert not judged("https://h/login/2", asked="https://h/login/1")


def test_redirects_may_be_named() -> None:
    assert judged("https://Login.h/?x", redirects=["login.h/"])
    assert not judged("https://h/login", redirects=["login.h/"])


def test_a_page_with_a_password_form_is_a_refusal() -> None:
    assert judged(start=LOGIN)
    assert not judged(start=LOGIN, password_form=False)
    assert not judged(start=LOGIN, status=404)
    assert not judged(start=b"<p>the tag &lt;input type=password&gt;</p><!-- <form><input type=password> -->")
    assert not judged(start=b"<input type=password>")
    assert not judged(start=b" " * 65536 + LOGIN)


def test_a_marker_is_a_refusal() -> None:
    assert judged(start="<p>Bitte anmelden für</p>".encode(), marker="anmelden für")
    assert not judged(start=b"<p>book</p>", marker="anmelden")


def test_a_form_that_is_cut_is_still_seen() -> None:
    page = parse_page("<form><input type=password name=p><p>" + "x" * 100 + "<inp")
    assert page.forms[0].passwords == ["p"]


def test_a_page_that_sends_on_to_a_login_is_a_refusal() -> None:
    """By itself, or by a script that submits a form (SAML 2.0 bindings section 3.5)."""
    for content in ("0;url=/login", "0; URL='https://sso.h/login?back=1'", "1.5, url=login.php"):
        assert judged(start=f'<meta http-equiv="Refresh" content="{content}">'.encode()), content
    for content in (
        "0;url=/2",
        "30;url=/login",
        "0",
        "url=/login",
        "0;to=/login",
        "0;url=" + " " * 60000 + "x",
    ):
        assert not judged(start=f"<meta http-equiv=refresh content='{content}'>".encode()), content
    saml = b"<form method=post action=https://idp/><input type=hidden name=SAMLRequest value=x></form>"
    assert judged(start=saml)
    assert not judged(start=saml, redirects=["idp/login"])
    assert judged(start=b"<meta http-equiv=refresh content='0;url=https://idp/login'>", redirects=["idp/login"])


HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.torture(8)
@pytest.mark.parametrize("path", ["a.pdf", "A.PDF?x=1", "data/x.json", "b/archive.tar.gz", "v/clip.mp4", "p.jpeg"])
def test_html_for_a_file_is_a_refusal(path: str) -> None:
    """As of a page that a script makes, in which there is nothing to see."""
    asked = f"https://h/{path}"
    assert judged(asked, asked=asked, headers=HTML, start=b"<div id=app></div>")
    assert judged("https://h/home", asked=asked, headers=HTML)
    assert not judged(asked, asked=asked, headers=HTML, html_for_files=False)
    assert not judged(asked, asked=asked, headers=HTML, status=404)
    assert not judged(asked, asked=asked, headers={"Content-Type": "application/octet-stream"})


@pytest.mark.parametrize("path", ["1", "a.html", "a.php", "wiki/File:Cat.jpg", "a.pdf/", "show?file=a.pdf", "v1.2"])
def test_html_elsewhere_is_none(path: str) -> None:
    assert not judged(f"https://h/{path}", asked=f"https://h/{path}", headers=HTML)


def test_html_for_a_request_that_accepts_none_is_a_refusal() -> None:
    assert judged(headers=HTML, accept="application/json")
    for accept in ("*/*", "application/json, */*;q=0.1", "text/html", "text/*", "application/xhtml+xml"):
        assert not judged(headers=HTML, accept=accept)


@given(st.text(st.sampled_from("<>=/\"' !-&;formputselctarp")))
def test_any_page_can_be_parsed(text: str) -> None:
    assert isinstance(parse_page(text).forms, list)


def test_unknown_keys_are_no_rules() -> None:
    with pytest.raises(jsonschema.ValidationError):
        judged(status=200, status_codes=[401])
