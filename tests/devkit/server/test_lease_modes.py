"""The server treats tokens as its lease mode says."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from argosy_devkit import LibraryServer, ServerFactory

Browse = Callable[[LibraryServer], Any]
ROTATING = ["strict", "revoke", "grace", "soft", "redirect"]


def test_open_needs_no_login(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server(lease_mode="open")
    reply = stranger(server).fetch("/files/a?size=10")
    assert (reply.status, len(reply.body), reply.set_cookies()) == (200, 10, [])
    assert server.stats().accepted == 1


def test_static_keeps_the_token(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="static")
    someone = browser(server)
    replies = [someone.fetch("/files/a?size=10") for _ in range(5)]
    assert [reply.status for reply in replies] == [200] * 5
    assert not any(reply.set_cookies() for reply in replies)
    assert server.stats().rotations == 0


@pytest.mark.parametrize("lease_mode", ROTATING)
def test_every_response_replaces_the_token(library_server: ServerFactory, browser: Browse, lease_mode: str) -> None:
    server = library_server(lease_mode=lease_mode)
    someone = browser(server)
    seen = {someone.jar["token"]}
    for _ in range(5):
        assert someone.keep("/files/a?size=10").status == 200
        seen.add(someone.jar["token"])
    stats = server.stats()
    assert len(seen) == 6
    assert (stats.rotations, stats.accepted, stats.refused, stats.replaced_tokens_sent) == (5, 5, 0, 0)


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/files/a?size=10", "HEAD", {}, 200),
        ("/files/a?size=10", "GET", {"If-None-Match": "*"}, 304),
        ("/files/a?size=10", "GET", {"Range": "bytes=10-"}, 416),
        ("/files/a?size=10", "GET", {"Range": "bytes=2-5"}, 206),
        ("/nowhere", "GET", {}, 404),
        ("/status/500", "GET", {}, 500),
        ("/status/307", "GET", {}, 307),
        ("/status/204", "GET", {}, 204),
    ],
)
def test_every_status_replaces_the_token(
    library_server: ServerFactory,
    browser: Browse,
    path: str,
    method: str,
    headers: dict[str, str],
    status: int,
) -> None:
    server = library_server(lease_mode="strict")
    someone = browser(server)
    old = dict(someone.jar)
    reply = someone.keep(path, method=method, headers=headers)
    assert reply.status == status
    assert someone.fetch("/", jar=old).status == 401
    assert someone.keep("/").status == 200


@pytest.mark.parametrize(
    ("lease_mode", "status", "mark"),
    [
        ("strict", 401, b"Log in"),
        ("slide", 401, b"Log in"),
        ("soft", 200, b'type="password"'),
        ("redirect", 302, b"Log in"),
    ],
)
def test_an_old_token_is_refused_and_the_session_lives(
    library_server: ServerFactory, browser: Browse, lease_mode: str, status: int, mark: bytes
) -> None:
    server = library_server(lease_mode=lease_mode, slide_every=1)
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/files/a?size=10")
    refusal = someone.fetch("/files/a?size=10", jar=old)
    assert refusal.status == status
    assert mark in refusal.body
    assert "token" not in refusal.cookies()
    assert someone.keep("/files/a?size=10").status == 200
    stats = server.stats()
    assert (stats.accepted, stats.refused, stats.replaced_tokens_sent, stats.sessions_revoked) == (2, 1, 1, 0)
    assert stats.bodies_completed == {"/files/a": 2}


def test_the_redirect_leads_to_the_login_page(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server(lease_mode="redirect")
    reply = stranger(server).fetch("/files/a?size=10")
    assert reply.headers["Location"] == "/login?next=%2Ffiles%2Fa%3Fsize%3D10"
    assert (server.stats().anonymous, server.stats().refused) == (1, 0)


def test_revoke_ends_the_session(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="revoke")
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/")
    assert someone.fetch("/", jar=old).status == 401
    assert someone.fetch("/").status == 401, "the newest token is dead as well"
    stats = server.stats()
    assert (stats.sessions_revoked, stats.replaced_tokens_sent, stats.refused) == (1, 1, 2)


def test_revoke_ends_no_other_session(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="revoke")
    one, other = browser(server), browser(server)
    old = dict(one.jar)
    one.keep("/")
    one.fetch("/", jar=old)
    assert other.keep("/").status == 200


def test_grace_takes_an_old_token_and_gives_the_newest(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="grace", grace=3600)
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/")
    late = someone.fetch("/", jar=old)
    assert late.status == 200
    assert late.cookies()["token"] == someone.jar["token"]
    stats = server.stats()
    assert (stats.replaced_tokens_sent, stats.refused, stats.rotations) == (1, 0, 1)


def test_grace_ends(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="grace", grace=0)
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/")
    assert someone.fetch("/", jar=old).status == 401


def test_slide_replaces_every_third(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="slide", slide_every=3)
    someone = browser(server)
    brought = [bool(someone.keep("/").set_cookies()) for _ in range(7)]
    assert brought == [False, False, True, False, False, True, False]


@pytest.mark.parametrize("lease_mode", ["strict", "revoke"])
def test_a_naive_parallel_client_is_refused(library_server: ServerFactory, browser: Browse, lease_mode: str) -> None:
    server = library_server(lease_mode=lease_mode)
    someone = browser(server)
    barrier = Barrier(8)

    def naive(number: int) -> int:
        jar = dict(someone.jar)  # what a client does that only looks at its jar when it sends
        barrier.wait()
        return int(someone.fetch(f"/files/{number}?size=10", jar=jar).status)

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(naive, range(8)))
    assert statuses == [200] + [401] * 7
    stats = server.stats()
    assert (stats.accepted, stats.refused, stats.replaced_tokens_sent) == (1, 7, 7)
    assert stats.sessions_revoked == (1 if lease_mode == "revoke" else 0)


def test_the_body_commits(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="strict", commit="body")
    someone = browser(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/files/long?size=64000000", headers=someone._cookie(None))
    with connection.getresponse() as response:
        new = {"token": response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]}
        assert someone.fetch("/", jar=new).status == 401, "no socket buffer holds all of an unread body of this size"
        assert server.stats().rotations == 0
        response.read()
    connection.close()
    assert someone.fetch("/", jar=new).status == 200
    assert someone.fetch("/").status == 401, "the one from before the body is old now"


def test_two_token_cookies_must_match(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="strict", second_cookie=True)
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/")
    torn = {"token": someone.jar["token"], "token_check": old["token_check"]}
    assert someone.fetch("/", jar=torn).status == 401
    assert someone.fetch("/", jar={"token": someone.jar["token"]}).status == 401
    assert someone.keep("/").status == 200
    assert server.stats().replaced_tokens_sent == 1


def test_cookie_name_and_attributes_are_taken_word_for_word(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(cookie_name="SID", cookie_attributes='; Max-Age=3600.5; path="/"', noise_cookie=True)
    token, noise = browser(server).keep("/").set_cookies()
    assert token.startswith("SID=")
    assert token.endswith('; Max-Age=3600.5; path="/"')
    assert noise.startswith("visits=")
