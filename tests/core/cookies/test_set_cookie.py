"""Reading Set-Cookie and cookie dates, by RFC 6265bis sections 5.1.1 and 5.6."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.cookies.jar import MAX_PAIR, SetCookie, parse_cookie_date, parse_set_cookie

WHEN = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


def _parse(header: str) -> SetCookie:
    parsed = parse_set_cookie(header)
    assert parsed is not None, header
    return parsed


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("token=abc", "token", "abc"),
        ("  token \t=  a b c \t; Path=/", "token", "a b c"),
        ("token=", "token", ""),
        ("token=a=b==", "token", "a=b=="),
        ('token="quoted"', "token", '"quoted"'),
        ("=value", "", "value"),
        ("value", "", "value"),
        ("t\xf6ken=\xe9", "t\xf6ken", "\xe9"),
        ("token=a,b", "token", "a,b"),
        ("token=a\tb", "token", "a\tb"),
        ("token=abc;\r\n Path=/", "token", "abc"),
        ("token=" + "x" * 4000, "token", "x" * 4000),
    ],
)
def test_name_and_value(header: str, name: str, value: str) -> None:
    parsed = _parse(header)
    assert (parsed.name, parsed.value) == (name, value)


@pytest.mark.parametrize("header", ["", ";", "=", " = ; Path=/", "; token=abc"])
def test_a_pair_of_nothing_is_ignored(header: str) -> None:
    assert parse_set_cookie(header) is None


@pytest.mark.parametrize("character", ["\x00", "\x08", "\n", "\r", "\x1f", "\x7f"])
def test_control_characters_make_it_ignored(character: str) -> None:
    assert parse_set_cookie(f"token=a{character}b; Path=/") is None
    assert parse_set_cookie(f"token=ab; Path={character}/") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("0", 0),
        ("-1", -1),
        ("007", 7),
        ("000000000000003600", 3600),
        ("9" * 1000, 9_999_999_999),
        ("9" * 5000, 0),
        ("3600.5", None),
        ('"3600"', None),
        ("", None),
        ("+5", None),
        ("1e3", None),
        ("\u0663", None),
        ("5 5", None),
    ],
)
def test_max_age(text: str, seconds: int | None) -> None:
    parsed = _parse(f"token=abc; Max-Age={text}; Path=/a")
    assert (parsed.value, parsed.path) == ("abc", "/a"), "the cookie stays, whatever its Max-Age"
    assert parsed.max_age == (seconds if len(text) <= 1024 else None)


def test_the_last_attribute_that_can_be_read_wins() -> None:
    parsed = _parse("a=b; max-age=1; MAX-AGE=2; Max-Age=x; Domain=a.example; domain=.B.Example; path=/x; Path=/y")
    assert (parsed.max_age, parsed.domain, parsed.path) == (2, "b.example", "/y")
    assert _parse("a=b; Path=/x; Path=relative").path is None


def test_flags_and_unknown_attributes() -> None:
    parsed = _parse("a=b; SECURE; httponly=whatever; SameSite=Odd; Priority=High; ; =; ==x")
    assert (parsed.secure, parsed.http_only) == (True, True)
    assert _parse("a=b; Domain=; Path=").domain is None
    assert _parse("a=b; Path=/" + "x" * 2000).path is None


def test_it_does_not_show_the_value() -> None:
    assert "s3cret" not in repr(_parse("token=s3cret"))


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37",
        "6 november 94 8:49:37",
        "08:49:37 1994 06 Nov",
        "Nov;6,1994/08:49:37PM",
        "Sun, 06 Nov 1994 08:49:37 +0200 (CEST) and more",
    ],
)
def test_dates(text: str) -> None:
    assert parse_cookie_date(text) == WHEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "06 Nov 1994",
        "08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1600 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 006 Nov 19945 08:49:377 GMT",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_cookie_date(text) is None
    assert _parse(f"token=abc; Expires={text}").expires is None


@given(st.text())
def test_nothing_raises(text: str) -> None:
    parse_set_cookie(text)
    parse_cookie_date(text)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")))
def test_whatever_the_attributes_the_cookie_stays(garbage: str) -> None:
    parsed = parse_set_cookie(f"token=abc; {garbage}")
    assert parsed is not None
    assert (parsed.name, parsed.value) == ("token", "abc")


@given(
    st.lists(
        st.tuples(st.sampled_from(["Max-Age", "Expires", "Path", "Secure", "SameSite"]), st.text('0159.-:;/ "GNov'))
    )
)
def test_known_attributes_with_garbage_do_not_raise(pairs: list[tuple[str, str]]) -> None:
    header = "token=abc" + "".join(f"; {name}={text}" for name, text in pairs)
    assert _parse(header).value == "abc"


def test_a_cookie_that_is_too_long_is_ignored() -> None:
    assert parse_set_cookie(f"name={'x' * (MAX_PAIR - 4)}") is not None
    assert parse_set_cookie(f"name={'x' * (MAX_PAIR - 3)}") is None
