"""nginx, from its package, in front of a server of a test: TLS, and HTTP/2 if the client knows it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from argosy_devkit.contracts.waiting import wait_until
from missing import need
from ports import free_port

_CONFIGURATION = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format protocols "$server_protocol $connection $status $request_method $uri";
    access_log {root}/access.log protocols;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    ssl_certificate {root}/server.pem;
    ssl_certificate_key {root}/server.pem;
    upstream library {{
        server 127.0.0.1:{upstream};
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        location / {{
            proxy_pass http://library;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_next_upstream off;  # it would send a token again
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx; `bundle` is the file with the authority that signed its certificate."""

    root: Path
    port: int
    bundle: str

    def requests(self) -> list[tuple[str, str]]:
        """Return the protocol and the number of the connection of each request."""
        lines = (self.root / "access.log").read_text("utf-8").splitlines()
        return [(protocol, connection) for protocol, connection, *_ in map(str.split, lines)]


@contextlib.contextmanager
def in_front_of(port: int, root: Path) -> Iterator[Nginx]:
    """Run nginx in front of a port of this machine; skip the test if it is not installed."""
    program = "/usr/sbin/nginx"
    need(program)
    root.mkdir()
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(root / "server.pem"))
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    own = free_port()
    (root / "nginx.conf").write_text(_CONFIGURATION.format(root=root, port=own, upstream=port), "utf-8")
    process = subprocess.Popen(
        [program, "-e", str(root / "error.log"), "-p", str(root), "-c", str(root / "nginx.conf")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is not None or _listens(own), "nginx to listen")
        if process.poll() is not None:
            pytest.fail(f"nginx did not start: {(root / 'error.log').read_text('utf-8')}")
        yield Nginx(root, own, str(root / "ca.pem"))
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
