"""The torture table, section network: proxies, which are used where the configuration names one, and nowhere else."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

import argosy
from argosy_devkit.contracts.waiting import wait_until, wait_until_still
from hazards import Authority, files_with
from proxy import Proxy
from voyage import Voyage, run_urls

SetSail = Callable[..., Voyage]
PASSWORD = "open-sesame-1"


@pytest.mark.torture(35)
@pytest.mark.parametrize("strategy", ["threads", {"use": "multiprocess", "processes": 2}])
def test_all_goes_through_the_proxy_that_is_configured(set_sail: SetSail, strategy: Any) -> None:
    with Proxy() as proxy:
        voyage = set_sail(items=40, lease_mode="revoke", max_workers=4, proxy=proxy.url, strategy=strategy)
        report = argosy.download(voyage.file)
        stats = voyage.server.stats()
        assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == (
            40,
            [],
            0,
            1,
        )
        assert len(proxy.asked) == stats.requests, "with those of the login"


@pytest.mark.torture(35, 60)
def test_a_proxy_that_asks_who_you_are(set_sail: SetSail) -> None:
    with Proxy(f"ada:{PASSWORD}") as proxy:
        voyage = set_sail(items=5, lease_mode="revoke", proxy={"env": "LIBRARY_PROXY"})
        report = voyage.root / "report.json"
        events = voyage.root / "events.jsonl"
        arguments = ("--report", str(report), "--events", str(events))
        wrong = proxy.url.replace(PASSWORD, "wrong")
        refused = voyage.run(*arguments, env={**os.environ, "LIBRARY_PROXY": wrong})
        assert refused.returncode != 0
        assert "407" in refused.stderr
        done = voyage.run(*arguments, env={**os.environ, "LIBRARY_PROXY": proxy.url})
        assert (done.returncode, voyage.wrong()) == (0, []), done.stderr
        assert PASSWORD not in done.stdout + done.stderr + refused.stdout + refused.stderr
        assert files_with(voyage.root, PASSWORD.encode(), but="cookies.json") == []


@pytest.mark.torture(35)
@pytest.mark.parametrize("user", [None, f"ada:{PASSWORD}"])
def test_a_tunnel_to_a_service_with_tls(tmp_path: Path, user: str | None) -> None:
    authority = Authority(tmp_path)
    listener, url = authority.serve(authority.ca.issue_cert("127.0.0.1"))
    with listener, Proxy(user) as proxy:
        (tmp_path / "proxy.txt").write_text(proxy.url + "\n", "utf-8")
        voyage = run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem", proxy={"file": "proxy.txt"})
        done = voyage.run("--quiet")
        assert (done.returncode, (voyage.library / "x").read_bytes()) == (0, b"ok"), done.stderr
        assert [line.split()[0] for line in proxy.asked] == ["CONNECT"]
        assert b"roxy-" not in authority.received, "what the proxy is told is not for the service"


@pytest.mark.torture(33, 35)
@pytest.mark.requests_only("LeasedAdapter sends with the default transport")
def test_a_tunnel_that_has_died_is_dug_again(tmp_path: Path) -> None:
    """The connection dies while its request waits for the lease: the next one must not go past the proxy."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    listener = socket.create_server(("127.0.0.1", 0))
    close = threading.Event()

    def serve() -> None:
        for number in range(2):
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                if number == 0:
                    close.wait(30)

    threading.Thread(target=serve, daemon=True).start()
    store = argosy.open_store("memory")
    with listener, Proxy() as proxy, requests.Session() as session:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
        session.mount("https://", argosy.LeasedAdapter(store, lease="exclusive"))
        session.trust_env = False  # it may name other authorities
        session.verify = str(tmp_path / "ca.pem")
        session.proxies = {"https": proxy.url}
        assert session.get(url).text == "ok"
        release = store.acquire("default")
        assert release is not None
        texts: list[str] = []
        waiting = threading.Thread(target=lambda: texts.append(session.get(url).text))
        waiting.start()
        wait_until_still(waiting)  # it has its connection, and waits for its turn
        close.set()
        wait_until(lambda: proxy.closed, "the tunnel to close")  # and the client to be told
        release()
        waiting.join(30)
        assert texts == ["ok"]
        assert [line.split()[0] for line in proxy.asked] == ["CONNECT"] * 2


@pytest.mark.torture(31, 35)
def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    with Proxy() as proxy:
        url = proxy.url
    done = run_urls(tmp_path, "http://127.0.0.1:9/x", proxy=url, max_retries=0, max_outage=0).run()
    assert done.returncode == 1
    assert "The proxy cannot be reached: Connection refused" in done.stderr


@pytest.mark.torture(35, 50)
@pytest.mark.parametrize(
    "value",
    ["socks5://127.0.0.1:1", "http://ada:hidden@127.0.0.1:1", "127.0.0.1:1", {"env": "LIBRARY_PROXY"}, 7],
)
@pytest.mark.parametrize("kept", ["", "socks5://ada:hidden@127.0.0.1:1", "http://ada:hidden@127.0.0.1:x", "hidden"])
@pytest.mark.requests_only("the transport curl can use these proxies")
def test_a_proxy_that_is_none(tmp_path: Path, value: Any, kept: str) -> None:
    voyage = run_urls(tmp_path, "http://127.0.0.1:9/x", proxy=value)
    done = voyage.run(env={**os.environ, "LIBRARY_PROXY": kept})
    assert done.returncode == 2, done.stderr
    assert "proxy" in done.stderr.lower()
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.requests_only("LeasedAdapter sends with the default transport")
def test_what_is_no_http_proxy_is_refused_and_not_gone_past() -> None:
    store = argosy.open_store("memory")
    with requests.Session() as session, socket.create_server(("127.0.0.1", 0)) as listener:
        session.mount("http://", argosy.LeasedAdapter(store))
        session.proxies = {"http": "socks5://127.0.0.1:9"}
        with pytest.raises(requests.exceptions.InvalidProxyURL, match="requests"):
            session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
