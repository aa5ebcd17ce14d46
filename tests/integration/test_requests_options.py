"""What the command line says about requests: header fields, the User-Agent, and the environment's proxies and authorities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import warm
from argosy_devkit import LibraryServer
from hazards import Authority
from proxy import Proxy

SECRET = "s3cr3t-of-the-library"
TRANSPORTS = pytest.mark.parametrize("transport", ["requests", "curl"])
VARIABLES = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def argosy(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a download into a folder in an environment with these variables, and without others of their kind."""
    names = {name for upper in VARIABLES for name in (upper, upper.lower())}
    env = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-m", "argosy", "download", "--directory", str(folder / "got"), *words]
    return subprocess.run(command, cwd=folder, env=env | variables, capture_output=True, text=True)


def config(folder: Path, transport: str, url: str) -> str:
    (folder / "argosy.toml").write_text(
        f'transport = "{transport}"\nmax_retries = 0\nmax_outage = 0\nsource = {{ use = "urls", urls = ["{url}"] }}\n',
        "utf-8",
    )
    return "argosy.toml"


def test_header_fields_and_the_user_agent(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/a.txt"
    (tmp_path / "c.toml").write_text('headers = { X-Shelf = "7", X-Room = "1" }\n', "utf-8")
    fields = ("-H", f"X-Api-Key: {SECRET}", "-H", "X-Room:2", "-A", "Reader/1 (library)")
    done = argosy(tmp_path, "c.toml", url, *fields, "--report", "report.json", "--events", "events.jsonl", "-v")
    assert done.returncode == 0, done.stderr
    (seen,) = server.seen  # type: ignore[attr-defined]
    assert (seen["x-api-key"], seen["x-room"], seen["x-shelf"]) == (SECRET, "2", "7")
    assert seen["user-agent"] == "Reader/1 (library)"
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in [*kept, done.stderr.encode(), done.stdout.encode()])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (f"Cookie: {SECRET}", 'use the auth "cookies"'),
        (f"authorization: Bearer {SECRET}", 'use the auth "bearer" or "basic"'),
        ("User-Agent: x", "use -A"),
        (SECRET, "write it as 'Name: value'"),
        (f": {SECRET}", "write it as 'Name: value'"),
        ("Host: a.example", "is not one to set"),
        (f"X-Key: {SECRET}\r\nX-Other: 1", "has characters that no header field may have"),
        ("X Key: 1", "is not the name of a header field"),
    ],
)
def test_fields_that_cannot_be_sent(tmp_path: Path, given: str, message: str) -> None:
    done = argosy(tmp_path, "http://127.0.0.1:9/a", "-H", given)
    assert (done.returncode, message in done.stderr, SECRET in done.stderr) == (2, True, False), done.stderr


@TRANSPORTS
def test_the_proxy_of_the_environment_is_used_where_that_is_asked_for(
    server: ThreadingHTTPServer, tmp_path: Path, transport: str
) -> None:
    url = f"http://127.0.0.1:{server.server_port}/a.txt"
    with Proxy(f"ada:{SECRET}") as proxy:
        words = (config(tmp_path, transport, url), "--force")
        done = argosy(tmp_path, *words, HTTP_PROXY=proxy.url)
        assert (done.returncode, proxy.asked) == (0, []), done.stderr
        assert "HTTP_PROXY is set but not used. To use the environment: --env-proxy" in done.stderr
        done = argosy(tmp_path, *words, "--env-proxy", http_proxy=proxy.url, NO_PROXY="other.example")
        assert (done.returncode, proxy.asked) == (0, [f"GET {url} HTTP/1.1"]), done.stderr
        assert "not used" not in done.stderr
        assert SECRET not in done.stderr
        done = argosy(tmp_path, *words, "--env-proxy", http_proxy=proxy.url, NO_PROXY="127.0.0.1")
        assert (done.returncode, len(proxy.asked)) == (0, 1), done.stderr
        done = argosy(tmp_path, *words, "-q", HTTP_PROXY=proxy.url)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_login_uses_the_proxy_of_the_environment_too(
    library_server: Callable[..., LibraryServer], tmp_path: Path
) -> None:
    server = library_server(lease_mode="revoke")
    (tmp_path / "password").write_text(server.password, "utf-8")
    fields = {"user": server.user, "password": {"file": "password"}}
    auth = {"use": "form-login", "url": server.url_for("/login"), "fields": fields}
    store = {"use": "json-file", "path": "cookies.json"}
    (tmp_path / "c.json").write_text(json.dumps({"auth": auth, "cookie_store": store}), "utf-8")
    with Proxy(f"ada:{SECRET}") as proxy:
        environment = {name: value for name, value in os.environ.items() if name.upper() not in VARIABLES}
        environment["HTTP_PROXY"] = proxy.url
        for words, told, asked in (((), True, False), (("--env-proxy",), False, True)):
            done = warm.run("login", "c.json", *words, cwd=tmp_path, env=environment)
            assert (done.returncode, bool(proxy.asked)) == (0, asked), done.stderr
            assert ("HTTP_PROXY is set but not used" in done.stderr) == told
            assert SECRET not in done.stderr + done.stdout


@TRANSPORTS
def test_the_authorities_of_the_environment(tmp_path: Path, transport: str) -> None:
    authority = Authority(tmp_path)
    listener, url = authority.serve(authority.ca.issue_cert("127.0.0.1"))
    with listener:
        words = (config(tmp_path, transport, f"{url}/x"),)
        bundle = str(authority.bundle)
        done = argosy(tmp_path, *words, SSL_CERT_FILE=bundle)
        assert (done.returncode, "SSL_CERT_FILE is set but not used" in done.stderr) == (1, True), done.stderr
        done = argosy(tmp_path, *words, "--env-proxy", CURL_CA_BUNDLE=bundle)
        assert done.returncode == 0, done.stderr
    done = argosy(tmp_path, *words, "--env-proxy", REQUESTS_CA_BUNDLE=str(tmp_path / "none.pem"))
    assert (done.returncode, "Set REQUESTS_CA_BUNDLE to a file" in done.stderr) == (2, True), done.stderr


def test_a_worker_process_uses_the_proxy_of_the_environment_too(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/a.txt"
    with Proxy() as proxy:
        done = argosy(tmp_path, url, "--env-proxy", "--strategy", "multiprocess", all_proxy=proxy.url)
        assert (done.returncode, proxy.asked) == (0, [f"GET {url} HTTP/1.1"]), done.stderr


def test_a_variable_that_is_no_proxy_is_named(tmp_path: Path) -> None:
    done = argosy(tmp_path, "http://127.0.0.1:9/a", "--env-proxy", HTTP_PROXY=f"ada:{SECRET}:x")
    assert done.returncode == 2
    assert "The environment variable http_proxy is not the URL of a proxy." in done.stderr
    assert SECRET not in done.stderr
