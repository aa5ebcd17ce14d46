"""Who can use a gateway, and who cannot: then nothing is sent to the service."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import warm
from argosy.errors import BusyError, ConfigError, StorageError
from argosy_gateway import door
from gateways import TOKEN, Answer, Gateway, Origin, Seen, ask, send
from missing import need
from plugins.gateway.conftest import StartGateway


@pytest.mark.torture(144)
@pytest.mark.parametrize("path", ["/", "/a", "/{wrong}/a", "/{short}/a", "/{long}/a", "//{secret}/a", "/%2f{secret}/a"])
def test_without_the_secret_there_is_nothing(gateway: Gateway, origin: Origin, path: str) -> None:
    secret = gateway.secret
    words = {"wrong": secret.swapcase(), "short": secret[:-1], "long": f"{secret}x", "secret": secret}
    got = ask(f"http://127.0.0.1:{gateway.port}{path.format(**words)}")
    assert (got.status, got.body) == (404, b"argosy gateway: Not found.\n")
    assert origin.seen == []


@pytest.mark.parametrize("rest", ["", "?q", "/"])
def test_the_root_needs_no_slash(gateway: Gateway, origin: Origin, rest: str) -> None:
    assert gateway.get(rest).status == 200
    assert origin.seen[0].path == (rest if rest.startswith("/") else f"/{rest}")


@pytest.mark.torture(144)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "localhost.evil.example", ""])
def test_a_name_that_leads_to_this_machine_is_not_ours(gateway: Gateway, origin: Origin, host: str) -> None:
    got = gateway.get("/a", Host=host.format(port=gateway.port))
    assert (got.status, origin.seen) == (403, [])


def test_links_of_a_page_that_begin_with_a_slash_lead_back(gateway: Gateway, origin: Origin) -> None:
    own = f"http://127.0.0.1:{gateway.port}"
    got = ask(f"{own}/static/a.css?v=1", "POST", b"x", Referer=f"{gateway.url}/page?1")
    assert (got.status, got.all("Location")) == (307, [f"/{gateway.secret}/static/a.css?v=1"])
    wrong = (f"{own}/wrong/page", f"http://evil.example/{gateway.secret}/page", own, f"{own}/", "", "x")
    assert [ask(f"{own}/static/a.css", Referer=referer).status for referer in wrong] == [404] * len(wrong)
    assert origin.seen == []
    assert gateway.get("/b", Referer=f"{gateway.url}/page").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "127.0.0.1", "LocalHost:{port}"])
def test_our_names(gateway: Gateway, origin: Origin, host: str) -> None:
    assert gateway.get("/a", Host=host.format(port=gateway.port)).status == 200


@pytest.mark.torture(144)
@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites(gateway: Gateway, origin: Origin, fields: dict[str, str]) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert gateway.get("/a", method, **fields).status == 403
    assert origin.seen == []


@pytest.mark.parametrize(
    "head",
    [
        "GET http://127.0.0.1/ HTTP/1.1",
        "CONNECT 127.0.0.1:80 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /{secret}/ HTTP/1.1\r\nHost: a",
    ],
)
def test_it_is_not_a_proxy(gateway: Gateway, origin: Origin, head: str) -> None:
    request = f"{head.format(secret=gateway.secret)}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with send(gateway.port, request.encode()) as connection, connection.makefile("rb") as stream:
        assert stream.readline().split()[1][:1] == b"4"
    assert origin.seen == []


@pytest.mark.torture(144)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_get_nothing_even_with_the_secret(
    origin: Origin, start_gateway: StartGateway, tmp_path: Path
) -> None:
    need("setpriv", "curl")
    gateway = start_gateway(origin.config(tmp_path), "-v")
    path = tmp_path / "socket"
    by_socket = start_gateway(origin.config(tmp_path), "--socket", str(path))
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    curl = ["curl", "-q", "-sS", "--max-time", "60"]
    own = subprocess.run([*curl, f"{gateway.url}/a"], capture_output=True, text=True, check=False)
    assert own.stdout == "ok"
    other = subprocess.run([*nobody, *curl, f"{gateway.url}/a"], capture_output=True, text=True, check=False)
    assert (other.returncode != 0, other.stdout) == (True, "")
    # the folder of the test is private, the socket beside it would be, too
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path(folder.anchor):
            folder.chmod(folder.stat().st_mode | 0o055)
    command = [*nobody, *curl, "--unix-socket", str(path), f"{by_socket.url}/a"]
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (other.returncode, other.stdout) == (7, "")
    assert len(origin.seen) == 1
    gateway.stop()
    assert "another user was refused" in gateway.log


def test_the_process_list_has_no_secret(gateway: Gateway) -> None:
    arguments = Path(f"/proc/{gateway.process.pid}/cmdline").read_text()
    environment = Path(f"/proc/{gateway.process.pid}/environ").read_text()
    for secret in (gateway.secret, TOKEN):
        assert secret not in arguments + environment


def test_a_unix_socket_is_of_its_user_alone(origin: Origin, start_gateway: StartGateway, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    gateway = start_gateway(origin.config(tmp_path), "--socket", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gateway.url == "http://localhost"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /a HTTP/1.0\r\nHost: localhost\r\n\r\n")
        with connection.makefile("rb") as stream:
            assert stream.read().endswith(b"\r\n\r\nok")
    assert gateway.stop() == 0
    assert not path.exists()


@pytest.mark.torture(146)
def test_the_socket_of_a_dead_gateway_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with door.listen_at(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(BusyError, match="listens on"), door.listen_at(path):
            pass
        assert path.exists()
    assert not path.exists()


@pytest.mark.torture(146)
def test_a_path_that_is_something_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(StorageError, match="not a socket"), door.listen_at(path):
        pass
    assert path.read_text() == "mine"
    for wrong in (tmp_path / "nowhere" / "socket", tmp_path / ("x" * 200)):
        with pytest.raises(StorageError, match="cannot be made"), door.listen_at(wrong):
            pass


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:80", "library.example:80", "[::]:0"])
def test_it_listens_on_this_machine_only(address: str) -> None:
    with pytest.raises(ConfigError, match="this machine only"):
        door.listen(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "", ":"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigError):
        door.listen(address)


def test_a_port_that_is_taken() -> None:
    with door.listen("127.0.0.1:0") as taken, pytest.raises(BusyError, match="cannot listen"):
        door.listen(f"127.0.0.1:{taken.getsockname()[1]}")


def test_the_user_of_a_connection_is_found() -> None:
    with door.listen("127.0.0.1:0") as server:
        port = server.getsockname()[1]
        # an IPv6 socket may connect to an address of IPv4, as some programs do
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
            client = socket.socket(family)
            client.connect((address, port))
            connection, _ = server.accept()
            with connection:
                assert door._user_of(connection) == os.getuid()
                client.close()
                assert door._user_of(connection) is None, "a connection that was closed is nobody's"


PAGE = """<!DOCTYPE html><title>other site</title><body><script>
const gateway = "{gateway}";
const tried = [];
async function attempt(name, act) {{
  try {{ tried.push(name + ":" + await act()); }} catch (error) {{ tried.push(name + ":failed"); }}
}}
(async () => {{
  await attempt("cors", async () => (await fetch(gateway + "/secret-file")).text());
  await attempt("opaque", async () => (await fetch(gateway + "/secret-file", {{mode: "no-cors"}})).type);
  await attempt("post", async () => (await fetch(gateway + "/change", {{mode: "no-cors", method: "POST", body: "x"}})).type);
  await attempt("image", () => new Promise((done) => {{
    const image = new Image(); image.onload = () => done("loaded"); image.onerror = () => done("failed");
    image.src = gateway + "/image.png"; }}));
  document.body.textContent = "tried " + tried.join(" ");
}})();
</script>"""


@pytest.mark.torture(144)
@pytest.mark.slow
def test_a_page_of_another_site_in_a_browser(gateway: Gateway, origin: Origin, tmp_path: Path) -> None:
    """Even one that knows the URL."""
    need("chromium")
    page = PAGE.format(gateway=gateway.url).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    def dom(url: str) -> str:
        command = [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        command += ["--virtual-time-budget=20000", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for host in ("127.0.0.1", "localhost"):
            shown = dom(f"http://{host}:{server.server_port}/")
            assert "tried cors:failed opaque:" in shown
            assert "image:failed" in shown
            assert origin.seen == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    def answer(seen: Seen) -> Answer:
        if seen.path == "/file":
            script = "fetch('/more').then((r) => r.text()).then((t) => { document.body.textContent = t; });"
            return Answer(200, [("Content-Type", "text/html")], f"<body><script>{script}</script>".encode())
        return Answer(200, [("Content-Type", "text/plain")], b"welcome")

    origin.answer = answer
    assert "<body>welcome" in dom(f"{gateway.url}/file"), "a person may open it"
    assert [seen.path for seen in origin.seen if "icon" not in seen.path] == ["/file", "/more"]


def test_without_aiohttp_it_says_what_to_install(origin: Origin, tmp_path: Path) -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from argosy.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "gateway", str(origin.config(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'argosy[gateway]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "0.0.0.0:0"], "this machine only"),
        (["--origin", "library.example"], "does not begin with http"),
        (["--origin", "https://library.example/books"], "has a path"),
        (["--listen", "127.0.0.1:1234", "--socket", "s"], "not both"),
    ],
)
def test_wrong_options(origin: Origin, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = warm.run("gateway", *arguments, str(origin.config(tmp_path)))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
