"""Keeping secrets out of text."""

from __future__ import annotations

import json
import pickle
import traceback

import pytest

from argosy.errors import ConfigError, Problem
from argosy.toolkit.redaction import REMEMBERED, Redactor
from argosy_devkit.contracts.waiting import Thread


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    for secret in ("difference engine", "tok.en+1/2=", "tok.en+1/2=longer"):
        made.add(secret)
    return made


def test_known_secrets_are_replaced(redactor: Redactor) -> None:
    text = "login with 'difference engine' gave tok.en+1/2=, difference engine"
    assert redactor.scrub(text) == "login with '***' gave ***, ***"


def test_a_secret_that_holds_another_goes_as_a_whole(redactor: Redactor) -> None:
    assert redactor.scrub("tok.en+1/2=longer") == "***"


def test_text_without_secrets_stays(redactor: Redactor) -> None:
    text = "5 of 7 books from library.example (difference: 2)"
    assert redactor.scrub(text) == text


def test_short_values_do_not_blot_out_text(redactor: Redactor) -> None:
    for value in ("", "1", "abc"):
        redactor.add(value)
    assert redactor.scrub("abc 1") == "abc 1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET https://ada:pw@library.example/b?id=7.", "GET https://***@library.example/b?id=7."),
        ("'https://l.example/?access_token=abc&n=1'", "'https://l.example/?access_token=***&n=1'"),
        ("a https://l.example/x;jsessionid=A1 b", "a https://l.example/x;jsessionid=*** b"),
        ("HTTPS://l.example/?Sig=x", "HTTPS://l.example/?Sig=***"),
        ("<https://l.example/?code=1>", "<https://l.example/?code=***>"),
    ],
)
def test_credentials_in_urls_are_replaced(text: str, shown: str) -> None:
    assert Redactor().scrub(text) == shown


def test_the_newest_tokens_are_remembered(redactor: Redactor) -> None:
    last = 3 * REMEMBERED
    for number in range(last):
        redactor.add(f"token-{number:05}")
        redactor.add("difference engine")  # used again and again, so it stays
    for number in (last - 1, last - REMEMBERED + 1):
        assert redactor.scrub(f"token-{number:05} difference engine") == "*** ***"
    assert redactor.scrub("token-00000") == "token-00000"


def test_threads_may_add_while_text_is_scrubbed(redactor: Redactor) -> None:
    def add(part: int) -> None:
        for number in range(500):
            redactor.add(f"secret-{part}-{number}")

    threads = [Thread(lambda part=part: add(part)) for part in range(3)]  # type: ignore[misc]  # a default binds it
    for _ in range(200):
        assert redactor.scrub("difference engine") == "***"
    for thread in threads:
        thread.result()


def test_a_secret_is_known_however_it_is_written() -> None:
    secret = 'pä"ss & 50%/+'
    redactor = Redactor()
    redactor.add(secret)
    for written in (
        secret,
        "p%C3%A4%22ss%20%26%2050%25%2F%2B",
        "p%C3%A4%22ss%20%26%2050%25/%2B",
        "p%C3%A4%22ss+%26+50%25%2F%2B",
        'p\\u00e4\\"ss & 50%/+',
    ):
        assert redactor.scrub(f"x={written}&") == "x=***&"


def test_values_are_scrubbed_and_keep_their_types(redactor: Redactor) -> None:
    value = {"a": ["difference engine", 7, None, {"b": ("x difference engine", True)}], "c": 1.5}
    assert redactor.scrub(value) == {"a": ["***", 7, None, {"b": ("x ***", True)}], "c": 1.5}


def test_an_error_is_scrubbed_with_its_fields_and_without_its_chain(redactor: Redactor) -> None:
    problem = Problem("a.json: difference engine", "difference engine", "another")
    error = ConfigError("no difference engine", (problem,), hint="hide difference engine")
    error.__cause__ = error.__context__ = ValueError("difference engine")
    assert redactor.scrub_error(error) is error
    assert str(error) == "no *** hide ***\n  a.json: ***: ***; another"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "engine" not in "".join(traceback.format_exception(error)) + repr(vars(error))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/it's/0?page=2&token=abcdefgh", "https://h/it's/0?page=2&token=***"),
        ("'https://h/?token=abcdefgh', next", "'https://h/?token=***', next"),
        ("(see https://h/?token=abcdefgh).", "(see https://h/?token=***)."),
        ("<https://h/?token=abcdefgh>", "<https://h/?token=***>"),
        ("https://h/it's, and https://u:p@h/", "https://h/it's, and https://***@h/"),
    ],
)
def test_an_apostrophe_ends_no_url(text: str, shown: str) -> None:
    assert Redactor().scrub(text) == shown


def test_what_is_shown_steers_no_terminal_and_what_is_kept_stays(redactor: Redactor) -> None:
    text = "difference engine\x1b]52;c;cm0=\x07\x9b\u202e"
    assert redactor.redact(text) == "***\x1b]52;c;cm0=\x07\x9b\u202e"
    assert redactor.scrub(text) == "***\\u001b]52;c;cm0=\\u0007\\u009b\\u202e"
    assert json.loads(redactor.json({"a": [text]})) == {"a": [redactor.redact(text)]}
    assert redactor.json({"a": [text]}).isprintable()
