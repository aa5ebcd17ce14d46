"""An API made with Flask whose sessions are cookies, and whose every response brings the CSRF token of the next request.

It comes in the field ``X-CSRF-Token``, or in the cookie ``XSRF-TOKEN``, percent-encoded, to be sent back in the field
``X-XSRF-TOKEN``, as Laravel and Angular do it. Each request must have the newest.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from servers.counts import Counts
from servers.rules import PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve

_FORM = """<!doctype html><title>Library</title>
<form method="post"><input name="user"><input name="password" type="password"></form>"""


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the API, and what ends its sessions."""
    app = Flask(__name__)
    newest: dict[str, str] = {}  # by session
    mutex = threading.Lock()

    def with_token(response: AnyResponse, session: str) -> AnyResponse:
        token = base64.b64encode(secrets.token_bytes(16)).decode()  # ends with "=="
        newest[session] = token
        if rules.cookie:
            response.set_cookie("XSRF-TOKEN", quote(token, safe=""))
        else:
            response.headers["X-CSRF-Token"] = token
        return response

    def logged_in(user: object, password: object, response: AnyResponse) -> AnyResponse:
        if (user, password) != (USER, PASSWORD):
            counts.add("failed_logins")
            return Response(status=401)
        counts.add("logins")
        session = secrets.token_urlsafe(16)
        response.set_cookie("sid", session, httponly=True)
        with mutex:
            return with_token(response, session)

    @app.post("/api/login")
    def api_login() -> AnyResponse:
        given = request.get_json()
        return logged_in(given.get("user"), given.get("password"), jsonify(ok=True))

    @app.get("/login")
    def form() -> str:
        return _FORM

    @app.post("/login")
    def form_login() -> AnyResponse:
        return logged_in(
            request.form.get("user"), request.form.get("password"), Response("Welcome", mimetype="text/plain")
        )

    @app.get("/books/<int:number>.bin")
    def give(number: int) -> AnyResponse:
        session = request.cookies.get("sid", "")
        token = request.headers.get("X-XSRF-TOKEN" if rules.cookie else "X-CSRF-Token", "")
        with mutex:
            if session not in newest:
                counts.add("refused")
                return Response(status=401)
            if token != newest[session]:
                counts.add("replaced_tokens_sent")
                return Response("CSRF token mismatch.", status=419)
            counts.add("accepted")
            return with_token(Response(book(number), mimetype="application/octet-stream"), session)

    return app, newest.clear


if __name__ == "__main__":
    serve(make_app)
