"""The adapter and the authorised session against the library server."""

from __future__ import annotations

import gc
import time
import warnings
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy.errors import Refused, SessionLost
from argosy.http.adapter import LeasedAdapter
from argosy.http.session import AuthorizedSession, PlainSession
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy
from argosy.models.session import Status
from argosy_devkit import Fault, LibraryServer, ServerFactory, body_of
from argosy_devkit.contracts.waiting import Thread
from argosy_plugins.cookie_stores.json_file import JsonFileStore


def _session(manager: SessionManager) -> AuthorizedSession:
    adapter = LeasedAdapter(manager, deadline=10.0)
    return AuthorizedSession(adapter, lambda head: head.status in (401, 403), timeout=(5.0, 10.0))


def _assert_clean(server: LibraryServer, *, logins: int = 1) -> None:
    stats = server.stats()
    assert (stats.replaced_tokens_sent, stats.sessions_revoked, stats.logins) == (0, 0, logins)


@pytest.mark.parametrize("store_name", ["memory", "json-file"])
def test_sixteen_threads_on_one_requests_session(
    library_server: ServerFactory, member: Any, store: Any, tmp_path: Path, store_name: str
) -> None:
    """A program's own requests session: any number of threads at once, no token twice."""
    server = library_server(lease_mode="revoke", ttfb=0.002)
    if store_name == "json-file":
        store = JsonFileStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    SessionManager(store, "default", login=member(server)._login).ensure()
    http = PlainSession()
    http.mount(server.url, LeasedAdapter(store))

    def read(number: int) -> None:
        for turn in range(6):
            name = f"{number}-{turn}"
            response = http.get(server.url_for(f"/files/{name}?size=20000"), stream=True)
            assert response.status_code == 200
            assert response.content == body_of(name, 20_000)

    with http:
        for thread in [Thread(lambda n=number: read(n)) for number in range(16)]:  # type: ignore[misc]  # a default binds it
            thread.result()
    _assert_clean(server)
    assert server.stats().refused == 0
    assert server.stats().accepted == 96


@pytest.mark.parametrize("is_read", [True, False])
def test_a_program_that_closes_nothing_leaves_no_open_socket(
    library_server: ServerFactory, member: Any, store: Any, is_read: bool
) -> None:
    """As with requests alone: many programs never close their session, and some not even a response."""
    server = library_server()
    SessionManager(store, "default", login=member(server)._login).ensure()
    gc.collect()

    def use() -> None:
        http = requests.Session()
        http.mount(server.url, LeasedAdapter(store))
        response = http.get(server.url_for("/files/a?size=2000000"), stream=True)
        assert not is_read or len(response.content) == 2_000_000
        http.itself = http, response  # type: ignore[attr-defined]  # they end together, when garbage is collected

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        use()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("lease_mode", ["strict", "revoke"])
def test_every_status_and_method_replaces_the_token(
    library_server: ServerFactory, member: Any, lease_mode: str
) -> None:
    server = library_server(lease_mode=lease_mode, faults=(Fault("status", path="/files/down", status=500),))
    with _session(member(server)) as http:
        url = server.url_for("/files/a?size=10")
        etag = http.get(url).headers["ETag"]
        assert http.head(url).status_code == 200
        assert http.get(url, headers={"If-None-Match": etag}).status_code == 304
        assert http.get(server.url_for("/missing")).status_code == 404
        assert http.get(server.url_for("/files/down?size=1")).status_code == 500
        assert http.get(url).content == body_of("a", 10)
    _assert_clean(server)


def test_each_redirect_has_a_lease_of_its_own(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke", faults=(Fault("redirect", hops=3, first=1),))
    manager = member(server)
    with _session(manager) as http:
        response = http.get(server.url_for("/files/a?size=10"))
    assert response.content == body_of("a", 10)
    assert [hop.status_code for hop in response.history] == [302, 302, 302]
    assert manager.store.read("default").generation == 1 + 2 * 4 + 1  # and that tokens are replaced
    _assert_clean(server)


def test_a_redirect_loop_ends(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke", faults=(Fault("redirect", hops=0),))
    with _session(member(server)) as http, pytest.raises(requests.TooManyRedirects):
        http.get(server.url_for("/files/a?size=10"))
    _assert_clean(server)


@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_a_lost_answer_costs_one_login(library_server: ServerFactory, member: Any, kind: str) -> None:
    server = library_server(lease_mode="revoke", faults=(Fault(kind, times=1),))
    with _session(member(server)) as http:
        url = server.url_for("/files/a?size=10")
        with pytest.raises(requests.ConnectionError):
            http.get(url)
        assert http.get(url).status_code == 200
    _assert_clean(server, logins=2)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("early_hints"),
        Fault("broken_headers"),
        Fault("foreign_cookie"),
        Fault("drip_headers", seconds=0),
    ],
)
def test_odd_answers_settle(library_server: ServerFactory, member: Any, fault: Fault) -> None:
    server = library_server(lease_mode="revoke", faults=(fault,))
    with _session(member(server)) as http:
        for _ in range(3):
            assert http.get(server.url_for("/files/a?size=10")).content == body_of("a", 10)
    _assert_clean(server)


@pytest.mark.parametrize(
    "attributes",
    [
        "; Path=/; Max-Age=3600.5",
        '; Path=/; Max-Age="3600"',
        "; Path=/; Max-Age=",
        "; path=/; EXPIRES=Thu, 99-Foo-2099; Domain=; SameSite=Odd; =; ;;",
        "; Domain=127.0.0.1; Path=/",
    ],
)
def test_odd_attributes_lose_no_token(library_server: ServerFactory, member: Any, attributes: str) -> None:
    server = library_server(lease_mode="revoke", cookie_attributes=attributes, second_cookie=True)
    with _session(member(server)) as http:
        for _ in range(3):
            assert http.get(server.url_for("/files/a?size=10")).status_code == 200
    _assert_clean(server)


@pytest.mark.parametrize("offset", [-90_000.0, 90_000.0])
def test_a_server_with_a_wrong_clock_keeps_its_session(
    library_server: ServerFactory, member: Any, offset: float
) -> None:
    expires = formatdate(time.time() + offset + 3600, usegmt=True)
    server = library_server(lease_mode="revoke", date_offset=offset, cookie_attributes=f"; Path=/; Expires={expires}")
    with _session(member(server)) as http:
        for _ in range(3):
            assert http.get(server.url_for("/files/a?size=10")).status_code == 200
    _assert_clean(server)


def test_a_server_that_commits_with_the_body_needs_leases_to_the_end(
    library_server: ServerFactory, member: Any
) -> None:
    server = library_server(lease_mode="revoke", commit="body")
    manager = member(server, lease_mode=LeaseMode.EXCLUSIVE_TO_END)
    with _session(manager) as http:

        def read() -> None:
            for _ in range(4):
                assert http.get(server.url_for("/files/a?size=300000")).content == body_of("a", 300_000)

        for thread in [Thread(read) for _ in range(4)]:
            thread.result()
        http.head(server.url_for("/files/a?size=10"), stream=True).close()
        assert http.get(server.url_for("/files/a?size=10")).status_code == 200
    _assert_clean(server)


def test_sessions_that_end_are_renewed_once(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke")
    with _session(member(server)) as http:
        http.get(server.url_for("/files/a?size=10"))
        server.expire_sessions()

        def read() -> None:
            assert http.get(server.url_for("/files/a?size=10")).content == body_of("a", 10)

        for thread in [Thread(read) for _ in range(8)]:
            thread.result()
    assert server.stats().logins == 2


def test_cookies_that_change_do_not_hide_that_a_shared_session_ended(
    library_server: ServerFactory, member: Any
) -> None:
    """Every response, even a refusal, changes a cookie that is not a token."""
    server = library_server(lease_mode="static", noise_cookie=True)
    with _session(member(server, lease_mode=LeaseMode.SHARED)) as http:
        http.get(server.url_for("/files/a?size=10"))
        server.expire_sessions()

        def read() -> None:
            assert http.get(server.url_for("/files/a?size=10")).content == body_of("a", 10)

        for thread in [Thread(read) for _ in range(8)]:
            thread.result()
    assert server.stats().logins == 2


def test_what_the_account_may_not_have_costs_one_login(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke", faults=(Fault("status", path="secret", status=403),))
    with _session(member(server)) as http:
        http.get(server.url_for("/files/a?size=10"))
        for number in range(4):
            with pytest.raises(Refused):
                http.get(server.url_for(f"/files/secret-{number}?size=10"))
        assert http.get(server.url_for("/files/a?size=10")).status_code == 200
    _assert_clean(server, logins=2)


def test_a_login_that_helps_nothing_ends_the_run(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke", faults=(Fault("status", status=403),))
    with _session(member(server)) as http:
        errors = []
        for number in range(6):
            try:
                http.get(server.url_for(f"/files/{number}?size=10"))
            except (Refused, SessionLost) as error:
                errors.append(type(error))
    assert errors[0] is Refused
    assert errors[-1] is SessionLost
    assert server.stats().logins <= 6


def test_proxies_and_netrc_of_the_environment_are_ignored(
    library_server: ServerFactory, member: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = library_server(lease_mode="revoke")
    with _session(member(server)) as http:
        assert http.get(server.url_for("/files/a?size=10")).status_code == 200


def test_the_session_is_idle_after_all(library_server: ServerFactory, member: Any) -> None:
    server = library_server(lease_mode="revoke")
    manager = member(server)
    with _session(manager) as http:
        http.get(server.url_for("/files/a?size=10"))
    assert manager.store.read("default").status is Status.IDLE
    assert manager.policy == Policy()
