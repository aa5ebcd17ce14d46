"""The auth `cookies`, straight from the profile of a browser: Firefox by its documented schema, Chromium a real one."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import lz4.block
import pytest

import argosy
from argosy import PluginContext
from argosy.errors import LoginFailed
from argosy.models.cookie import Cookie
from argosy_plugins.auth.cookies import CookieImport
from missing import need

FUTURE = int(time.time()) + 86400
# the schema of Firefox, netwerk/cookie/CookiePersistentStorage.cpp
MOZ_COOKIES = """CREATE TABLE moz_cookies (id INTEGER PRIMARY KEY, originAttributes TEXT NOT NULL DEFAULT '',
 name TEXT, value TEXT, host TEXT, path TEXT, expiry INTEGER, lastAccessed INTEGER, creationTime INTEGER,
 isSecure INTEGER, isHttpOnly INTEGER, inBrowserElement INTEGER DEFAULT 0, sameSite INTEGER DEFAULT 0)"""


def firefox(folder: Path, *rows: tuple[object, ...]) -> sqlite3.Connection:
    """Make the cookies of a profile, and keep them open, as a browser that runs does."""
    folder.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(folder / "cookies.sqlite")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(MOZ_COOKIES)
    columns = "host, name, value, path, expiry, isSecure, isHttpOnly, originAttributes"
    db.executemany(f"INSERT INTO moz_cookies ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.commit()
    return db


def running(folder: Path, *cookies: dict[str, Any]) -> None:
    """Write what a browser that runs keeps beside its profile."""
    (folder / "sessionstore-backups").mkdir(parents=True)
    raw = json.dumps({"windows": [], "cookies": cookies}).encode()
    (folder / "sessionstore-backups" / "recovery.jsonlz4").write_bytes(b"mozLz40\0" + lz4.block.compress(raw))


def take(session: Any, tmp_path: Path, browser: str = "firefox", **options: Any) -> list[Cookie]:
    options = {"url": "https://www.h.example/", **options}
    auth = CookieImport({"browser": browser, **options}, PluginContext(base=tmp_path))
    auth.login(session)
    return list(session.added)


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[Path]:
    db = firefox(
        tmp_path / "p",
        (".h.example", "token", "T", "/", FUTURE, 1, 1, ""),
        (
            "www.h.example",
            "new",
            "N",
            "/a",
            FUTURE * 1000,
            0,
            0,
            "",
        ),  # in milliseconds, as Firefox has it now
        ("www.h.example", "work", "other", "/", FUTURE, 0, 0, "^userContextId=2"),
        (".ads.example", "spy", "S", "/", FUTURE, 0, 0, ""),
        ("noth.example", "not", "S", "/", FUTURE, 0, 0, ""),
    )
    yield tmp_path / "p"
    db.close()


def test_a_running_firefox_gives_the_cookies_of_the_site(profile: Path, session: Any, tmp_path: Path) -> None:
    here = {"host": "www.h.example", "name": "sid", "value": "S", "path": "/", "httponly": True}
    running(
        profile,
        here,
        {**here, "host": ".ads.example"},
        {**here, "value": "other", "originAttributes": {"userContextId": 3}},
    )
    assert take(session, tmp_path, profile="p") == [
        Cookie("token", "T", "h.example", "/", FUTURE, secure=True, http_only=True, host_only=False),
        Cookie("new", "N", "www.h.example", "/a", FUTURE),
        Cookie("sid", "S", "www.h.example", "/", http_only=True),
    ]


def test_the_profile_that_was_used_last_is_taken(
    profile: Path, session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, moment in (("old", 1000), ("new", 2000)):
        folder = tmp_path / ".mozilla" / "firefox" / name
        firefox(folder, ("www.h.example", name, "V", "/", FUTURE, 0, 0, "")).close()
        os.utime(folder / "cookies.sqlite", (moment, moment))
    assert [cookie.name for cookie in take(session, tmp_path)] == ["new"]


def test_a_firefox_without_a_login_says_so(profile: Path, session: Any, tmp_path: Path) -> None:
    with pytest.raises(LoginFailed, match=r"has no cookies of x.example in .*cookies.sqlite.*argosy login CONFIG"):
        take(session, tmp_path, profile="p", url="https://x.example/")


@pytest.mark.parametrize("browser", ["firefox", "chromium"])
def test_a_profile_that_is_none_says_where_to_look(
    session: Any, tmp_path: Path, browser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with pytest.raises(LoginFailed, match=r"no cookies of .* in .*nowhere.*about:profiles|chrome://version"):
        take(session, tmp_path, browser, profile="nowhere")


@pytest.mark.parametrize("address", [None, "unix:path=/nowhere", "rubbish"])
def test_a_keyring_out_of_reach_is_told(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "Cookies").write_bytes(b"")
    if address is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with pytest.raises(LoginFailed, match=r"the desktop's keyring, which cannot be reached.*terminal of that"):
        take(session, tmp_path, "chromium", profile="p")


@pytest.mark.parametrize("what", ["cookies", "session"])
def test_rubbish_in_a_profile_is_told(profile: Path, session: Any, tmp_path: Path, what: str) -> None:
    if what == "cookies":
        (profile / "cookies.sqlite").write_bytes(b"rubbish" * 1000)
        (profile / "cookies.sqlite-wal").unlink()
    else:
        running(profile)
        (profile / "sessionstore-backups" / "recovery.jsonlz4").write_bytes(b"mozLz40\0rubbish")
    with pytest.raises(LoginFailed, match="cannot be read"):
        take(session, tmp_path, profile="p")


class _Site(BaseHTTPRequestHandler):
    """Sends a browser that comes by the address of this machine on to its name; both set cookies."""

    def do_GET(self) -> None:
        host, _, port = self.headers["Host"].partition(":")
        self.send_response(200 if host == "localhost" else 302)
        self.send_header("Set-Cookie", "token=T1; Max-Age=86400; Path=/; HttpOnly")
        self.send_header("Set-Cookie", "shelf=S1; Max-Age=86400; Path=/books")
        self.send_header("Location", f"http://localhost:{port}/")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[str]:
    """Let a real Chromium visit a site under two names; return its URL."""
    need("chromium", "dbus-daemon")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]
    command += ["--password-store=basic", f"--user-data-dir={tmp_path / 'chromium'}", "--dump-dom", url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        assert "hi" in done.stdout
        yield url.replace("127.0.0.1", "localhost")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_real_chromium_gives_the_cookies_of_the_site(chromium: str, tmp_path: Path) -> None:
    """In a desktop session without a keyring, where Chromium encrypts with a key that it has for that."""
    auth = {"use": "cookies", "browser": "chromium", "profile": "chromium/Default", "url": chromium}
    store = {"use": "json-file", "path": "session.json"}
    (tmp_path / "argosy.json").write_text(json.dumps({"auth": auth, "cookie_store": store}))
    environ = {key: value for key, value in os.environ.items() if key != "DBUS_SESSION_BUS_ADDRESS"}
    login = [sys.executable, "-m", "argosy", "login", str(tmp_path / "argosy.json")]

    def run(*before: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*before, *login], env=environ, capture_output=True, text=True, timeout=100, check=False)

    outside = run()
    assert (outside.returncode, "in the desktop's keyring, which cannot be reached" in outside.stderr) == (
        3,
        True,
    )
    inside = run("dbus-run-session", "--")
    assert inside.returncode == 0, inside.stderr
    record = argosy.open_store("json-file", path=tmp_path / "session.json").read("default")
    assert record is not None
    cookies = {(cookie.domain, cookie.name, cookie.value, cookie.path) for cookie in record.cookies}
    assert cookies == {("localhost", "token", "T1", "/"), ("localhost", "shelf", "S1", "/books")}
