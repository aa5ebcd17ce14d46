"""The recipes, used as the documents say; those that have a suite keep to their contract."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import argosy
from argosy.interfaces.output import Output
from argosy.interfaces.source import Source
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy_devkit import LibraryServer
from argosy_devkit.contracts.output import OutputContract
from argosy_devkit.contracts.source import SourceContract
from documents import ROOT
from voyage import Voyage

SetSail = Callable[..., Voyage]
RECIPES = ROOT / "docs" / "plugins" / "recipes"


def recipe(kind: Kind, name: str) -> Any:
    """Return the class of a recipe."""
    plugins = PluginManager(files=[RECIPES / f"{name}.py"])
    return plugins.find(kind, name.replace("_", "-")).cls


class TestByAuthor(OutputContract):
    plugin: ClassVar[type[Output]] = recipe(Kind.OUTPUT, "by_author")


class TestPlainText(OutputContract):
    plugin: ClassVar[type[Output]] = recipe(Kind.OUTPUT, "plain_text")


class Api(BaseHTTPRequestHandler):
    """A catalogue of three books in two pages, with two files each; and what was posted."""

    posted: list[Any]
    protocol_version = "HTTP/1.1"
    pages: Mapping[str, Any] = {
        "/api/books": {
            "books": [{"id": 1, "title": "One", "author": "Ada"}, {"id": "../2", "title": "Two"}],
            "next": "/api/books?page=2",
        },
        "/api/books?page=2": {"books": [{"id": 3, "title": "Three"}], "next": None},
    }

    def do_GET(self) -> None:
        found: Any = self.pages.get(self.path)
        if found is None and self.path.startswith("/api/"):
            found = {"files": ["/files/a.bin", "/files/b.bin", "file:///etc/passwd"]}
        self._answer(json.dumps(found).encode() if found else b"file of " + self.path.encode())

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[str, list[Any]]]:
    """Serve the catalogue; yield its URL, and what is posted."""
    handler: Any = type("Handler", (Api,), {"posted": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.posted
    server.shutdown()
    thread.join()
    server.server_close()


class TestJsonCatalogue(SourceContract):
    plugin: ClassVar[type[Source]] = recipe(Kind.SOURCE, "json_catalogue")

    @pytest.fixture
    def given(self, api: tuple[str, list[Any]]) -> Mapping[str, Any]:
        return {"url": f"{api[0]}/api/books"}

    def broken_options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"url": "http://127.0.0.1:9/api/books"}


class TestMyBooks(SourceContract):
    plugin: ClassVar[type[Source]] = recipe(Kind.SOURCE, "my_books")

    @pytest.fixture
    def given(self, library_server: Callable[..., LibraryServer], tmp_path: Path) -> Mapping[str, Any]:
        self.server = library_server(lease_mode="strict")
        self.password = tmp_path / "password.txt"
        self.password.write_text(self.server.password, "utf-8")
        return {"url": self.server.url_for("/shelf?books=12")}

    def login(self) -> Mapping[str, Any]:
        fields = {"user": self.server.user, "password": {"file": str(self.password)}}
        auth = {"use": "form-login", "url": self.server.login_url, "fields": fields}
        return {"auth": auth, "cookie_store": "memory"}


def test_files_are_called_by_metadata(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, lease_mode="open")
    lines = [json.loads(line) for line in (voyage.root / "books.jsonl").read_text("utf-8").splitlines()]
    lines[0] |= {"title": "Of Looms", "metadata": {"author": ["Ada", "Charles"]}}
    (voyage.root / "books.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    done = voyage.run("--plugin", str(RECIPES / "by_author.py"), "--output", "by-author")
    assert done.returncode == 0, done.stderr
    found = {str(path.relative_to(voyage.library)) for path in voyage.library.glob("*/*/*.bin")}
    assert any(name.startswith("Ada, Charles/Of Looms - item-00001/") for name in found)
    assert any(name.startswith("unknown/") for name in found)


def test_pages_are_converted(set_sail: SetSail, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "one.html").write_text("<h1>One &amp; all</h1><p>Text.</p>", "utf-8")
    (served / "broken.html").write_bytes(b"<p>\xff</p>")
    voyage = set_sail(items=1, lease_mode="open")
    voyage.server.change(root=served)
    urls = [voyage.server.url_for(f"/library/{name}") for name in ("one.html", "broken.html")]
    voyage.config = {"directory": str(voyage.library)}
    arguments = ["--plugin", str(RECIPES / "plain_text.py"), "--output", "files", "--output", "plain-text"]
    done = voyage.run(*urls, *arguments)
    assert done.returncode == 1
    assert "broken.html is not UTF-8 text" in done.stderr
    assert (voyage.library / "one.txt").read_text("utf-8") == "One & allText."
    assert (voyage.library / "one.html").exists()


def test_the_end_of_a_run_is_told(set_sail: SetSail, api: tuple[str, list[Any]]) -> None:
    url, posted = api
    voyage = set_sail(items=3, lease_mode="open", observers=[{"use": "webhook", "url": f"{url}/hook"}])
    assert voyage.run("--plugin", str(RECIPES / "webhook.py")).returncode == 0
    ((counts),) = [body["counts"] for body in posted]
    assert counts["done"] == 3


def test_a_webhook_that_is_out_of_reach_costs_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="open", observers=[{"use": "webhook", "url": "http://127.0.0.1:9/"}])
    done = voyage.run("--plugin", str(RECIPES / "webhook.py"))
    assert (done.returncode, voyage.wrong()) == (0, [])
    assert "The observer 'webhook' failed" in done.stderr


def test_a_json_api_is_downloaded(api: tuple[str, list[Any]], tmp_path: Path) -> None:
    report = argosy.download(
        {
            "source": {"use": "json-catalogue", "url": f"{api[0]}/api/books"},
            "directory": str(tmp_path / "library"),
        },
        plugins=[RECIPES / "json_catalogue.py"],
    )
    assert report.counts.done == 3, report.failures
    assert len(list((tmp_path / "library").glob("*/*.bin"))) == 6


def test_every_recipe_is_on_the_page() -> None:
    page = (ROOT / "docs" / "plugins" / "recipes.md").read_text("utf-8")
    assert all(f"<!-- file: recipes/{path.name} -->" in page for path in RECIPES.glob("*.py"))
