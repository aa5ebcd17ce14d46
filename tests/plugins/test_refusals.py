"""What counts as a refusal."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from argosy import ResponseHead
from argosy.toolkit.forms import parse_page
from argosy_plugins.refusals import RefusalRules, refusal_schema

LOGIN = b"<!doctype html><form action=/in><INPUT NAME=p TYPE='Password'></form>"


def judged(
    final: str = "https://h/1",
    status: int = 200,
    start: bytes = b"",
    asked: str = "https://h/1",
    headers: dict[str, str] | None = None,
    accept: str = "*/*",
    body: bytes | None = None,
    **rules: Any,
) -> bool:
    jsonschema.validate(rules, refusal_schema())
    made = RefusalRules.from_options({"refusal": rules} if rules else {})
    fields = CaseInsensitiveDict(headers or {})
    read = None if body is None else lambda: body[:65536]
    return made.is_refusal(ResponseHead(asked, final, status, fields, start, accept, read))


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


# -- refusals that are not HTML


def test_a_marker_counts_in_any_body() -> None:
    assert judged(body=b"\x00PREVIEW\x00", marker="PREVIEW")
    assert judged(body=b"PREVIEW", marker="PREVIEW", status=404)
    assert not judged(body=b"\x00book\x00", marker="PREVIEW")
    assert not judged(body=b" " * 65536 + b"PREVIEW", marker="PREVIEW")


@pytest.mark.parametrize("path", ["error.code", "/error/code", "list.1.code", "/list/1/code", "/a~1b~0c", "a/b~c"])
def test_a_json_value_is_a_refusal(path: str) -> None:
    body = b'{"error": {"code": "expired"}, "list": [0, {"code": "expired"}], "a/b~c": "expired"}'
    assert judged(body=body, json={"path": path, "value": "expired"})
    assert judged(body=body, json={"path": path, "value": ["revoked", "expired"]})
    assert judged(body=body, json={"path": path}, status=400)
    assert not judged(body=body, json={"path": path, "value": "revoked"})
    assert not judged(body=body, json={"path": path, "value": []})


def test_a_json_value_keeps_its_type() -> None:
    assert judged(body=b'{"ok": false}', json={"path": "ok", "value": False})
    assert not judged(body=b'{"ok": 0}', json={"path": "ok", "value": False})
    assert judged(body=b'{"status": 401}', json={"path": "status", "value": 401})
    assert not judged(body=b'{"status": "401"}', json={"path": "status", "value": 401})
    assert judged(body=b'{"error": false}', json={"path": "error"})
    assert not judged(body=b'{"error": null}', json={"path": "error"})


@pytest.mark.parametrize(
    "body",
    [b"", b"%PDF-1.7", b"[]", b"[1, 2]", b"1", b'"code"', b"null", b'{"error": "code"}', b'{"error": []}',
     b'{"error": {"code": ' + b"[" * 60000, b'{"error": {"code": "' + b"x" * 65536 + b'"}}', b"\xff" * 9,
     b'{"error": {"code": ' + b"9" * 5000 + b"}}"],
)  # fmt: skip
def test_any_other_body_has_no_json_value(body: bytes) -> None:
    assert not judged(body=body, json={"path": "error.code"})
    assert not judged(body=body, json={"path": "/error/code"})


def test_another_content_type_is_a_refusal() -> None:
    types = ["application/pdf", "Image/*"]
    for declared in ("application/pdf", "Application/PDF; x=1", "image/png"):
        assert not judged(headers={"content-type": declared}, body=b"", content_types=types)
    for declared in ("text/html", "application/pdfx", "application/json", ""):
        assert judged(headers={"content-type": declared}, body=b"", content_types=types)
    assert judged(body=b"", content_types=types)


def test_a_small_body_is_a_refusal() -> None:
    assert judged(headers={"content-length": "99"}, body=b"x" * 99, min_size=100)
    assert not judged(headers={"content-length": "100"}, body=b"x" * 99, min_size=100)
    assert judged(body=b"x" * 99, min_size=100)
    assert not judged(body=b"x" * 100, min_size=100)
    assert judged(headers={"content-length": "100", "content-encoding": "gzip"}, body=b"x" * 99, min_size=100)
    assert judged(headers={"content-length": "100", "transfer-encoding": "chunked"}, body=b"x" * 99, min_size=100)
    assert judged(headers={"content-length": "100, 100"}, body=b"x" * 99, min_size=100)
    assert not judged(headers={"content-length": "9" * 9000}, body=b"x" * 99, min_size=100)
    # without a length, no more is known than what was read
    assert not judged(body=b"x" * 65536, min_size=1_000_000)
    assert judged(headers={"content-length": "65536"}, body=b"x" * 65536, min_size=1_000_000)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 404, 500])
def test_other_statuses_need_no_type_and_no_size(status: int) -> None:
    assert not judged(status=status, body=b"", content_types=["application/pdf"], min_size=100)


def test_a_body_that_is_not_whole_needs_no_type_and_no_size() -> None:
    """As of HEAD, or a part."""
    assert not judged(content_types=["application/pdf"], min_size=100, marker="x", json={"path": "x"})


def test_without_rules_for_it_a_body_is_not_read() -> None:
    def read() -> bytes:
        raise AssertionError("it was read")

    head = ResponseHead("https://h/1", "https://h/1", 200, {"Content-Type": "application/pdf"}, body=read)
    assert not RefusalRules().is_refusal(head)
    assert not RefusalRules(content_types=["application/pdf"]).is_refusal(head)
