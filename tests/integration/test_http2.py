"""HTTP/2 on the transport curl, to a real server: nginx, over TLS, in front of a service that replaces its tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import argosy
import nginx
from hazards import fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


def _through(front: nginx.Nginx, voyage: Voyage) -> None:
    """Have a download go through nginx."""
    own, url = voyage.server.url, f"https://127.0.0.1:{front.port}"
    manifest = voyage.root / "books.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace(own, url), "utf-8")
    voyage.config["auth"]["url"] = voyage.server.login_url.replace(own, url)
    voyage.config["ca_bundle"] = front.bundle


@pytest.mark.parametrize("store", ["json-file", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_eight_threads_on_one_session_over_http_2(set_sail: SetSail, store: str) -> None:
    transport = {"use": "curl", "http_version": "2"}
    voyage = set_sail(items=100, lease_mode="strict", max_workers=8, transport=transport, cookie_store=store, size=3000)
    with nginx.in_front_of(voyage.server.port, voyage.root / "nginx") as front:
        _through(front, voyage)
        report = argosy.download(voyage.file)
        requests = front.requests()
    stats = voyage.server.stats()
    assert (report.counts.done, report.failures, voyage.wrong()) == (100, (), [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins, report.logins) == (0, 0, 1, 1)
    assert {protocol for protocol, _ in requests} == {"HTTP/2.0"}
    assert len(requests) == stats.requests
    connections = {connection for _, connection in requests}
    assert len(connections) < 20, "each request had a connection of its own"


@pytest.mark.parametrize("transport", ["requests", "curl"])
def test_http_1_is_the_default(set_sail: SetSail, transport: str) -> None:
    voyage = set_sail(items=20, lease_mode="strict", max_workers=4, transport=transport)
    with nginx.in_front_of(voyage.server.port, voyage.root / "nginx") as front:
        _through(front, voyage)
        report = argosy.download(voyage.file)
        assert {protocol for protocol, _ in front.requests()} == {"HTTP/1.1"}
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == (20, [], 0, 1)


def test_a_server_without_http_2_gets_http_1(set_sail: SetSail) -> None:
    voyage = set_sail(items=10, lease_mode="strict", max_workers=4, transport={"use": "curl", "http_version": "2"})
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == (10, [], 0, 1)


def test_a_body_that_breaks_off_is_fetched_to_its_end(set_sail: SetSail) -> None:
    """nginx resets the stream, but keeps the connection."""
    faults = [fault("cut", times=3)]
    transport = {"use": "curl", "http_version": "2"}
    voyage = set_sail(items=10, lease_mode="strict", max_workers=4, transport=transport, faults=faults, size=300_000)
    with nginx.in_front_of(voyage.server.port, voyage.root / "nginx") as front:
        _through(front, voyage)
        report = argosy.download(voyage.file)
        assert {protocol for protocol, _ in front.requests()} == {"HTTP/2.0"}
    stats = voyage.server.stats()
    assert sum(stats.faults.values()) > 0
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == (10, [], 0, 1)
