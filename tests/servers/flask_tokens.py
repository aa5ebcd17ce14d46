"""An API made with Flask that behaves as services with devise_token_auth do: each response replaces the token in its header.

A login with JSON brings ``access-token``, ``client``, ``uid`` and ``expiry``. The responses to a batch of requests have a
blank in place of a new token.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from servers.counts import Counts
from servers.rules import PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve

UID = f"{USER}@example.org"


@dataclass
class _Client:
    """The tokens of one login."""

    token: str
    before: str = ""
    batch: int = 0  # how many requests of the batch are still to come


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the API, and what ends its sessions."""
    app = Flask(__name__)
    clients: dict[str, _Client] = {}
    mutex = threading.Lock()

    def with_token(response: AnyResponse, client: str, token: str) -> AnyResponse:
        response.headers["access-token"] = token
        response.headers["token-type"] = "Bearer"
        response.headers["client"] = client
        response.headers["uid"] = UID
        response.headers["expiry"] = str(int(time.time()) + 1209600) if token.strip() else " "
        return response

    def refused() -> AnyResponse:
        counts.add("refused")
        response = jsonify(errors=["You need to sign in or sign up before continuing."])
        response.status_code = 401
        return response

    @app.post("/auth/sign_in")
    def sign_in() -> AnyResponse:
        given = request.get_json()
        if (given.get("email"), given.get("password")) != (UID, PASSWORD):
            counts.add("failed_logins")
            return refused()
        counts.add("logins")
        client, token = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        with mutex:
            clients[client] = _Client(token)
        return with_token(jsonify(data={"uid": UID}), client, token)

    @app.get("/books/<int:number>.bin")
    def give(number: int) -> AnyResponse:
        name, token = request.headers.get("client", ""), request.headers.get("access-token", "")
        with mutex:
            client = clients.get(name)
            if client is None or request.headers.get("uid") != UID:
                return refused()
            is_old = token == client.before and client.batch > 0
            if token != client.token and not is_old:
                counts.add("replaced_tokens_sent")
                return refused()
            if client.batch > 0:
                client.batch -= 1
                new = " "
            else:
                client.before, client.batch = client.token, rules.batch
                new = client.token = secrets.token_urlsafe(16)
        counts.add("accepted")
        counts.add("blank" if new == " " else "replaced")
        return with_token(Response(book(number), mimetype="application/octet-stream"), name, new)

    return app, clients.clear


if __name__ == "__main__":
    serve(make_app)
