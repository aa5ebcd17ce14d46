"""Other programs on the session of argosy, through gateways."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import argosy
import warm
from argosy_devkit import LibraryServer
from argosy_devkit.bodies import body_of
from argosy_devkit.contracts.waiting import wait_until
from conftest import SetSail
from gateways import Answer, Gateway, Origin, ask, library_config, send, write
from missing import need

pytestmark = pytest.mark.skipif(not warm.CAN_WARM, reason="processes are started in a way that only Linux has")

FILES, SIZE = 40, 20_000
PROGRAMS = {"curl": "curl", "aria2": "aria2c", "wget2": "wget2"}

StartGateway = Callable[..., Gateway]
ServerFactory = Callable[..., LibraryServer]


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    with ExitStack() as stack:
        yield lambda config, *arguments: stack.enter_context(Gateway(config, *arguments))


def fetch(program: str, base: str, folder: Path, *headers: str) -> int:
    """Download all files with eight connections; return how many are right. URLs are in a file, as others see arguments."""
    need(PROGRAMS[program])
    got = folder / "got"
    got.mkdir()
    urls = [f"{base}/files/f{number}?size={SIZE}" for number in range(FILES)]
    given = folder / "urls"
    fields = [word for header in headers for word in ("-H" if program == "curl" else "--header", header)]
    if program == "curl":
        given.write_text("".join(f'url = "{url}"\noutput = "{got}/f{n}"\n' for n, url in enumerate(urls)))
        command = ["curl", "-q", "-sSf", "-Z", "--parallel-max", "8", "-K", str(given)]
    elif program == "aria2":
        given.write_text("".join(f"{url}\n out=f{n}\n" for n, url in enumerate(urls)))
        command = ["aria2c", "--no-conf", "-q", "-j8", "-d", str(got), "-i", str(given)]
    else:
        given.write_text("\n".join(urls))
        command = ["wget2", "--no-config", "-q", "--max-threads=8", "-P", str(got), "-i", str(given)]
    done = subprocess.run([*command, *fields], capture_output=True, check=False, timeout=100)
    right = sum(
        any(
            path.exists() and path.read_bytes() == body_of(name, SIZE)
            for path in (got / name, got / f"{name}?size={SIZE}")
        )
        for name in (f"f{number}" for number in range(FILES))
    )
    assert (done.returncode == 0) == (right == FILES)
    return right


@pytest.mark.torture(140)
@pytest.mark.parametrize(
    "program", ["curl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("aria2", "wget2"))]
)
def test_programs_download_in_parallel(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path, program: str
) -> None:
    server = library_server(lease_mode="revoke")
    gateway = start_gateway(library_config(tmp_path, server))
    assert fetch(program, gateway.url, tmp_path) == FILES
    stats = server.stats()
    assert (stats.logins, stats.refused, stats.anonymous, stats.replaced_tokens_sent) == (1, 0, 0, 0)
    assert gateway.stop() == 0


@pytest.mark.torture(140)
@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_without_a_gateway_they_end_the_session(library_server: ServerFactory, tmp_path: Path, program: str) -> None:
    server = library_server(lease_mode="revoke")
    argosy.login(library_config(tmp_path, server))
    store = argosy.open_store("json-file", path=str(tmp_path / "cookies.json"))
    record = store.read("default")
    assert record is not None
    (token,) = (cookie for cookie in record.cookies if cookie.name == "token")
    assert fetch(program, server.url, tmp_path, f"Cookie: token={token.value}") < FILES
    assert server.stats().replaced_tokens_sent > 0
    assert server.stats().sessions_revoked == 1


def get_all(urls: list[str]) -> list[int]:
    with ThreadPoolExecutor(8) as pool:
        return [got.status for got in pool.map(ask, urls)]


@pytest.mark.torture(140)
def test_two_gateways_and_a_download_share_one_session(set_sail: SetSail, start_gateway: StartGateway) -> None:
    voyage = set_sail(items=30, lease_mode="revoke")
    gateways = [start_gateway(voyage.file) for _ in range(2)]
    download = voyage.start()
    statuses = get_all([f"{gateways[n % 2].url}/files/own-{n}?size=1000" for n in range(60)])
    _, err = download.communicate(timeout=100)
    assert (download.returncode, statuses, voyage.wrong()) == (0, [200] * 60, []), err
    stats = voyage.server.stats()
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)


@pytest.mark.torture(141)
@pytest.mark.slow
def test_a_killed_gateway_costs_at_most_one_login(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path
) -> None:
    server = library_server(lease_mode="revoke", ttfb=0.02)
    config = library_config(tmp_path, server)
    gateway = start_gateway(config)

    def until_it_ends() -> None:
        try:
            while True:
                ask(f"{gateway.url}/files/a?size=1000")
        except (OSError, http.client.HTTPException):
            pass

    clients = [threading.Thread(target=until_it_ends) for _ in range(4)]
    for client in clients:
        client.start()
    wait_until(lambda: server.stats().accepted > 10, "some requests")
    gateway.process.send_signal(signal.SIGKILL)
    for client in clients:
        client.join()
    again = start_gateway(config)
    assert get_all([f"{again.url}/files/{n}?size=1000" for n in range(20)]) == [200] * 20
    stats = server.stats()
    assert stats.logins <= 2
    assert stats.replaced_tokens_sent == 0


@pytest.mark.torture(141)
@pytest.mark.parametrize("mode", ["strict", "soft", "redirect"])
def test_a_session_that_ends_is_replaced_once_for_all(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path, mode: str
) -> None:
    server = library_server(lease_mode=mode)
    gateway = start_gateway(library_config(tmp_path, server))
    server.expire_sessions()
    assert get_all([f"{gateway.url}/files/{n}?size=1000" for n in range(16)]) == [200] * 16
    assert gateway.get("/files/x?size=10", "POST", b"form=1").status == 200
    assert server.stats().logins == 2


@pytest.mark.torture(142)
def test_a_session_that_cannot_be_renewed_is_explained(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path
) -> None:
    server = library_server(lease_mode="strict")
    gateway = start_gateway(library_config(tmp_path, server))
    server.change(password="another one")
    server.expire_sessions()
    got = gateway.get("/files/a?size=10")
    text = got.body.decode()
    assert (got.status, got.all("Content-Type")) == (503, ["text/plain; charset=utf-8"])
    assert text.startswith("argosy gateway: ")
    assert "log" in text.lower()
    assert server.settings.password not in text
    assert "difference engine" not in text


def test_tokens_in_header_fields_stay_inside(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path
) -> None:
    server = library_server(lease_mode="revoke", carrier="header", headers=[("X-Request-Id", "1")])
    (tmp_path / "password").write_text(server.password)
    auth = {
        "use": "json-login",
        "url": server.login_url,
        "json": {"user": server.user, "password": {"file": "password"}},
        "tokens": {"headers": ["access-token", "client", "uid"]},
    }
    config = write(tmp_path / "argosy.json", {"auth": auth, "cookie_store": {"use": "json-file", "path": "c.json"}})
    gateway = start_gateway(config)

    def fields(number: int) -> set[str]:
        got = gateway.get(f"/files/{number}?size=1000", access_token="mine", client="mine")
        assert (got.status, got.body) == (200, body_of(str(number), 1000))
        return {name.lower() for name, _ in got.fields}

    with ThreadPoolExecutor(8) as pool:
        found = set().union(*pool.map(fields, range(40)))
    assert not found & {"access-token", "client", "uid", "set-cookie"}
    assert "x-request-id" in found
    stats = server.stats()
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)


@pytest.mark.slow
def test_more_programs_than_threads_on_a_session_that_waits_for_bodies(
    library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path
) -> None:
    server = library_server(lease_mode="revoke", commit="body")
    gateway = start_gateway(library_config(tmp_path, server, lease="exclusive-to-end"))
    with ThreadPoolExecutor(80) as pool:
        got = [pool.submit(gateway.get, f"/files/{number}?size=300000") for number in range(80)]
        assert all(each.result().body == body_of(str(n), 300_000) for n, each in enumerate(got))
    stats = server.stats()
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0)


def test_a_download_resumes(library_server: ServerFactory, start_gateway: StartGateway, tmp_path: Path) -> None:
    need("curl")
    gateway = start_gateway(library_config(tmp_path, library_server(lease_mode="revoke")))
    whole = body_of("a", 100_000)
    (tmp_path / "a").write_bytes(whole[:30_000])
    (tmp_path / "given").write_text(f'url = "{gateway.url}/files/a?size=100000"\noutput = "a"\ncontinue-at = -\n')
    subprocess.run(["curl", "-q", "-sSf", "-K", "given"], cwd=tmp_path, check=True)
    assert (tmp_path / "a").read_bytes() == whole


# -- how it ends


class Held:
    """A body whose second half comes when the test lets it."""

    def __init__(self, origin: Origin) -> None:
        self.go = threading.Event()
        origin.answer = lambda seen: Answer(body=self._pieces(), length=8)

    def _pieces(self) -> Iterator[bytes]:
        yield b"half"
        self.go.wait(60)
        yield b"rest"


@contextmanager
def begun(gateway: Gateway, path: Path | None = None) -> Iterator[http.client.HTTPResponse]:
    """Request a held body, and yield the response once its first half is here."""
    connection = http.client.HTTPConnection("localhost" if path else "127.0.0.1", gateway.port, timeout=60)
    if path is not None:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(path))
    with closing(connection):
        connection.request("GET", f"/{gateway.secret}/a".replace("//", "/"))
        with closing(connection.getresponse()) as response:
            assert response.read(4) == b"half"
            yield response


@pytest.mark.torture(143)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_it_finish_what_is_in_transit(
    start_gateway: StartGateway, tmp_path: Path, number: signal.Signals
) -> None:
    with Origin() as origin:
        held = Held(origin)
        gateway = start_gateway(origin.config(tmp_path))
        with begun(gateway) as response:
            gateway.process.send_signal(number)
            wait_until(lambda: "Waiting for 1 request in transit" in gateway.log, "the gateway to stop")
            with pytest.raises(ConnectionRefusedError):
                send(gateway.port, b"")
            held.go.set()
            assert response.read() == b"rest"
        assert gateway.process.wait(60) == 0


@pytest.mark.torture(143)
def test_a_second_signal_ends_it(start_gateway: StartGateway, tmp_path: Path) -> None:
    with Origin() as origin:
        held = Held(origin)
        path = tmp_path / "socket"
        gateway = start_gateway(origin.config(tmp_path), "--socket", str(path))
        with begun(gateway, path) as response:
            gateway.process.send_signal(signal.SIGINT)
            wait_until(lambda: "Waiting for 1 request in transit" in gateway.log, "the gateway to stop")
            gateway.process.send_signal(signal.SIGINT)
            assert gateway.process.wait(60) == 130
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()
        assert not path.exists()
        held.go.set()


# -- argosy run


def run(config: Path, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return warm.run("run", *options, str(config), "--", *command, cwd=config.parent)


ASK = (
    "import os, sys, urllib.request; print(urllib.request.urlopen(os.environ[sys.argv[1]] + '/files/a?size=10').status)"
)


def test_a_command_gets_a_gateway(library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(lease_mode="revoke")
    config = library_config(tmp_path, server)
    done = run(config, sys.executable, "-c", ASK, "ARGOSY_GATEWAY")
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    done = run(config, sys.executable, "-c", ASK, "LIBRARY", options=("--env", "LIBRARY"))
    assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    assert server.stats().logins == 1
    wrong = run(config, "true", options=("--env", "A=B"))
    assert (wrong.returncode, "'A=B' cannot be the name of a variable." in wrong.stderr) == (2, True)
    script = 'echo "$ARGOSY_GATEWAY $ARGOSY_GATEWAY_SOCKET"; test -S "$ARGOSY_GATEWAY_SOCKET"; exit 3'
    done = run(config, "sh", "-c", script, options=("--socket", "s"))
    assert (done.returncode, done.stdout) == (3, f"http://localhost {tmp_path / 's'}\n")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("exit 7", 7, ""),
        ("kill -TERM $$", 143, ""),
        (None, 127, "Cannot run no-such-program"),
    ],
)
def test_the_exit_code_is_that_of_the_command(tmp_path: Path, command: str | None, code: int, message: str) -> None:
    with Origin() as origin:
        words = ("sh", "-c", command) if command else ("no-such-program",)
        done = run(origin.config(tmp_path), *words)
    assert done.returncode == code
    assert message in done.stderr


def test_signals_go_to_the_command(tmp_path: Path) -> None:
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(5)); print('ready', flush=True); signal.pause()"
    with Origin() as origin:
        config = origin.config(tmp_path)
        running = warm.shared().start("run", str(config), "--", sys.executable, "-c", code)
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 5
        running.communicate()


def test_the_command_is_not_started_without_a_session(library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server()
    config = library_config(tmp_path, server)
    (tmp_path / "password.txt").write_text("wrong")
    done = run(config, "touch", "started")
    assert done.returncode == 3
    assert not (tmp_path / "started").exists()


def test_the_service_has_to_be_known(tmp_path: Path) -> None:
    auth = {"use": "cookies", "path": "jar.json"}
    (tmp_path / "jar.json").write_text("[]")
    done = run(write(tmp_path / "argosy.json", {"auth": auth}), "true")
    assert (done.returncode, "--origin" in done.stderr) == (2, True)
    source = {"use": "urls", "urls": ["https://a.example/1", "https://b.example/2"]}
    done = run(write(tmp_path / "argosy.json", {"auth": auth, "source": source}), "true")
    assert done.returncode == 2
    assert "https://a.example, https://b.example" in done.stderr
    assert "--origin" in done.stderr


def test_what_a_service_sees_is_the_same_as_in_a_download(tmp_path: Path) -> None:
    """The configured User-Agent and fields go with the requests of programs, too."""
    with Origin() as origin:
        config = origin.config(tmp_path, user_agent="Mine/1", headers={"X-Client": "7"})
        done = run(config, sys.executable, "-c", ASK, "ARGOSY_GATEWAY")
    assert done.stdout == "200\n", done.stderr
    assert [(seen.all("User-Agent"), seen.all("X-Client")) for seen in origin.seen] == [(["Mine/1"], ["7"])]
