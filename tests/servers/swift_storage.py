"""OpenStack Swift in one process: what its four server programs do, without starting Python four times.

Run by the system's Python, which has Swift from its Debian packages; nothing of the project can be imported there. The
folder in the first argument has a ``NAME.conf`` for each server, and gets the rings, which say that there is one disk.
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from typing import Any

import eventlet
import eventlet.wsgi

eventlet.monkey_patch()

from swift.common.ring.builder import RingBuilder  # noqa: E402 - it is patched before
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

#: The order in which they are needed.
KINDS = ("account", "container", "object", "proxy")


def main(folder: Path) -> None:
    """Serve until this process is killed, or nobody holds the other end of standard input."""
    for kind in KINDS:
        settings = configparser.RawConfigParser()
        settings.read(str(folder / f"{kind}.conf"))
        port = settings.getint("DEFAULT", "bind_port")
        if kind != "proxy":
            _write_ring(folder, kind, port)
        app = loadapp(str(folder / f"{kind}.conf"))
        sock = eventlet.listen((settings.get("DEFAULT", "bind_ip"), port), backlog=128)
        how: dict[str, object] = {
            "protocol": SwiftHttpProtocol,
            "log_output": False,
            "capitalize_response_headers": False,
        }
        eventlet.spawn(eventlet.wsgi.server, sock, _Front(app), **how)
    print("ready", flush=True)
    eventlet.hubs.trampoline(sys.stdin.fileno(), read=True)


class _Front:
    """What a front end before Swift does: an answer to HEAD ends with its head (RFC 9110 section 9.3.2).

    Without a length, eventlet sends an empty chunk behind it, and strict clients take that for a broken connection.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "HEAD":
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if not any(name.lower() == "content-length" for name, _ in headers):
                headers = [*headers, ("Content-Length", "0")]
            return start_response(status, headers, *rest)

        return self._app(environ, start)


def _write_ring(folder: Path, kind: str, port: int) -> None:
    builder = RingBuilder(4, 1, 0)
    where = {"ip": "127.0.0.1", "replication_ip": "127.0.0.1", "port": port, "replication_port": port}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": "disk", "meta": "", **where})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
