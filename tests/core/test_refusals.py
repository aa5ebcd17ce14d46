"""What counts as a refusal."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import ResponseHead
from argosy.html_forms import has_password_form, parse_page
from argosy.refusals import REFUSAL_SCHEMA, RefusalRules

LOGIN = b"<!doctype html><form action=/in><INPUT NAME=p TYPE='Password'></form>"


def judged(
    final: str = "https://h/1",
    status: int = 200,
    start: bytes = b"",
    asked: str = "https://h/1",
    **rules: Any,
) -> bool:
    jsonschema.validate(rules, REFUSAL_SCHEMA)
    made = RefusalRules.from_options({"refusal": rules} if rules else {})
    return made.is_refusal(ResponseHead(asked, final, status, {}, start))


@pytest.mark.parametrize("status", [401, 403])
def test_a_status_is_a_refusal(status: int) -> None:
    assert judged(status=status)
    assert not judged(status=status, statuses=[])
    assert judged(status=419, statuses=[419])


@pytest.mark.parametrize("status", [200, 206, 304, 404, 416, 429, 500, 503])
def test_other_statuses_are_none(status: int) -> None:
    assert not judged(status=status)


@pytest.mark.torture(8)
@pytest.mark.parametrize(
    "path",
    ["login", "Login?next=/1", "login/", "login.php", "users/sign_in", "signin", "sign-in", "auth/login", "cas/login",
     "sso", "saml2/idp", "oauth2/v2.0/authorize", "accounts/login/", "session/new", "x/login;jsessionid=1"],
)  # fmt: skip
def test_a_redirect_to_a_login_page_is_a_refusal(path: str) -> None:
    assert judged(f"https://h/{path}")


@pytest.mark.parametrize(
    "path", ["2", "login-howto.html", "books/logins", "blog/in", "1?back=/login", "assigning"]
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
    assert has_password_form(b"<form><input type=password name=p><p>" + b"x" * 100 + b"<inp")


@given(st.text(st.sampled_from("<>=/\"' !-&;formputselctarp")))
def test_any_page_can_be_parsed(text: str) -> None:
    assert isinstance(parse_page(text).forms, list)


def test_unknown_keys_are_no_rules() -> None:
    with pytest.raises(jsonschema.ValidationError):
        judged(status=200, status_codes=[401])
