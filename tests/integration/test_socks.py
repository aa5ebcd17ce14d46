"""A SOCKS5 proxy: all requests go through it, those of logins too, and it resolves the names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

import argosy
from argosy_devkit.contracts.transport_suite import SocksProxy
from voyage import Voyage

SetSail = Callable[..., Voyage]

#: A name that only the proxy knows.
NAME = "library.invalid"


@pytest.mark.torture(35)
def test_a_run_through_a_socks_proxy(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="strict", max_workers=8, transport="curl", proxy={"file": "proxy.txt"})
    port = voyage.server.port
    manifest = voyage.root / "books.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace("//127.0.0.1:", f"//{NAME}:"), "utf-8")
    voyage.config["auth"]["url"] = f"http://{NAME}:{port}/login"
    with contextlib.closing(SocksProxy(port)) as proxy:
        (voyage.root / "proxy.txt").write_text(f"socks5h://ada:open-sesame-1@127.0.0.1:{proxy.port}", "utf-8")
        report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.failures, voyage.wrong()) == (30, (), [])
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)
    assert set(proxy.asked) == {(NAME, port)}
    assert set(proxy.logins) == {("ada", "open-sesame-1")}


@pytest.mark.torture(35)
def test_a_socks_proxy_that_does_not_run(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, transport="curl", proxy={"file": "proxy.txt"}, max_retries=0, max_outage=0)
    (voyage.root / "proxy.txt").write_text("socks5h://ada:open-sesame-1@127.0.0.1:9", "utf-8")
    done = voyage.run()
    assert done.returncode != 0
    assert "Connection refused" in done.stderr
    assert "open-sesame-1" not in done.stdout + done.stderr
    assert voyage.server.stats().requests == 0


@pytest.mark.torture(35)
def test_no_request_goes_past_a_proxy_that_the_transport_cannot_use(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="strict", proxy="socks5h://127.0.0.1:9")
    done = voyage.run()
    assert done.returncode == 2
    assert "The transport 'requests' cannot use the socks5h proxy" in done.stderr
    assert "argosy[curl]" in done.stderr
    assert voyage.server.stats().requests == 0
