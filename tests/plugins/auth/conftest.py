"""A login session, and a site with a login page, for the tests of the auth plugins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from argosy.models.cookie import Cookie


@dataclass
class Session:
    """A login session made of nothing but requests."""

    http: requests.Session = field(default_factory=requests.Session)
    added: list[Cookie] = field(default_factory=list)
    number: int = 1
    credentials: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    origins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lifetime: float | None = None

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        self.headers[name], self.origins[name] = value, tuple(origins)

    def expires_in(self, seconds: float) -> None:
        self.lifetime = seconds

    def keep(self, name: str, value: str) -> None:
        self.credentials[name] = value

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        self.added += cookies


@dataclass
class Asked:
    """A request that a site got."""

    method: str
    path: str
    fields: list[tuple[str, str]]
    headers: dict[str, str]
    body: str = ""


@dataclass
class Reply:
    """What a site answers."""

    body: str = ""
    status: int = 200
    location: str = ""
    cookies: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "text/html; charset=utf-8"


@dataclass
class Site:
    """A real HTTP server; `pages` answer by path, anything else is 404."""

    url: str
    pages: dict[str, Callable[[Asked], Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def posted(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST"]


def _serve(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

        def do_PUT(self) -> None:
            self.do_POST()

        def do_DELETE(self) -> None:
            self.do_POST()

        def _answer(self, body: str) -> None:
            parts = urlsplit(self.path)
            fields = parse_qsl(body or parts.query, keep_blank_values=True)
            asked = Asked(self.command, parts.path, fields, dict(self.headers.items()), body)
            site.asked.append(asked)
            page = site.pages.get(parts.path)
            reply = page(asked) if page else Reply(status=404)
            self.send_response(reply.status)
            if reply.location:
                self.send_header("Location", reply.location)
            for cookie in reply.cookies:
                self.send_header("Set-Cookie", cookie)
            for name, value in reply.headers:
                self.send_header(name, value)
            raw = reply.body.encode()
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def reply() -> type[Reply]:
    # a test module cannot import from its conftest
    return Reply


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    made.http.trust_env = False
    yield made
    made.http.close()


@pytest.fixture
def make_site() -> Iterator[Callable[[], Site]]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def make() -> Site:
        site = Site("")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _serve(site))
        server.daemon_threads = True
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return site

    yield make
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()
