"""The torture table, section network: nobody there, dead connections, and an environment that interferes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

import argosy
from hazards import Authority, fault
from voyage import Voyage, run_urls

SetSail = Callable[..., Voyage]


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.torture(31)
@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:{port}/a", "Connection refused"),
        ("http://no-such-host.invalid/a", "no-such-host.invalid cannot be reached"),
        ("https://127.0.0.1:{plain}/a", "TLS with"),
    ],
)
def test_nobody_there(tmp_path: Path, library_server: Any, raw_server: Any, url: str, cause: str) -> None:
    server = library_server(lease_mode="open")
    plain = raw_server(lambda _, connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    url = url.format(port=closed_port(), plain=plain.url.rpartition(":")[2])
    voyage = run_urls(tmp_path, url, server.url_for("/files/b?size=5"), max_retries=3, retry_delay=0.01)
    events = tmp_path / "events.jsonl"
    done = voyage.run("--events", str(events))
    assert done.returncode == 1, done.stderr
    assert cause in done.stderr
    assert "Traceback" not in done.stderr
    assert "object at 0x" not in done.stderr
    retries = [e for e in map(json.loads, events.read_text("utf-8").splitlines()) if e["kind"] == "resource.retry"]
    # a resolver that nobody answers cannot tell whether there is such a host
    again = "refused" in cause or "Temporary failure in name resolution" in done.stderr
    assert len(retries) == (3 if again else 0)
    assert (voyage.library / "b").stat().st_size == 5


@pytest.mark.torture(31)
def test_nobody_there_to_log_in(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    voyage.server.kill()
    done = voyage.run()
    assert done.returncode == 1, done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    voyage.server.start()
    assert (voyage.run().returncode, voyage.wrong()) == (0, [])


@pytest.mark.torture(31)
def test_resets_are_tried_again(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=10,
        lease_mode="open",
        auth="none",
        max_workers=4,
        faults=[fault("reset", first=2, each_path=True)],
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.retries, voyage.wrong()) == (10, 20, [])


@pytest.mark.torture(33)
def test_dead_connections_are_never_blindly_used_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=8, faults=[fault("close_after", every=2)], size=2000)
    done = voyage.run("--quiet")
    stats = voyage.server.stats()
    assert (done.returncode, done.stderr, voyage.wrong()) == (0, "", [])
    assert (stats.replaced_tokens_sent, stats.sessions_revoked, stats.refused) == (0, 0, 0)
    assert max(stats.bodies_completed.values()) == 1


@pytest.mark.torture(33)
@pytest.mark.requests_only("LeasedAdapter sends with the default transport")
def test_a_connection_that_dies_under_a_request_is_in_doubt(raw_server: Any, tmp_path: Path) -> None:
    def answer(server: Any, connection: socket.socket) -> None:
        if server.request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: token=a; Path=/\r\n\r\nok")
            server.request(connection)  # read, and never answered

    server = raw_server(answer)
    store = argosy.open_store("json-file", path=str(tmp_path / "cookies.json"))
    import requests

    with requests.Session() as session:
        session.mount(server.url, argosy.LeasedAdapter(store))
        assert session.get(server.url).text == "ok"
        with pytest.raises(requests.ConnectionError):
            session.get(server.url)
        with pytest.raises(argosy.ArgosyError, match="in doubt"):
            session.get(server.url)
    # the third request made its connection, and then found that nothing may be sent on it
    assert len(server.requests) == 2, "something was sent again"


@pytest.mark.torture(34)
@pytest.mark.parametrize(
    ("what", "cure"),
    [
        ("unknown authority", '"ca_bundle"'),
        ("wrong host", "Check the host name"),
        ("expired", "Check this computer's clock"),
    ],
)
def test_a_bad_certificate_is_refused(tmp_path: Path, what: str, cure: str) -> None:
    authority = Authority(tmp_path)
    until = datetime(2020, 1, 1, tzinfo=UTC) if what == "expired" else None
    host = "library.example" if what == "wrong host" else "127.0.0.1"
    listener, url = authority.serve(authority.ca.issue_cert(host, not_after=until))
    # what other programs take for leave to trust it is no leave
    env = {**os.environ, "REQUESTS_CA_BUNDLE": str(authority.bundle), "CURL_CA_BUNDLE": str(authority.bundle)}
    with listener:
        trusted = {} if what == "unknown authority" else {"ca_bundle": "ca.pem"}
        options = {**trusted, "max_retries": 1, "retry_delay": 0.01}
        voyage = run_urls(tmp_path, f"{url}/x?token=hidden", **options)
        done = voyage.run(env=env)
    assert done.returncode == 1, done.stderr
    assert f"TLS with {url.removeprefix('https://')} failed: " in done.stderr
    assert cure in done.stderr
    assert "_ssl.c" not in done.stderr
    assert "hidden" not in done.stderr
    assert authority.received == b"", "something was sent to a server that nobody knows"
    assert [p.name for p in voyage.library.iterdir()] == [".argosy"]


@pytest.mark.torture(34)
def test_the_authorities_that_are_configured_are_trusted_and_no_others(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    listener, url = authority.serve(authority.ca.issue_cert("127.0.0.1"))
    with listener:
        voyage = run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem", max_retries=0)
        done = voyage.run("--quiet")
        assert (done.returncode, (voyage.library / "x").read_bytes()) == (0, b"ok"), done.stderr
        received = authority.received
        trustme.CA().cert_pem.write_to_path(str(authority.bundle))  # of somebody else
        other = voyage.run("--force")
        assert (other.returncode, authority.received) == (1, received)
        assert "TLS with" in other.stderr


@pytest.mark.torture(34, 50)
@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_are_said_before_anything_is_sent(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text, "utf-8")
    done = run_urls(tmp_path, "https://127.0.0.1:9/x", ca_bundle="ca.pem").run()
    assert done.returncode == 2, done.stderr
    assert "ca.pem" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.torture(35)
def test_proxies_and_netrc_of_the_environment_are_ignored(raw_server: Any, set_sail: SetSail, tmp_path: Path) -> None:
    def answer(server: Any, connection: socket.socket) -> None:
        server.request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    trap, plain = raw_server(answer), raw_server(answer)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password lovelace\n", "utf-8")
    netrc.chmod(0o600)
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    env = {**os.environ, **dict.fromkeys(names, trap.url), "NETRC": str(netrc), "HOME": str(tmp_path)}
    env.pop("no_proxy", None)
    env.pop("NO_PROXY", None)
    voyage = set_sail(items=3, lease_mode="revoke")
    done = voyage.run("--quiet", env=env)
    assert (done.returncode, done.stderr, voyage.wrong()) == (0, "", [])
    (tmp_path / "plain").mkdir()
    other = run_urls(tmp_path / "plain", f"{plain.url}/x").run("--quiet", env=env)
    assert (other.returncode, trap.connections, len(plain.requests)) == (0, 0, 1), other.stderr
    assert b"authorization" not in plain.requests[0].lower()
