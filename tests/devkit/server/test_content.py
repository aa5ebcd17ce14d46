"""Made-up and real files, ranges and conditions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from argosy_devkit import LibraryServer, ServerFactory, body_of, sha256_of
from argosy_devkit.bodies import BLOCK

Browse = Callable[[LibraryServer], Any]
SIZE = 3 * BLOCK + 17


def test_a_body_is_a_function_of_name_and_size() -> None:
    assert body_of("a", SIZE) == body_of("a", SIZE)
    assert len({body_of("a", 100), body_of("b", 100), body_of("a", 101)[:100], body_of("a", 100, 1)}) == 4
    assert body_of("a", 0) == b""
    for size in (0, 1, BLOCK, BLOCK + 1, 20 * BLOCK + 5):
        assert hashlib.sha256(body_of("a", size)).hexdigest() == sha256_of("a", size)


@pytest.mark.parametrize("size", [0, 1, 65_536, SIZE, 5_000_000])
def test_the_server_sends_that_body(library_server: ServerFactory, stranger: Browse, size: int) -> None:
    server = library_server(lease_mode="open")
    reply = stranger(server).fetch(f"/files/a%20b/c.bin?size={size}")
    assert reply.body == body_of("a b/c.bin", size)
    assert reply.headers["Content-Length"] == str(size)
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert server.stats().bodies_completed == {"/files/a b/c.bin": 1}
    assert server.stats().bytes_sent == size


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, SIZE),
        (f"bytes={BLOCK - 5}-{BLOCK + 5}", BLOCK - 5, BLOCK + 6),
        ("bytes=-10", SIZE - 10, SIZE),
        (f"bytes=-{SIZE + 10}", 0, SIZE),
        (f"bytes=5-{SIZE + 10}", 5, SIZE),
    ],
)
def test_ranges(library_server: ServerFactory, stranger: Browse, asked: str, start: int, stop: int) -> None:
    server = library_server(lease_mode="open")
    reply = stranger(server).fetch(f"/files/a?size={SIZE}", headers={"Range": asked})
    assert reply.status == 206
    assert reply.body == body_of("a", SIZE)[start:stop]
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert reply.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0"])
def test_unsatisfiable_ranges(library_server: ServerFactory, stranger: Browse, asked: str) -> None:
    server = library_server(lease_mode="open")
    reply = stranger(server).fetch(f"/files/a?size={SIZE}", headers={"Range": asked})
    assert (reply.status, reply.headers["Content-Range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=a-b"])
def test_what_is_no_range_brings_all(library_server: ServerFactory, stranger: Browse, asked: str) -> None:
    server = library_server(lease_mode="open")
    reply = stranger(server).fetch("/files/a?size=50", headers={"Range": asked})
    assert (reply.status, reply.body) == (200, body_of("a", 50))


def test_conditions(library_server: ServerFactory, stranger: Browse) -> None:
    someone = stranger(library_server(lease_mode="open"))
    path = "/files/a?size=50"
    first = someone.fetch(path)
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    assert parsedate_to_datetime(modified).timestamp() == 1_700_000_000
    for headers in ({"If-None-Match": f'"x", {etag}'}, {"If-Modified-Since": modified}):
        assert (someone.fetch(path, headers=headers).status, someone.fetch(path).status) == (304, 200)
    for condition, status in ((etag, 206), (modified, 206), ('"other"', 200)):
        reply = someone.fetch(path, headers={"Range": "bytes=10-", "If-Range": condition})
        assert reply.status == status
    assert someone.fetch(path, method="HEAD").headers["Content-Length"] == "50"


def test_real_files(library_server: ServerFactory, stranger: Browse, tmp_path: Path) -> None:
    root = tmp_path / "shelf"
    (root / "b1").mkdir(parents=True)
    (root / "b1/index.html").write_text("<p>Hé</p>", encoding="utf-8")
    (root / "b1/style.css").write_text("p {}")
    (tmp_path / "secret").write_text("x")
    (root / "out").symlink_to(tmp_path / "secret")
    someone = stranger(library_server(lease_mode="open", root=root))
    page = someone.fetch("/library/b1/index.html")
    assert (page.status, page.body.decode()) == (200, "<p>Hé</p>")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert someone.fetch("/library/b1/style.css").headers["Content-Type"] == "text/css; charset=utf-8"
    assert someone.fetch("/library/b1/").body == page.body
    assert someone.fetch("/library/b1/index.html", headers={"Range": "bytes=1-1"}).body == b"p"
    for outside in ("/library/../secret", "/library/%2e%2e/secret", "/library/out", "/library/none"):
        assert someone.fetch(outside).status == 404


def test_pace_and_wait_are_kept(library_server: ServerFactory, stranger: Browse) -> None:
    someone = stranger(library_server(lease_mode="open", ttfb=0.05, rate=100_000))
    began = time.monotonic()
    assert len(someone.fetch("/files/a?size=20000").body) == 20_000
    assert time.monotonic() - began >= 0.25  # a lower bound only: a slow machine changes nothing


def test_a_request_that_is_none(library_server: ServerFactory, stranger: Browse) -> None:
    someone = stranger(library_server(lease_mode="open"))
    assert someone.raw("no-slash").startswith(b"HTTP/1.1 400 ")
    assert someone.fetch("/", method="DELETE").status == 405
    assert someone.fetch("/files/a?size=-1").status == 404
