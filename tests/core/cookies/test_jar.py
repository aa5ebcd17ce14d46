"""Which cookies are kept, and which are sent, by RFC 6265bis sections 5.7 and 5.8."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.cookies.jar import (
    MAX_AGE,
    MAX_COOKIES,
    MAX_OF_DOMAIN,
    Jar,
    concerns,
    cookie_header,
    default_path,
    domain_match,
    matching,
    path_match,
    settle,
    within_bounds,
)
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy.toolkit.hosts import is_public_suffix

NOW = 1_800_000_000.0
URL = "https://www.library.example/books/1"


def _one(header: str, url: str = URL, date: str | None = None) -> Cookie | None:
    jar = settle((), [header], url, NOW, date)
    return jar[0] if jar else None


# -- lifetime


@pytest.mark.parametrize("age", ["3600.5", '"3600"', "", "soon", "+60"])
def test_a_max_age_that_cannot_be_read_costs_no_cookie(age: str) -> None:
    cookie = _one(f"token=abc; Path=/; Max-Age={age}")
    assert cookie is not None
    assert cookie.expires is None


def test_max_age_wins_over_expires_and_is_capped() -> None:
    cookie = _one(f"token=abc; Max-Age=60; Expires={formatdate(NOW + 9999)}")
    assert cookie is not None
    assert cookie.expires == NOW + 60
    forever = _one("token=abc; Max-Age=99999999999")
    assert forever is not None
    assert forever.expires == NOW + MAX_AGE


@pytest.mark.parametrize("attribute", ["Max-Age=0", "Max-Age=-5", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_cookie_is_deleted(attribute: str) -> None:
    jar = settle((), ["token=abc; Path=/", "other=1; Path=/"], URL, NOW)
    left = settle(jar, [f"token=; Path=/; {attribute}"], URL, NOW)
    assert [cookie.name for cookie in left] == ["other"]
    assert settle(left, [f"token=; Path=/; {attribute}"], URL, NOW) is left


@pytest.mark.parametrize("offset", [-10 * 86_400, 10 * 86_400])
def test_a_lifetime_is_by_the_servers_clock(offset: int) -> None:
    """A server whose clock is days off does not end its session with each answer."""
    there = NOW + offset
    cookie = _one(f"token=abc; Expires={formatdate(there + 3600, usegmt=True)}", date=formatdate(there, usegmt=True))
    assert cookie is not None
    assert cookie.expires == pytest.approx(NOW + 3600, abs=1)
    assert _one(f"token=abc; Expires={formatdate(there - 5)}", date=formatdate(there)) is None


def test_a_date_that_is_none_does_not_matter() -> None:
    cookie = _one(f"token=abc; Expires={formatdate(NOW + 3600)}", date="yesterday")
    assert cookie is not None
    assert cookie.expires == pytest.approx(NOW + 3600, abs=1)


# -- domain


@pytest.mark.parametrize(
    ("url", "domain", "kept"),
    [
        (URL, "www.library.example", ("www.library.example", False)),
        (URL, "library.example", ("library.example", False)),
        (URL, ".LIBRARY.example", ("library.example", False)),
        (URL, "", ("www.library.example", True)),
        (URL, "other.example", None),
        (URL, "sub.www.library.example", None),
        (URL, "brary.example", None),
        (URL, "example", None),
        ("https://shop.co.uk/", "co.uk", None),
        ("https://a.shop.co.uk/", "shop.co.uk", ("shop.co.uk", False)),
        ("https://ada.github.io/", "github.io", None),
        ("https://com/", "com", ("com", True)),
        ("http://127.0.0.1:8080/", "127.0.0.1", ("127.0.0.1", True)),
        ("http://127.0.0.1:8080/", "0.0.1", None),
        ("http://[::1]:8080/", "", ("::1", True)),
        ("http://localhost:8080/", "localhost", ("localhost", True)),
        ("https://WWW.Library.Example.:8443/", "", ("www.library.example", True)),
    ],
)
def test_domains(url: str, domain: str, kept: tuple[str, bool] | None) -> None:
    cookie = _one(f"token=abc; Domain={domain}", url)
    assert (None if cookie is None else (cookie.domain, cookie.host_only)) == kept


def test_a_host_only_cookie_is_not_sent_below() -> None:
    jar = settle((), ["a=1; Path=/", "b=2; Path=/; Domain=www.library.example"], URL, NOW)
    assert cookie_header(jar, "https://x.www.library.example/", NOW) == "b=2"
    assert cookie_header(jar, "https://www.library.example:443/", NOW) == "a=1; b=2"
    assert cookie_header(jar, "https://library.example/", NOW) is None
    assert cookie_header(jar, "https://evilwww.library.example/", NOW) is None


@pytest.mark.parametrize(
    ("host", "domain", "matches"),
    [
        ("a.example", "a.example", True),
        ("x.a.example", "a.example", True),
        ("xa.example", "a.example", False),
        ("1.2.3.4", "3.4", False),
    ],
)
def test_domain_match(host: str, domain: str, matches: bool) -> None:
    assert domain_match(host, domain) is matches


def test_public_suffixes() -> None:
    assert all(map(is_public_suffix, ["com", "co.uk", "github.io"]))
    assert not any(map(is_public_suffix, ["library.example", "bbc.co.uk", "ada.github.io"]))


# -- path, secure, prefixes


@pytest.mark.parametrize(
    ("path", "default"), [("/books/1", "/books"), ("/books", "/"), ("/", "/"), ("", "/"), ("/a/b/", "/a/b")]
)
def test_the_default_path_is_the_folder(path: str, default: str) -> None:
    assert default_path(path) == default
    cookie = _one("token=abc", f"https://library.example{path}?x=/y")
    assert cookie is not None
    assert cookie.path == default


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/books", "/books", True),
        ("/books/1", "/books", True),
        ("/books/1", "/books/", True),
        ("/books", "/books/", False),
        ("/bookshop", "/books", False),
        ("/", "/", True),
        ("/x", "/", True),
    ],
)
def test_path_match(path: str, cookie_path: str, matches: bool) -> None:
    assert path_match(path, cookie_path) is matches


def test_longer_paths_come_first_and_older_cookies_before_newer() -> None:
    jar = settle((), ["a=1; Path=/", "b=2; Path=/books", "c=3; Path=/"], URL, NOW)
    assert cookie_header(jar, URL, NOW) == "b=2; a=1; c=3"
    jar = settle(jar, ["a=4; Path=/"], URL, NOW)
    assert cookie_header(jar, URL, NOW) == "b=2; a=4; c=3"


def test_one_record_for_each_name_domain_and_path() -> None:
    jar = settle((), ["token=1; Path=/", "token=2; Path=/", "token=3; Path=/books"], URL, NOW)
    assert [(cookie.value, cookie.path) for cookie in jar] == [("2", "/"), ("3", "/books")]
    seeded = (Cookie("token", "old", "www.library.example"),)
    assert cookie_header(settle(seeded, ["token=new; Path=/"], URL, NOW), URL, NOW) == "token=new"


@pytest.mark.parametrize(
    ("header", "url", "kept"),
    [
        ("__Host-a=1; Secure; Path=/", URL, True),
        ("__host-a=1; Secure; Path=/", URL, True),
        ("__Host-a=1; Secure", URL, False),
        ("__Host-a=1; Path=/", URL, False),
        ("__Host-a=1; Secure; Path=/; Domain=www.library.example", URL, False),
        ("__Secure-a=1; Secure", URL, True),
        ("__Secure-a=1", URL, False),
        ("a=1; Secure", "http://library.example/", False),
        ("a=1; Secure", "http://127.0.0.1/", True),
        ("a=1; Secure", "http://localhost/", True),
    ],
)
def test_prefixes_and_secure(header: str, url: str, kept: bool) -> None:
    assert (_one(header, url) is not None) is kept


def test_plain_http_neither_gets_nor_replaces_a_secure_cookie() -> None:
    plain = URL.replace("https", "http")
    jar = settle((), ["token=1; Path=/; Secure"], URL, NOW)
    assert cookie_header(jar, plain, NOW) is None
    assert settle(jar, ["token=2; Path=/"], plain, NOW) is jar


# -- the rest


def test_expired_cookies_are_not_sent_and_nothing_changes_in_place() -> None:
    jar = settle((), ["a=1; Path=/; Max-Age=10", "b=2; Path=/", "just-a-value; Path=/"], URL, NOW)
    before = tuple(jar)
    assert cookie_header(jar, URL, NOW + 11) == "b=2; just-a-value"
    assert settle(jar, ["b=2; Path=/", "\x00=x", "c=1; Domain=other.example"], URL, NOW) is jar
    assert jar == before
    assert matching((), URL, NOW) == []


@pytest.mark.torture(11)
@pytest.mark.parametrize("domain", ["", "; Domain=library.example"])
def test_nothing_crosses_an_origin(domain: str) -> None:
    jar = settle((), [f"token=1; Path=/{domain}"], "https://library.example:8443/", NOW)
    assert cookie_header(jar, "https://library.example:8443/x", NOW) == "token=1"
    for other in ("https://library.example/", "http://library.example:8443/", "http://library.example/"):
        assert cookie_header(jar, other, NOW) is None
        assert not concerns(jar, other)
        # nor can another origin take the token's place
        both = settle(jar, [f"token=evil; Path=/{domain}"], other, NOW)
        assert cookie_header(both, "https://library.example:8443/x", NOW) == "token=1"
        assert cookie_header(both, other, NOW) == "token=evil"
        assert [c.value for c in settle(both, ["token=; Path=/; Max-Age=0" + domain], other, NOW)] == ["1"]


def test_an_imported_cookie_goes_wherever_its_host_is_and_is_replaced() -> None:
    jar: Jar = (Cookie("other", "1", "library.example"), Cookie("token", "1", "library.example"))
    assert cookie_header(jar, "https://library.example:8443/", NOW) == "other=1; token=1"
    jar = settle(jar, ["token=2; Path=/; Domain=library.example"], "https://library.example:8443/", NOW)
    assert cookie_header(jar, "https://library.example:8443/", NOW) == "other=1; token=2", "never two of one name"
    assert cookie_header(jar, "https://library.example/", NOW) == "other=1; token=2", "it goes on as it began"
    assert settle(jar, ["token=; Max-Age=0"], "http://library.example:81/", NOW) == jar[:1]


def test_concerns_is_about_origins() -> None:
    jar = settle((), ["a=1; Path=/deep", "b=1; Domain=library.example"], URL, NOW)
    assert concerns(jar, "https://www.library.example/other")
    assert concerns(jar, "https://cdn.library.example/")
    assert not concerns(jar[:1], "https://cdn.library.example/")
    assert not concerns(jar, "https://library.example.org/")


def test_a_cookie_does_not_show_its_value_and_comes_back_from_json() -> None:
    for header in ("a=s3cret; Secure; HttpOnly; Max-Age=5; Domain=library.example; Path=/x", "a=s3cret"):
        cookie = _one(header)
        assert cookie is not None
        assert "s3cret" not in repr(cookie)
        record = SessionRecord("default", cookies=(cookie,))
        assert SessionRecord.from_dict(record.to_dict()) == record


_ATTRIBUTE = st.sampled_from(["Max-Age", "Expires", "Path", "HttpOnly", "SameSite", "Partitioned", "", "x"])
_TEXT = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters=";\x7f"))
#: None of these deletes the cookie: that takes a Max-Age of 0 or less, or an Expires in the past.
_HARMLESS = _TEXT.filter(lambda text: not text.strip(" \t").lstrip("-").isdecimal())


@given(st.lists(st.tuples(_ATTRIBUTE, _HARMLESS), max_size=6), _TEXT)
def test_a_sane_cookie_stays_whatever_its_attributes(pairs: list[tuple[str, str]], date: str) -> None:
    header = "token=abc" + "".join(f"; {name}={text}" for name, text in pairs)
    jar = settle((), [header], URL, NOW, date)
    assert [(cookie.name, cookie.value) for cookie in jar] == [("token", "abc")]


@given(
    st.lists(_TEXT, max_size=4),
    st.sampled_from([URL, "http://127.0.0.1:1/", "http://[::1]/", "https://co.uk/"]),
)
def test_nothing_raises(headers: list[str], url: str) -> None:
    jar = settle((), [f"{text}; Domain={text}" for text in headers], url, NOW)
    cookie_header(jar, url, NOW)


# -- how many


NOISE = Cookie("", "1", "www.library.example", scheme="https", port=443)


def _many(count: int, first: int = 0, like: Cookie = NOISE) -> Jar:
    return tuple(replace(like, name=f"noise{number}") for number in range(first, first + count))


def test_the_oldest_cookies_of_a_domain_go_when_there_are_too_many() -> None:
    token, other = _many(1, like=replace(NOISE, domain="other.example")), _many(1, first=900)
    jar = within_bounds((*token, *other, *_many(MAX_OF_DOMAIN + 20)), (), NOW)
    assert jar == (*token, *_many(MAX_OF_DOMAIN, first=20))


def test_what_is_a_token_does_not_go() -> None:
    login = _many(2, first=900)
    jar = within_bounds((*login, *_many(95)), {"noise900"}, NOW)
    assert len(jar) == MAX_OF_DOMAIN
    assert jar[0] == login[0]
    assert login[1] not in jar
    imported = _many(MAX_OF_DOMAIN + 10, 200, replace(NOISE, scheme=None, port=None))
    assert within_bounds((*imported, *_many(95)), (), NOW) == imported


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (replace(NOISE, http_only=True), NOISE),
        (replace(NOISE, secure=True), NOISE),
        (NOISE, replace(NOISE, expires=NOW - 1, http_only=True)),
    ],
)
def test_expired_cookies_go_first_and_those_that_look_like_tokens_last(old: Cookie, new: Cookie) -> None:
    jar = within_bounds((old, *_many(MAX_OF_DOMAIN, like=new)), (), NOW)
    assert jar == (old, *_many(MAX_OF_DOMAIN - 1, first=1, like=new))


def test_all_domains_together_have_a_bound() -> None:
    cookies = tuple(
        cookie
        for number in range(80)
        for cookie in _many(MAX_OF_DOMAIN, like=replace(NOISE, domain=f"{number}.library.example"))
    )
    assert within_bounds(cookies, (), NOW) == cookies[-MAX_COOKIES:]
