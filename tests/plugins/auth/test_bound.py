"""Sessions that are bound to a device: they are recognized, and the person is told once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, redirect, request

import argosy
from argosy_plugins.auth._bound import BoundSessions
from servers.in_thread import InThread

REGISTRATION = '(ES256 RS256);path="/bind";challenge="c"'


def profile_with(folder: Path, *keys: str) -> Path:
    """Make the file in which Chromium keeps bound sessions; return the cookie file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(folder / "Device Bound Sessions") as db:
        db.execute("CREATE TABLE dbsc_session_tbl (key TEXT PRIMARY KEY, proto BLOB)")
        db.executemany("INSERT INTO dbsc_session_tbl VALUES (?, x'00')", [(key,) for key in keys])
    db.close()
    return folder / "Cookies"


@pytest.mark.parametrize("keys", [("https://library.example",), ("https://other.example", "https://library.example")])
def test_a_browsers_bound_session_is_told_once(tmp_path: Path, keys: tuple[str, ...]) -> None:
    told: list[str] = []
    bound = BoundSessions(told.append)
    cookies = profile_with(tmp_path, *keys)
    bound.tell_browser("chromium", cookies, lambda host: host == "library.example")
    bound.tell_browser("chromium", cookies, lambda host: host == "library.example")
    assert len(told) == 1
    assert "chromium has bound its session at library.example to this device" in told[0]


def test_other_sites_and_broken_files_say_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    bound = BoundSessions(told.append)
    bound.tell_browser("chromium", tmp_path / "none" / "Cookies", lambda host: True)
    bound.tell_browser("chromium", profile_with(tmp_path / "a", "https://x.example", "[", ""), lambda host: host == "y")
    broken = tmp_path / "b"
    broken.mkdir()
    (broken / "Device Bound Sessions").write_bytes(b"rubbish" * 1000)
    bound.tell_browser("chromium", broken / "Cookies", lambda host: True)
    with sqlite3.connect(broken / "other") as db:
        db.execute("CREATE TABLE other (key TEXT)")
    db.close()
    (broken / "other").replace(broken / "Device Bound Sessions")
    bound.tell_browser("chromium", broken / "Cookies", lambda host: True)
    assert told == []


class _Server(InThread):
    """A library whose login, or each file, offers to bind the session."""

    def __init__(self, field: str, at: str) -> None:
        app = Flask(__name__)

        @app.get("/login")
        def form() -> str:
            return "<form method=post><input name=user><input name=password type=password><button></form>"

        @app.post("/login")
        def login() -> Any:
            response = redirect("/welcome")
            response.set_cookie("sid", "1")
            return response

        @app.get("/welcome")
        def welcome() -> str:
            return "welcome"

        @app.get("/files/<int:number>")
        def file(number: int) -> Response:
            return Response(b"x", 200 if request.cookies.get("sid") else 401, mimetype="application/octet-stream")

        @app.after_request
        def offer(response: Response) -> Response:
            if request.path.startswith(at) and request.method != "HEAD":
                response.headers[field] = REGISTRATION
            return response

        super().__init__(app)
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[_Server] = []

    def serve(field: str, at: str) -> _Server:
        running.append(_Server(field, at))
        running[-1].__enter__()
        return running[-1]

    yield serve
    for server in running:
        server.__exit__()


@pytest.mark.parametrize(
    ("field", "at", "auth"),
    [
        ("Secure-Session-Registration", "/login", "form-login"),
        ("Sec-Session-Registration", "/files", "form-login"),
        ("Secure-Session-Registration", "/files", "cookies"),
    ],
)
def test_a_service_that_binds_sessions_is_told_once(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, at: str, auth: str
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "secret-word")
    server = serve(field, at)
    (tmp_path / "jar.json").write_text(json.dumps({"sid": "1"}), "utf-8")
    (tmp_path / "jar.json").chmod(0o600)
    auths: dict[str, dict[str, Any]] = {
        "form-login": {
            "url": f"{server.url}/login",
            "fields": {"user": "ada", "password": {"env": "SERVICE_PASSWORD"}},
        },
        "cookies": {"path": str(tmp_path / "jar.json"), "url": server.url},
    }
    report = argosy.download(
        {
            "source": {"use": "urls", "urls": [f"{server.url}/files/{number}" for number in range(4)]},
            "auth": {"use": auth, **auths[auth]},
            "cookie_store": "memory",
            "directory": str(tmp_path / "library"),
        }
    )
    assert report.counts.done == 4
    told = [notice for notice in report.notices if "bind the session to a device" in notice]
    assert len(told) == 1
    assert f"({field})" in told[0]
    assert "cannot be taken along" in told[0]
