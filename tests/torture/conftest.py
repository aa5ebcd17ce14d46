"""What the tests of the torture table share: odd servers, and plugins that misbehave."""

from __future__ import annotations

import contextlib
import os
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import voyage

#: The modules whose tests are about the network: they run with each transport.
OF_THE_NETWORK = {
    f"test_{name}"
    for name in (
        "credentials",
        "downgrade",
        "heavy_weather",
        "hostile",
        "hostile_sessions",
        "network",
        "outages",
        "pages",
        "politeness",
        "proxies",
        "resume",
        "server",
        "stopped",
        "token",
        "verified",
        "what_leaves",
    )
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests of the network run with each transport, unless they say why not."""
    is_of_the_network = metafunc.module.__name__.rpartition(".")[2] in OF_THE_NETWORK
    if is_of_the_network and metafunc.definition.get_closest_marker("requests_only") is None:
        transports = ["requests", pytest.param("curl", marks=pytest.mark.slow)]
        metafunc.parametrize("transport", transports, indirect=True)


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let configurations that name no transport use this one."""
    name: str = getattr(request, "param", "requests")
    if name != "requests":
        monkeypatch.setitem(voyage.DEFAULTS, "transport", name)
    return name


#: Answers one connection; it is closed afterwards.
Answer = Callable[[socket.socket], None]


class RawServer:
    """A server that does with its connections whatever a test says, byte by byte.

    Parameters
    ----------
    answer
        Called with each connection, in a thread of its own.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def request(self, connection: socket.socket) -> bytes:
        """Return the next request's head; empty where the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        self.requests.append(data)
        return data

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client may go away
            self._answer(connection)


@pytest.fixture(scope="module")
def raw_server() -> Iterator[Callable[[Callable[[RawServer, socket.socket], None]], RawServer]]:
    """Start servers that do what a function ``(server, connection)`` says."""
    servers: list[RawServer] = []

    def start(answer: Callable[[RawServer, socket.socket], None]) -> RawServer:
        server = RawServer(lambda connection: answer(server, connection))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Install a distribution of one module with entry points; return the environment that finds it."""
    site = tmp_path / "site"
    site.mkdir()

    def install(name: str, source: str, *entry_points: str) -> dict[str, str]:
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), "utf-8")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        lines = [f"{entry_point} = {module}" for entry_point in entry_points]
        (info / "entry_points.txt").write_text("\n".join(["[argosy]", *lines, ""]), "utf-8")
        return {**os.environ, "PYTHONPATH": str(site)}

    return install
