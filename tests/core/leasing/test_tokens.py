"""Which changes of cookies replace a token, and which of two answers that overlapped is kept."""

from __future__ import annotations

import pytest

from argosy.cookies import jar
from argosy.leasing.policy import SLIGHT, Tokens, slight
from argosy.models.cookie import Cookie

URL = "https://library.example/books/1"
HOST = "library.example"
NOW = 1_700_000_000.0
BEFORE = (
    Cookie("token", "1", HOST),
    Cookie("check", "1", HOST),
    Cookie("visits", "7", HOST, expires=NOW + 3600),
    Cookie("elsewhere", "1", HOST, "/elsewhere"),
)
SENT = tuple(jar.matching(BEFORE, URL, NOW))
ALL = Tokens()
NAMED = Tokens.named(["token", "check"])


def after(*headers: str, before: jar.Jar = BEFORE) -> jar.Jar:
    return jar.settle(before, headers, URL, NOW)


def values(cookies: jar.Jar) -> dict[str, str]:
    return {cookie.name: cookie.value for cookie in cookies}


@pytest.mark.parametrize(
    ("headers", "by_all", "by_named"),
    [
        pytest.param([], False, False, id="nothing"),
        pytest.param(["token=2; Path=/"], True, True, id="another value"),
        pytest.param(["token=1; Path=/"], False, False, id="the same"),
        pytest.param(["token=1; Path=/; Max-Age=60"], False, False, id="a later end"),
        pytest.param(["token=2; Path=/; Domain=library.example"], True, True, id="another flag"),
        pytest.param(["token=2; Path=/books"], True, True, id="under another path"),
        pytest.param(["token=1; Path=/books"], False, False, id="the same under another path"),
        pytest.param(["visits=8; Path=/"], True, False, id="of statistics"),
        pytest.param(["fresh=1; Path=/"], False, False, id="a new one"),
        pytest.param(["elsewhere=2; Path=/elsewhere"], False, False, id="one that was not sent"),
        pytest.param(["token=; Path=/; Max-Age=0"], False, False, id="deleted"),
        pytest.param(["token=; Path=/; Max-Age=0", "token2=2; Path=/"], True, False, id="renamed"),
        pytest.param(["visits=; Path=/; Max-Age=0", "check=2; Path=/"], True, True, id="two things"),
    ],
)
def test_what_replaces_a_token(headers: list[str], by_all: bool, by_named: bool) -> None:
    assert ALL.replaced(SENT, BEFORE, after(*headers)) is by_all
    assert NAMED.replaced(SENT, BEFORE, after(*headers)) is by_named


def test_without_a_token_in_the_request_nothing_is_replaced() -> None:
    assert not Tokens.named(["other"]).replaced(SENT, BEFORE, after("token=2; Path=/"))
    assert not ALL.replaced((), BEFORE, after("token=2; Path=/"))


def test_one_name_is_no_list_of_letters() -> None:
    assert Tokens.named("token").names == {"token"}


def test_lifetimes_and_strangers_make_no_newer_token() -> None:
    assert ALL.same(BEFORE, after("token=1; Path=/; Max-Age=60"))
    assert not ALL.same(BEFORE, after("visits=8; Path=/"))
    assert NAMED.same(BEFORE, after("visits=8; Path=/"))
    assert not NAMED.same(BEFORE, after("check=2; Path=/"))


@pytest.mark.parametrize("tokens", [ALL, NAMED])
def test_the_first_of_two_answers_wins(tokens: Tokens) -> None:
    newest = after("token=2; Path=/")
    merged = tokens.merge(newest, BEFORE, after("token=stranger; Path=/", "fresh=1; Path=/"))
    assert values(merged) == {**values(newest), "fresh": "1"}
    assert tokens.merge(newest, BEFORE, after("token=; Path=/; Max-Age=0")) is newest


def test_what_a_sibling_did_not_touch_is_merged() -> None:
    newest = after("visits=8; Path=/")
    assert values(ALL.merge(newest, BEFORE, after("visits=9; Path=/", "token=2; Path=/")))["token"] == "2"
    assert "visits" not in values(ALL.merge(BEFORE, BEFORE, after("visits=; Path=/; Max-Age=0")))


def test_named_tokens_are_one_set() -> None:
    newest = after("token=2; Path=/")
    merged = NAMED.merge(newest, BEFORE, after("token=3; Path=/", "check=3; Path=/", "visits=8; Path=/"))
    assert values(merged) == {**values(newest), "visits": "8"}


def test_a_session_is_over_with_its_last_token() -> None:
    gone = after("token=; Path=/; Max-Age=0", "check=; Path=/; Max-Age=0")
    assert NAMED.over(BEFORE, gone)
    assert not ALL.over(BEFORE, gone)
    assert ALL.over(BEFORE, ())
    assert not ALL.over((), ())


@pytest.mark.parametrize(("seconds", "is_slight"), [(3600, True), (3900, True), (4100, False), (60, False)])
def test_ends_that_move_a_little_are_slight(seconds: int, is_slight: bool) -> None:
    assert SLIGHT == 0.1
    assert slight(BEFORE, after(f"visits=7; Path=/; Max-Age={seconds}"), NOW) is is_slight


@pytest.mark.parametrize("header", ["visits=8; Max-Age=3600", "visits=7", "visits=7; Max-Age=3600; HttpOnly"])
def test_what_is_not_slight(header: str) -> None:
    assert not slight(BEFORE, after(f"{header}; Path=/"), NOW)
    assert not slight(BEFORE, BEFORE[:-1], NOW)
