"""A server in a thread of the tests, for what somebody else's framework makes."""

from __future__ import annotations

import ssl
import threading
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any) -> None:
        """Print nothing."""


class InThread:
    """A WSGI application on a port of this machine, from the beginning of a ``with`` to its end."""

    def __init__(self, app: Any, tls: ssl.SSLContext | None = None) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet, ssl_context=tls)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
