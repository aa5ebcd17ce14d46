"""A service that asks for HTTP Basic, Digest or a bearer token, made with Flask-HTTPAuth."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import Counter
from typing import Any

from flask import Flask, Response, redirect, request
from flask_httpauth import HTTPBasicAuth, HTTPDigestAuth, HTTPTokenAuth

from servers.in_thread import InThread

USER, PASSWORD, TOKEN = "ada", "p\N{LATIN SMALL LETTER A WITH DIAERESIS}ss:word", "bearer-token-123456"


class HttpAuthServer(InThread):
    """Gives ``/basic/N``, ``/digest/N``, ``/bearer/N`` and ``/key/N`` (field ``X-Api-Key``) to those who may.

    ``/away/SCHEME/N`` leads to the same under another name of this machine, which is another origin. `seen` counts
    ``accepted`` and ``refused`` requests, and those with credentials at the wrong origin (``leaked``); `tokens` are
    the bearer tokens that are good. With `sets_cookie` each answer, a refusal as well, brings another cookie.

    ``/nonce/N`` wants the number of requests that were accepted there before (field ``X-Nonce``), and brings the next
    one; ``/nonce/away/N`` redirects there, and wants one as well. Old ones count as ``replaced``.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.tokens = {TOKEN}
        self.sets_cookie = False
        self.nonce = 0
        self.mutex = threading.Lock()
        super().__init__(_app(self))
        self.url = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def body(number: int) -> bytes:
        """Return the file of this number."""
        return hashlib.sha256(str(number).encode()).digest() * 300


def _app(server: HttpAuthServer) -> Flask:
    app = Flask(__name__)
    app.secret_key = "only for Flask-HTTPAuth"
    basic, digest, bearer = HTTPBasicAuth(), HTTPDigestAuth(), HTTPTokenAuth("Bearer")
    key = HTTPTokenAuth(header="X-Api-Key")
    basic.verify_password(lambda user, password: (user, password) == (USER, PASSWORD))
    digest.get_password(lambda user: PASSWORD if user == USER else None)
    _stateless(digest)
    bearer.verify_token(lambda token: token in server.tokens)
    key.verify_token(lambda token: token in server.tokens)

    def answer(number: int) -> Response:
        return Response(server.body(number), mimetype="application/octet-stream")

    for scheme, auth in {"basic": basic, "digest": digest, "bearer": bearer, "key": key}.items():
        app.add_url_rule(f"/{scheme}/<int:number>", scheme, auth.login_required(answer))

    @app.get("/nonce/<int:number>")
    @app.get("/nonce/<away>/<int:number>")
    def nonce(number: int, away: str = "") -> Any:
        with server.mutex:
            if request.headers.get("X-Nonce") != str(server.nonce):
                server.seen["replaced"] += 1
                return Response(status=401)
            server.nonce += 1
            response: Any = redirect(f"/nonce/{number}") if away else answer(number)
            response.headers["X-Next-Nonce"] = str(server.nonce)
            return response

    @app.get("/away/<scheme>/<int:number>")
    def away(scheme: str, number: int) -> Any:
        return redirect(f"http://localhost:{server.port}/{scheme}/{number}")

    @app.after_request
    def count(response: Response) -> Response:
        server.seen["accepted" if response.status_code == 200 else "refused"] += 1
        if server.sets_cookie:
            response.set_cookie("visit", str(uuid.uuid4()))
        elsewhere = request.host.startswith("localhost")
        server.seen["leaked"] += elsewhere and bool({"Authorization", "X-Api-Key"} & set(dict(request.headers)))
        return response

    return app


def _stateless(digest: Any) -> None:
    """Let challenges be good without a cookie, as those of Apache and nginx are."""
    digest.generate_nonce(lambda: "a-nonce")
    digest.verify_nonce(lambda nonce: nonce == "a-nonce")
    digest.generate_opaque(lambda: "an-opaque")
    digest.verify_opaque(lambda opaque: opaque == "an-opaque")
