"""The auth `cookies`."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import PluginContext
from argosy.config.schema import check
from argosy.errors import ArgosyError, ConfigError, LoginFailed
from argosy.models.cookie import Cookie
from argosy.plugins.manager import PluginManager
from argosy_plugins.auth.cookies import CookieImport
from argosy_plugins.auth.jar_formats import NotAJar, parse_jar

FUTURE = int(time.time()) + 86400


def load(tmp_path: Path, session: Any, content: str | bytes, mode: int = 0o600, **options: Any) -> list[str]:
    """Import a jar; return what the person is told."""
    path = tmp_path / "jar"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    notices: list[str] = []
    auth = CookieImport({"path": "jar", **options}, PluginContext(base=tmp_path, notice=notices.append))
    assert auth.can_login is False
    auth.login(session)
    return notices


def test_a_netscape_file_is_read(tmp_path: Path, session: Any) -> None:
    text = (
        "# Netscape HTTP Cookie File\r\n# https://curl.se/docs/http-cookies.html\n\n"
        f"#HttpOnly_.h.example\tTRUE\t/app\tTRUE\t{FUTURE}\ttoken\ta=b c\r\n"
        "h.example\tFALSE\t/\tFALSE\t0\tsession\tS\n"
        "H.example\tFALSE\t/\tFALSE\t-1\tempty\n"
        f"h.example FALSE / FALSE {FUTURE}.5 spaced v\n"
        f"h.example\tFALSE\t/\tFALSE\t{FUTURE}000\tmilli\tv\n"
        "h.example\tFALSE\t/\tFALSE\t1000\tpast\tgone\n"
    )
    notices = load(tmp_path, session, text)
    assert session.added == [
        Cookie("token", "a=b c", "h.example", "/app", FUTURE, secure=True, http_only=True, host_only=False),
        Cookie("session", "S", "h.example"),
        Cookie("empty", "", "h.example"),
        Cookie("spaced", "v", "h.example", expires=FUTURE + 0.5),
        Cookie("milli", "v", "h.example", expires=FUTURE),
    ]
    assert notices == [f"In {tmp_path / 'jar'}, these cookies have expired and were left out: past."]


def test_a_list_of_a_browser_extension_is_read(tmp_path: Path, session: Any) -> None:
    cookies = [
        {"name": "a", "value": "1", "domain": ".h.example", "hostOnly": False, "path": "/x", "secure": True,
         "httpOnly": True, "expirationDate": FUTURE + 0.25, "session": False, "sameSite": "lax", "storeId": "0"},
        {"name": "b", "value": "2", "domain": "h.example", "hostOnly": True, "session": True, "expirationDate": 5},
        {"name": "c", "value": "3", "domain": "h.example", "expiry": FUTURE},
        {"name": "d", "value": "4", "domain": "h.example", "expires": "2999-01-01T00:00:00Z"},
        {"name": "e", "value": "5", "domain": "h.example", "expires": "Session"},
    ]  # fmt: skip
    load(tmp_path, session, "\ufeff" + json.dumps(cookies))
    assert session.added == [
        Cookie("a", "1", "h.example", "/x", FUTURE + 0.25, secure=True, http_only=True, host_only=False),
        Cookie("b", "2", "h.example"),
        Cookie("c", "3", "h.example", expires=FUTURE),
        Cookie("d", "4", "h.example", expires=32472144000.0),
        Cookie("e", "5", "h.example"),
    ]


def test_a_storage_state_is_read(tmp_path: Path, session: Any) -> None:
    state = {
        "cookies": [{"name": "a", "value": "1", "domain": "h.example", "path": "/", "expires": -1}],
        "origins": [],
    }
    load(tmp_path, session, json.dumps(state))
    assert session.added == [Cookie("a", "1", "h.example")]


def test_a_dictionary_needs_a_site(tmp_path: Path, session: Any) -> None:
    load(tmp_path, session, '{"a": "1", "n": 2}', url="https://H.example/books")
    load(tmp_path, session, '{"a": "1"}', domain=".h.example")
    assert session.added == [
        Cookie("a", "1", "h.example", secure=True),
        Cookie("n", "2", "h.example", secure=True),
        Cookie("a", "1", "h.example", host_only=False),
    ]
    with pytest.raises(ConfigError, match=r'do not say which site.*"url"'):
        load(tmp_path, session, '{"a": "1"}')


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "not recognised"),
        ("hello\n", "not recognised"),
        ("<html>", "not recognised"),
        (b"\xff\xfe\x00", "not recognised"),
        ("{", "not recognised"),
        ('{"a": {"b": 1}}', "not recognised"),
        ('[1, "x"]', "not recognised"),
        ("# Netscape HTTP Cookie File\n", "no cookies in it.*export its cookies again"),
        ("[]", "no cookies in it"),
        ("h\tFALSE\t/\tFALSE\t1000\ta\tb\nh\tFALSE\t/\tFALSE\t2000\tc\td\n", "All 2 cookies .* have expired"),
    ],
)
def test_a_jar_that_is_none_says_what_to_do(tmp_path: Path, session: Any, content: str | bytes, found: str) -> None:
    with pytest.raises(LoginFailed, match=found):
        load(tmp_path, session, content)
    assert session.added == []


def test_each_of_several_files_is_a_session(tmp_path: Path, session: Any) -> None:
    for number in (1, 2):
        (tmp_path / f"jar-{number}").write_text(f"h\tFALSE\t/\tFALSE\t0\ta\t{number}")
    (tmp_path / "jar-2").chmod(0o644)
    (tmp_path / "jar-1").chmod(0o600)
    notices: list[str] = []
    auth = CookieImport({"path": ["jar-1", "jar-2"]}, PluginContext(base=tmp_path, notice=notices.append))
    assert auth.session_count == 2
    for session.number in (1, 2):
        auth.login(session)
    assert [cookie.value for cookie in session.added] == ["1", "2"]
    assert [("jar-2" in notice, "chmod" in notice) for notice in notices] == [(True, True)]


def test_one_session_is_not_used_twice(tmp_path: Path, session: Any) -> None:
    """Two records with one token would each send it after the other's request has replaced it."""
    for name in ("jar", "copy"):
        (tmp_path / name).write_text("h\tFALSE\t/\tFALSE\t0\ta\tb")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "link").symlink_to("jar")
    for paths in (["jar", "link"], ["jar", "./jar"]):
        with pytest.raises(ConfigError, match="names one file twice"):
            CookieImport({"path": paths}, PluginContext(base=tmp_path))
    auth = CookieImport({"path": ["jar", "copy"]}, PluginContext(base=tmp_path))
    auth.login(session)
    session.number = 2
    with pytest.raises(LoginFailed, match=r"jar and .*copy hold the same session"):
        auth.login(session)
    assert len(session.added) == 1


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path, session: Any) -> None:
    auth = CookieImport({"path": "jar"}, PluginContext(base=tmp_path))
    with pytest.raises(LoginFailed, match=r"jar does not exist"):
        auth.login(session)
    (tmp_path / "jar").mkdir()
    with pytest.raises(LoginFailed, match=r"jar cannot be read: Is a directory"):
        auth.login(session)


TWO_SITES = (
    "www.h.co.uk\tFALSE\t/\tFALSE\t0\ta\t1\n.h.co.uk\tTRUE\t/\tFALSE\t0\tb\t2\n.ads.co.uk\tTRUE\t/\tFALSE\t0\tc\t3\n"
)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"url": "https://files.h.co.uk/books"}, ["a", "b"]),
        ({"url": ["https://h.co.uk/", "https://ads.co.uk/"]}, ["a", "b", "c"]),
        ({"domain": "ads.co.uk"}, ["c"]),
        ({}, ["a", "b", "c"]),
    ],
)
def test_cookies_of_the_site_alone_are_taken(
    tmp_path: Path, session: Any, options: dict[str, Any], names: list[str]
) -> None:
    notices = load(tmp_path, session, TWO_SITES, **options)
    assert [cookie.name for cookie in session.added] == names
    assert ["are those of 2 sites (ads.co.uk, h.co.uk)" in notice for notice in notices] == [True] * (not options)


def test_a_jar_of_another_site_says_whose_it_is(tmp_path: Path, session: Any) -> None:
    with pytest.raises(LoginFailed, match=r"another site: ads.co.uk, h.co.uk, and none are for x.co.uk. Export"):
        load(tmp_path, session, TWO_SITES, url="https://x.co.uk/")
    assert session.added == []


@pytest.mark.parametrize(
    ("options", "good"),
    [
        ({"path": "a"}, True),
        ({"browser": "firefox", "url": "https://h/"}, True),
        ({"browser": "chromium", "profile": "p", "domain": "h"}, True),
        ({"browser": "firefox"}, False),
        ({"browser": "netscape", "url": "https://h/"}, False),
        ({"path": "a", "browser": "firefox", "url": "https://h/"}, False),
        ({"path": "a", "profile": "p"}, False),
        ({"path": "a", "url": "https://h/", "domain": "h"}, False),
        ({}, False),
    ],
)
def test_the_options_go_together(options: dict[str, Any], good: bool) -> None:
    problems = check({"auth": {"use": "cookies", **options}}, PluginManager(), "argosy.json")
    assert (not problems) == good, problems


@pytest.mark.parametrize("options", [{"url": "h.example"}, {"url": "https://u:hunter2@h/"}, {"domain": "https://h"}])
def test_a_site_that_is_none_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        CookieImport({"path": "jar", **options}, PluginContext(base=tmp_path))
    assert "hunter2" not in str(caught.value)


def test_a_jar_that_others_can_read_is_told(tmp_path: Path, session: Any) -> None:
    (notice,) = load(tmp_path, session, "h\tFALSE\t/\tFALSE\t0\ta\tb", mode=0o644)
    assert "chmod 600" in notice


def test_what_is_no_cookie_is_left_out_and_told(tmp_path: Path, session: Any) -> None:
    text = "h\tFALSE\t/\tFALSE\t0\ta\tb\nh\tMAYBE\t/\tFALSE\t0\ta\thunter2\nh\tFALSE\t/\tFALSE\tsoon\ta\tb\n"
    notices = load(tmp_path, session, text)
    assert len(session.added) == 1
    assert notices == [f"In {tmp_path / 'jar'}, these are not cookies and were left out: line 2, line 3."]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\0", "a; b=c"])
def test_a_value_that_could_end_a_header_is_left_out(value: str) -> None:
    entry = {"name": "a", "value": value, "domain": "h"}
    jar = parse_jar(json.dumps([entry, {**entry, "value": "ok"}]))
    assert [cookie.value for cookie in jar.cookies] == ["ok"]
    assert jar.left_out == ["cookie 1"]


@given(st.text())
def test_any_text_is_a_jar_or_none(text: str) -> None:
    try:
        jar = parse_jar(text)
    except (NotAJar, ArgosyError):
        return
    assert all(cookie.domain and "\n" not in cookie.value for cookie in jar.cookies)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["name", "value", "domain", "path", "expires", "cookies", "secure"]), inner)
    ),
)


@given(JSON)
def test_any_json_is_a_jar_or_none(value: object) -> None:
    try:
        jar = parse_jar(json.dumps(value))
    except NotAJar:
        return
    assert all(isinstance(cookie.value, str) for cookie in jar.cookies)


def test_a_refusal_is_judged_by_the_shared_rules(tmp_path: Path) -> None:
    from argosy import ResponseHead

    auth = CookieImport({"path": "jar", "refusal": {"statuses": [418]}}, PluginContext(base=tmp_path))
    assert auth.is_refusal(ResponseHead("https://h/1", "https://h/1", 418, {}))
    assert not auth.is_refusal(ResponseHead("https://h/1", "https://h/1", 403, {}))
