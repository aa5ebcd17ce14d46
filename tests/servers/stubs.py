"""A service that answers with status 200 once a session has ended, but not with the file; made with Flask."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections import Counter
from typing import Any

from flask import Flask, Response, redirect, request

from servers.in_thread import InThread

USER, PASSWORD = "ada", "analytical"

#: What comes in place of a file: its media type, its body, and the option ``refusal`` that recognizes it.
STUBS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "marker": ("application/octet-stream", b"PREVIEW ONLY " * 700, {"marker": "PREVIEW ONLY"}),
    "json": (
        "application/json",
        json.dumps({"error": {"code": "token_expired"}, "pad": "x" * 9000}).encode(),
        {"json": {"path": "error.code", "value": "token_expired"}},
    ),
    "json present": (
        "application/octet-stream",
        json.dumps({"errors": [{"status": 401}], "pad": "x" * 9000}).encode(),
        {"json": {"path": "/errors/0/status"}},
    ),
    "content type": ("text/plain", b"x" * 9600, {"content_types": ["application/octet-stream"]}),
    "size": ("application/octet-stream", b"x" * 400, {"min_size": 5000}),
}


class StubServer(InThread):
    """Serves ``/files/N`` to a session for `most` files; after that, and always for `denied`, it answers with a stub.

    With `streams` no answer has a length. `seen` counts ``logins``, ``files`` and ``stubs``.
    """

    def __init__(self, kind: str, *, most: int, denied: tuple[int, ...] = (), streams: bool = False) -> None:
        self.media_type, self.stub, self.refusal = STUBS[kind]
        self.most, self.denied, self.streams = most, denied, streams
        self.seen: Counter[str] = Counter()
        self.mutex = threading.Lock()
        super().__init__(_app(self))
        self.url = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def body(number: int) -> bytes:
        """Return the file of this number."""
        return hashlib.sha256(str(number).encode()).digest() * 300


def _app(server: StubServer) -> Flask:
    app = Flask(__name__)
    left: Counter[str] = Counter()

    @app.get("/login")
    def form() -> str:
        return "<form method=post><input name=user><input name=password type=password><button></form>"

    @app.post("/login")
    def login() -> Any:
        if (request.form["user"], request.form["password"]) != (USER, PASSWORD):
            return form()
        response = redirect("/welcome")
        with server.mutex:
            server.seen["logins"] += 1
            left[name := str(uuid.uuid4())] = server.most
        response.set_cookie("sid", name)
        return response

    @app.get("/welcome")
    def welcome() -> str:
        return "welcome"

    @app.get("/files/<int:number>")
    def file(number: int) -> Response:
        with server.mutex:
            session = request.cookies.get("sid", "")
            is_good = left[session] > 0 and number not in server.denied
            left[session] -= is_good
            server.seen["files" if is_good else "stubs"] += 1
        body = server.body(number) if is_good else server.stub
        kind = "application/octet-stream" if is_good else server.media_type
        return Response(iter([body]) if server.streams else body, mimetype=kind)

    return app
