"""nginx from its package as the server: real files, the same for every tool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ports import free_port

#: A path that can be followed by any name: the same small file.
TINY = "/tiny/"
TINY_BODY = b"ten bytes\n"

#: The seconds to the first byte of what is below `/late`.
DELAY = 0.02

CONFIG = """
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log error;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    default_type application/octet-stream;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    upstream delay {{ server unix:{root}/delay; keepalive 256; }}
    server {{
        listen 127.0.0.1:{port};
        root {root}/files;
        location /tiny/ {{ try_files /tiny.bin =404; }}
        # nginx cannot wait, so it asks another server if it may serve the file
        location /late/ {{ auth_request /delay; alias {root}/files/; }}
        location = /delay {{
            internal;
            proxy_pass http://delay;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_request_body off;
        }}
    }}
}}
"""


class Nginx:
    """A running nginx that serves a folder."""

    def __init__(self, root: Path, port: int) -> None:
        self.files = root / "files"
        self._url = f"http://127.0.0.1:{port}"

    def url(self, path: str) -> str:
        return self._url + path

    def make(self, files: int, size: int) -> None:
        """Serve so many files of random bytes, f0, f1 and so on, instead of those before."""
        aside = Path(tempfile.mkdtemp(dir=self.files.parent))  # see `benchmarks.tools.folder`
        for old in self.files.glob("f*"):
            old.rename(aside / old.name)
        for number in range(files):
            with (self.files / f"f{number}").open("wb") as file:
                for start in range(0, size, 1_000_000):
                    file.write(os.urandom(min(1_000_000, size - start)))


@contextlib.contextmanager
def nginx() -> Iterator[Nginx]:
    """Run nginx with a configuration of its own, on a free port; stop it at the end."""
    program = found()
    if program is None:
        raise SystemExit(f"needs nginx ({INSTALL})")
    port = free_port()
    with tempfile.TemporaryDirectory() as name, _delays(Path(name, "delay")):
        root = Path(name)
        (root / "files").mkdir()
        (root / "files" / "tiny.bin").write_bytes(TINY_BODY)
        # the folder is ours alone, so its workers must run as we do
        user = "user root;" if os.geteuid() == 0 else ""
        (root / "nginx.conf").write_text(CONFIG.format(root=root, port=port, user=user))
        command: list[str | Path] = [program, "-e", root / "start.log", "-p", root, "-c", root / "nginx.conf"]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _wait(server, port)
            yield Nginx(root, port)
        finally:
            server.terminate()
            server.communicate()


INSTALL = "Debian: apt install nginx-light"


def found() -> str | None:
    """Return the path of nginx; sbin is not in everyone's PATH."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def _wait(server: subprocess.Popen[str], port: int) -> None:
    """Wait until the server accepts connections."""
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise SystemExit(f"nginx did not start: {server.communicate()[1]}")


class _Delay(asyncio.Protocol):
    """Allows every request, after the delay."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        asyncio.get_running_loop().call_later(DELAY, self._transport.write, answer)


@contextlib.contextmanager
def _delays(path: Path) -> Iterator[None]:
    """Run the server that nginx asks, in a thread: this process does nothing else while a tool runs."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_unix_server(_Delay, path))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()
