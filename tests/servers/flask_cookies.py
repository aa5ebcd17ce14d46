"""A web application's API made with Flask, Flask-WTF and Flask-JWT-Extended: JSON Web Tokens in cookies.

The login takes two requests, the second one with a one-time code, and a token of Flask-WTF against forged requests. Where
tokens rotate, each response replaces the token, and Flask-JWT-Extended refuses the one before. The logout must repeat the
CSRF token that is in a cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
from flask import Flask, Response, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    get_jwt,
    jwt_required,
    set_access_cookies,
    unset_jwt_cookies,
    verify_jwt_in_request,
)
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from werkzeug.wrappers import Response as AnyResponse

from servers.counts import Counts
from servers.rules import KEY, PASSWORD, USER, Rules, book
from servers.serving import Wsgi, serve


class _Login:
    """The two requests of a login; `challenges` are those whose password was right."""

    def __init__(self, rules: Rules, counts: Counts) -> None:
        self._counts = counts
        self._totp = pyotp.TOTP(KEY, interval=rules.period)
        self._window = 60 // rules.period
        self._challenges: set[str] = set()
        self._codes: set[str] = set()

    def password(self) -> tuple[Response, int]:
        given = request.get_json()
        if given != {"user": {"name": USER, "password": PASSWORD}}:
            self._counts.add("failed_logins")
            # as a careless service does it
            return jsonify(errors=[{"message": f"This is wrong: {given}"}]), 200
        challenge = secrets.token_urlsafe()
        self._challenges.add(challenge)
        return jsonify(state="code_required", challenge=challenge), 401

    def code(self, challenge: str) -> tuple[Response, int]:
        code = request.get_json()["code"]
        with self._counts.mutex:
            if code in self._codes or challenge not in self._challenges:
                self._counts.add("codes_sent_again")
                return jsonify(message=f"{code} was used before"), 401
            self._codes.add(code)
            self._challenges.remove(challenge)
        if not self._totp.verify(code, valid_window=self._window):
            self._counts.add("failed_logins")
            return jsonify(message=f"{code} is wrong"), 401
        self._counts.add("logins")
        answer = jsonify(state="done")
        set_access_cookies(answer, create_access_token(USER))
        return answer, 200


def make_app(rules: Rules, counts: Counts, folder: Path) -> tuple[Wsgi, Callable[[], object]]:
    """Return the API, and what ends all its sessions."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="for tests",
        JWT_SECRET_KEY="for tests, and long enough for HS256 (RFC 7518 section 3.2)",
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(hours=1),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_HEADERS=["X-Form-Token"],
    )
    forgery, manager = CSRFProtect(app), JWTManager(app)
    login = _Login(rules, counts)
    ended: set[str] = set()
    begun = [secrets.token_hex()]  # the last one is in all tokens that are still good

    @manager.token_in_blocklist_loader
    def is_ended(header: object, claims: dict[str, Any]) -> bool:
        return claims["jti"] in ended or claims["begun"] != begun[-1]

    @manager.additional_claims_loader
    def claims_of(user: str) -> dict[str, str]:
        return {"begun": begun[-1]}

    @manager.revoked_token_loader
    @manager.expired_token_loader
    def refuse(header: object, claims: dict[str, Any]) -> tuple[Response, int]:
        counts.add("refused")
        return jsonify(message="expired"), 401

    app.register_error_handler(CSRFError, lambda error: (jsonify(message=error.description), 400))

    @app.get("/session")
    def begin() -> Response:
        return jsonify(csrf={"token": generate_csrf()})

    @app.before_request
    def protect() -> None:
        if request.path.startswith("/login"):
            forgery.protect()

    app.add_url_rule("/login", "password", login.password, methods=["POST"])
    app.add_url_rule("/login/<challenge>", "code", login.code, methods=["PUT"])

    @app.get("/books/<int:number>.bin")
    def give(number: int) -> AnyResponse:
        verify_jwt_in_request()
        answer = Response(book(number), mimetype="application/octet-stream")
        if rules.rotate:
            token = get_jwt()["jti"]
            if not counts.replace(token, lambda: ended.add(token)):
                return Response(status=401)
            set_access_cookies(answer, create_access_token(USER))
        counts.add("accepted")
        return answer

    @app.post("/logout")
    @jwt_required()  # type: ignore[untyped-decorator]  # Flask-JWT-Extended's own
    def logout() -> Response:
        counts.add("logouts")
        ended.add(get_jwt()["jti"])
        answer = jsonify({})
        unset_jwt_cookies(answer)
        return answer

    return app, lambda: begun.append(secrets.token_hex())


if __name__ == "__main__":
    serve(make_app)
