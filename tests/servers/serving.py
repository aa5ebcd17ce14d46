"""The server's side: serves a WSGI application in this process until its standard input ends.

``/-/counts`` is what was counted, as JSON; ``/-/expire`` ends all sessions. Both are beside the application.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from servers.counts import Counts
from servers.rules import Rules

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
#: Returns the application, and what ends all its sessions; the folder is its own.
MakeApp = Callable[[Rules, Counts, Path], tuple[Wsgi, Callable[[], object]]]


def serve(make_app: MakeApp) -> None:
    """Serve the application by the rules in the first argument (JSON); print the port first."""
    warnings.simplefilter("error")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="argosy-test-") as folder:
        _serve(make_app, Path(folder))


def _serve(make_app: MakeApp, folder: Path) -> None:
    counts = Counts()
    app, expire = make_app(Rules(**json.loads(sys.argv[1])), counts, folder)

    gate = _Gate()

    def beside(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith("/-/"):
            with gate.one_of_many():
                return app(environ, start_response)
        if path == "/-/expire":
            with gate.alone():  # no request loses its session half way
                expire()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(counts.as_dict()).encode()]

    server = make_server("127.0.0.1", 0, beside, threaded=True, request_handler=_Handler)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # ends with whoever started this


class _Gate:
    """Lets many through at once, or one alone."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0

    @contextlib.contextmanager
    def one_of_many(self) -> Iterator[None]:
        with self._condition:
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._inside)
            yield


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as a real front end does

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say errors only."""
        if type == "error":
            super().log(type, message, *args)
