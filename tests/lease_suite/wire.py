"""The rules of the lease on top of a store, part two: over HTTP, with a server that revokes, in threads and in processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest
import requests

from argosy.errors import StoreError
from argosy.http.adapter import LeasedAdapter
from argosy.interfaces.cookie_store import CookieStore
from argosy.models.session import Status
from argosy_devkit.client import LibraryServer, ServerFactory
from argosy_devkit.contracts.store_processes import SESSION, OtherProcess, StoreSpec, start_process
from argosy_devkit.contracts.waiting import wait_until
from argosy_devkit.fault import Fault
from lease_suite.client import Client, ClientSpec, obey_client
from lease_suite.service import TapedStore
from lease_suite.suite import LeaseSuite

#: Starts so many programs, each in a process of its own.
Programs = Callable[[int], list[OtherProcess]]


class WireRules(LeaseSuite):
    """The server replaces the token with every answer, and ends the session where an old one is sent: none ever is."""

    #: What sends the requests. The suites are tried out with adapters that have a rule taken out.
    adapter_class: ClassVar[type[LeasedAdapter]] = LeasedAdapter

    @pytest.fixture
    def server(self, library_server: ServerFactory) -> Iterator[LibraryServer]:
        """Start the server; at the end it has never seen a token that it had replaced."""
        server = library_server(lease_mode="revoke")
        yield server
        stats = server.stats()
        assert stats.replaced_tokens_sent == 0, "a replaced token was sent"
        assert stats.sessions_revoked == 0, "the service ended the session because an old token was sent"

    @pytest.fixture
    def client_spec(self, spec: StoreSpec, server: LibraryServer) -> ClientSpec:
        """Return what makes a program on the store."""
        return ClientSpec.of(spec, server, manager_class=self.manager_class, adapter_class=self.adapter_class)

    @pytest.fixture
    def client(self, client_spec: ClientSpec, store: CookieStore) -> Iterator[Client]:
        """Make a program in this process."""
        client = Client(client_spec, store)
        yield client
        client.close()

    @pytest.fixture
    def programs(self, client_spec: ClientSpec) -> Iterator[Programs]:
        """Start programs in processes of their own, where the store can be shared by them."""
        self._needs_processes()
        with ExitStack() as running:

            def start(number: int) -> list[OtherProcess]:
                started = [running.enter_context(start_process(obey_client, client_spec)) for _ in range(number)]
                for program in started:
                    program.ask("ready")
                return started

            yield start

    # -- many at once

    def test_threads_share_one_session(self, client: Client, server: LibraryServer) -> None:
        """Eight threads, one login, and every request is accepted."""
        client.load("thread", 8, 6)
        stats = server.stats()
        assert (stats.refused, stats.anonymous, stats.logins) == (0, 0, 1)

    def test_processes_share_one_session(self, programs: Programs, server: LibraryServer) -> None:
        """Three programs that start on an empty store at once: one login for all, and every request is accepted."""
        running = programs(3)
        for number, program in enumerate(running):
            program.tell(f"load p{number} 3 8")
        for program in running:
            program.answer()
        stats = server.stats()
        assert (stats.refused, stats.anonymous, stats.logins) == (0, 0, 1)
        assert len(stats.bodies_completed) == 3 * 3 * 8 + 1, "each file, and the page behind the login"

    def test_processes_wait_for_one_login(self, programs: Programs, server: LibraryServer) -> None:
        """The service ends the session under three programs: one of them logs in, and no request is lost."""
        running = programs(3)
        for number, program in enumerate(running):
            program.ask(f"load before{number} 2 2")
        server.expire_sessions()
        for number, program in enumerate(running):
            program.tell(f"load after{number} 3 4")
        for program in running:
            program.answer()
        assert server.stats().logins == 2, "a session that ended must cost one login, over all programs"

    # -- one request

    def test_every_status_may_bring_a_token(self, client: Client, server: LibraryServer) -> None:
        """Redirects, errors and answers without a body replace the token as well."""
        server.change(faults=[Fault("redirect", path="hop-me", times=2)])
        etag = client.get("/files/a?size=10").headers["ETag"]
        got = [
            client.get("/files/a?size=10", headers={"If-None-Match": etag}).status_code,
            client.get("/nowhere").status_code,
            client.get("/status/500").status_code,
            client.get("/files/hop-me?size=5", allow_redirects=False).status_code,
            client.get("/files/hop-me?size=5").status_code,
            client.session.head(server.url_for("/files/a?size=10")).status_code,
            client.get("/files/a?size=10", headers={"Range": "bytes=2-4"}).status_code,
            client.get("/files/a?size=10").status_code,
        ]
        assert got == [304, 404, 500, 302, 200, 200, 206, 200]
        assert server.stats().logins == 1

    def test_a_lost_answer_is_not_sent_again(self, client: Client, server: LibraryServer) -> None:
        """Nothing below the lease sends twice; the next request logs in."""
        client.fetch("/files/a?size=10")
        server.change(faults=[Fault("lost", path="lose-me", times=1)])
        with pytest.raises(requests.ConnectionError):
            client.fetch("/files/lose-me?size=10")
        assert server.stats().requests_by_path["/files/lose-me"] == 1, "a request went out twice under one lease"
        client.fetch("/files/lose-me?size=10")
        assert server.stats().logins == 2, "a lost answer costs one login"

    def test_a_failure_to_connect_costs_nothing(self, client: Client, server: LibraryServer) -> None:
        """Not a byte was sent: the token is as good as before."""
        client.fetch("/files/a?size=10")
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with pytest.raises(requests.ConnectionError):
            client.session.get(f"http://127.0.0.1:{port}/files/a")
        client.fetch("/files/b?size=10")
        assert server.stats().logins == 1, "a request that was not sent must cost no login"

    def test_headers_that_are_late_are_in_doubt(
        self, client_spec: ClientSpec, store: CookieStore, server: LibraryServer
    ) -> None:
        """At the deadline the connection is cut, and the mark stays for the next sender."""
        client = Client(client_spec, store)
        client.fetch("/files/a?size=10")
        server.change(faults=[Fault("drip_headers", path="late", seconds=0.05)])
        hasty = Client(client_spec, store, deadline=1.0)
        with pytest.raises(requests.RequestException):
            hasty.fetch("/files/late?size=10")
        hasty.close()
        record = store.read(SESSION)
        assert record is not None
        assert record.status is Status.IN_FLIGHT, "a deadline leaves the mark"
        client.fetch("/files/b?size=10")
        client.close()
        assert server.stats().logins == 2

    def test_a_store_that_fails_sends_nothing(
        self, client_spec: ClientSpec, store: CookieStore, server: LibraryServer
    ) -> None:
        """Without a mark in the store, no byte goes out."""
        taped = TapedStore(store)
        client = Client(client_spec, taped)
        client.fetch("/files/a?size=10")
        before, taped.error = server.stats().requests, StoreError("no space left")
        with pytest.raises(StoreError):
            client.fetch("/files/b?size=10")
        assert server.stats().requests == before, "a request went out without a mark"
        taped.error = None
        client.fetch("/files/b?size=10")
        client.close()
        assert server.stats().logins == 1

    # -- kills

    def test_killed_before_anything_was_sent(self, client: Client, programs: Programs, server: LibraryServer) -> None:
        """The token is in doubt, and one login follows."""
        client.fetch("/files/a?size=10")
        (other,) = programs(1)
        other.ask("lease")
        other.kill()
        client.load("after", 3, 2)
        assert server.stats().logins == 2

    def test_killed_between_sending_and_the_headers(
        self, client: Client, programs: Programs, server: LibraryServer
    ) -> None:
        """The server has replaced the token, and who was to hear of it is gone: one login."""
        client.fetch("/files/a?size=10")
        server.change(faults=[Fault("hang", path="hang")])
        (other,) = programs(1)
        other.tell("fetch /files/hang?size=10")
        wait_until(lambda: server.stats().faults.get("hang"), "the request to arrive")
        other.kill()
        client.load("after", 3, 2)
        assert server.stats().logins == 2

    def test_killed_while_the_body_comes(
        self, client: Client, store: CookieStore, programs: Programs, server: LibraryServer
    ) -> None:
        """The token was stored before the first byte of the body: there is no doubt, and no login."""
        client.fetch("/files/a?size=10")
        generation = getattr(store.read(SESSION), "generation", 0)
        server.change(faults=[Fault("slow_drip", path="slow", rate=5)])
        (other,) = programs(1)
        other.tell("fetch /files/slow?size=100000")

        def settled() -> bool:
            record = store.read(SESSION)
            return record is not None and record.generation > generation + 1 and record.status is Status.IDLE

        wait_until(lambda: server.stats().active, "the body to begin")
        wait_until(settled, "the token of a body on its way to be stored, and its mark to be cleared")
        client.load("meanwhile", 3, 2)
        other.kill()
        client.load("after", 3, 2)
        assert server.stats().logins == 1

    def test_killed_at_any_moment(self, programs: Programs, server: LibraryServer) -> None:
        """Programs are killed as they come, and others take their places: each kill costs one login at most."""
        running = programs(2)
        kills = 4
        for kill in range(kills):
            for number, program in enumerate(running):
                program.tell(f"load k{kill}-{number} 2 200")
            before = server.stats().accepted
            wait_until(lambda: server.stats().accepted > before + 7 * (kill + 1), "some requests")  # noqa: B023 - called here
            for program in running:
                program.kill()
            running = programs(2)
        for number, program in enumerate(running):
            program.ask(f"load last{number} 2 3")
        assert server.stats().logins <= 1 + 2 * kills
