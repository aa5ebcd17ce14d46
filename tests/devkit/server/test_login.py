"""The login form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from argosy_devkit import LibraryServer, ServerFactory

Browse = Callable[[LibraryServer], Any]


def test_login_brings_a_session(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server()
    someone = stranger(server)
    reply = someone.login()
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    assert b"You are logged in" in someone.fetch("/").body
    assert (server.stats().logins, server.stats().failed_logins) == (1, 0)


def test_a_wrong_password_is_the_page_again(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server()
    reply = stranger(server).login(password="loom")
    assert reply.status == 200
    assert b'class="error"' in reply.body
    assert b'type="password"' in reply.body
    assert "token" not in reply.cookies()
    assert (server.stats().logins, server.stats().failed_logins) == (0, 1)


def test_hidden_fields_are_needed(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server()
    for changed in ({"csrf": "0"}, {"realm": ""}):
        assert stranger(server).login(**changed).status == 200
    assert server.stats().failed_logins == 2


def test_the_hidden_field_is_bound_to_the_cookie(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server()
    other = stranger(server).fetch("/login").cookies()
    someone = stranger(server)
    fetch = someone.fetch

    def with_the_other_cookie(path: str, **options: Any) -> Any:
        return fetch(path, **options, jar=other) if options.get("method") == "POST" else fetch(path, **options)

    someone.fetch = with_the_other_cookie
    assert someone.login().status == 200
    assert server.stats().failed_logins == 1


def test_sessions_are_independent(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="strict")
    one, other = browser(server), browser(server)
    assert [who.keep("/").status for who in (one, other, one, other)] == [200] * 4
    assert server.stats().logins == 2


def test_too_many_sessions_end_the_oldest(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(max_sessions=2)
    one, two, three = browser(server), browser(server), browser(server)
    assert [who.fetch("/").status for who in (one, two, three)] == [401, 200, 200]


def test_too_many_sessions_refuse_the_newest(library_server: ServerFactory, browser: Browse, stranger: Browse) -> None:
    server = library_server(max_sessions=1, on_too_many="refuse")
    one = browser(server)
    assert stranger(server).login().status == 403
    assert one.fetch("/").status == 200
    assert server.stats().failed_logins == 1


def test_expired_sessions_are_refused_until_the_next_login(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server()
    someone = browser(server)
    server.expire_sessions()
    assert someone.fetch("/").status == 401
    assert server.stats().replaced_tokens_sent == 0, "the token was never replaced"
    someone.login()
    assert someone.fetch("/").status == 200


def test_one_session_is_ended_and_the_others_stay(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server()
    one, two, three = browser(server), browser(server), browser(server)
    server.expire_sessions(2)
    assert [who.keep("/").status for who in (one, two, three)] == [200, 401, 200]
    assert server.stats().accepted_by_login == {"1": 1, "3": 1}


def test_a_made_up_token_is_refused(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server()
    someone = stranger(server)
    for token in ("x", "a.1.b", "..", "é"):
        assert someone.fetch("/", jar={"token": token}).status == 401
    assert (server.stats().refused, server.stats().replaced_tokens_sent) == (4, 0)
