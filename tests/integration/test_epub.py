"""EPUBs of what a server serves, over real HTTP, with a token that is replaced on every response."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
import warm
from argosy_devkit import LibraryServer
from books import Book, png


def serve(root: Path, start: Callable[..., LibraryServer], books: int = 2) -> tuple[LibraryServer, dict[str, Any]]:
    """Serve books and a leaflet; return the server, and a configuration that downloads them as EPUBs."""
    for number in range(1, books + 1):
        folder = root / "shelf" / f"b{number}"
        (folder / "img").mkdir(parents=True)
        (folder / "1.html").write_text(
            f"<h1>Book {number}</h1><a href=2.html#x>on</a><img src='img/p.png'><script src=t.js></script>"
        )
        (folder / "2.html").write_text("<meta charset=utf-8><h1>Second</h1><p id=x>é")
        (folder / "img/p.png").write_bytes(png())
    (root / "shelf/leaflet").mkdir()
    (root / "shelf/leaflet/l.pdf").write_bytes(b"%PDF-1.7\n")
    server = start(lease_mode="strict", root=root / "shelf")
    with (root / "books.jsonl").open("w") as manifest:
        chapters = {f"b{n}": ["1.html", "2.html", "img/p.png"] for n in range(1, books + 1)}
        for id_, paths in {**chapters, "leaflet": ["l.pdf"]}.items():
            resources = [{"url": server.url_for(f"/library/{id_}/{path}"), "path": path} for path in paths]
            manifest.write(json.dumps({"id": id_, "title": f"Title {id_}", "resources": resources}) + "\n")
    secret = root / "password"
    secret.touch(0o600)
    secret.write_text(server.password)
    fields = {"user": server.user, "password": {"file": str(secret)}}
    config = {
        "source": {"use": "manifest", "path": str(root / "books.jsonl")},
        "auth": {"use": "form-login", "url": server.login_url, "fields": fields},
        "cookie_store": {"use": "json-file", "path": str(root / "cookies.json")},
        "output": [{"use": "epub"}],
        "directory": str(root / "library"),
        "max_workers": 3,
    }
    return server, config


def test_books_of_a_server_come_out_as_epubs(tmp_path: Path, library_server: Callable[..., LibraryServer]) -> None:
    server, config = serve(tmp_path, library_server)
    report = argosy.download(config)
    assert (report.counts.done, report.counts.failed, server.stats().refused) == (2, 1, 0)
    (failure,) = report.failures
    assert (failure.id, failure.kind) == ("leaflet", "content")
    library = tmp_path / "library"
    assert sorted(p.name for p in library.iterdir() if p.name != ".argosy") == ["b1.epub", "b2.epub"]
    book = Book("b1.epub", library / "b1.epub")
    assert book.dublin_core("title") == ["Title b1"]
    assert book.body(1).endswith('Book 1</h1><a href="chapter-0002.xhtml#x">on</a><img src="image-0001.png" alt=""/>')
    before = book.path.read_bytes()
    assert argosy.download({**config, "force_redownload": True}).counts.done == 2
    assert book.path.read_bytes() == before


@pytest.mark.slow
def test_a_library_of_200_books_becomes_epubs_and_archives_with_no_server_there(
    tmp_path: Path, library_server: Callable[..., LibraryServer]
) -> None:
    server, config = serve(tmp_path, library_server, books=200)
    assert argosy.download({**config, "output": "files"}).counts.done == 201
    server.kill()
    library = tmp_path / "library"
    done = warm.run("output", str(library), "--output", "epub", "--output", "warc")
    assert done.returncode == 1, done.stderr
    assert "200 of 201 items" in done.stderr
    assert "leaflet" in done.stderr.partition("no_chapters")[0]
    assert {p.stem for p in library.glob("*.epub")} == {f"b{n}" for n in range(1, 201)}
    assert len(list(library.glob("*.warc.gz"))) == 200, "an item gets all of its outputs, or none"
    for number in (1, 77, 200):
        assert f"Book {number}<" in Book("a book", library / f"b{number}.epub").body(1)
    assert warm.run("verify", str(library)).returncode == 0


def test_an_item_without_chapters_can_be_skipped(tmp_path: Path, library_server: Callable[..., LibraryServer]) -> None:
    _, config = serve(tmp_path, library_server)
    config["output"] = ["files", {"use": "epub", "no_chapters": "skip", "layout": "epubs/{id}"}]
    report = argosy.download(config)
    assert (report.counts.done, report.failures) == (3, ())
    library = tmp_path / "library"
    assert sorted(p.name for p in (library / "epubs").iterdir()) == ["b1.epub", "b2.epub"]
    assert (library / "leaflet/l.pdf").exists()
    assert argosy.download(config).counts.done == 0  # nothing is left to do


def test_the_demo_takes_an_output(tmp_path: Path) -> None:
    done = warm.run("demo", "--output", "epubs", "--quiet", cwd=tmp_path)
    assert done.returncode == 2
    assert "epubs" in done.stderr
    assert "did you mean" in done.stderr
