"""The torture table: HTML pages that come for other files, without a login."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import argosy
from hazards import failures
from voyage import Voyage, run_urls

PAGE = b"\xef\xbb\xbf\n <!DOCTYPE html><html><title>Log in</title><p>You have to log in to see this."
PDF = b"%PDF-1.7\n<</Type /Catalog>>"

#: What comes, by path: its headers, and its body.
ANSWERS: Mapping[str, tuple[str, bytes]] = {
    "/a.pdf": ("Content-Type: text/html; charset=utf-8", PAGE),
    "/b.zip": ("Content-Type: application/xhtml+xml\r\nContent-Encoding: gzip", gzip.compress(PAGE)),
    "/get?id=3": ("Content-Type: text/html", PAGE),
    "/named": ('Content-Type: text/html\r\nContent-Disposition: attachment; filename="n.epub"', PAGE),
    "/page.html": ("Content-Type: text/html", PAGE),
    "/unknown.xyz": ("Content-Type: text/html", PAGE),
    "/none": ("Content-Type: text/html", PAGE),
    "/wiki/File:Cat.jpg": ("Content-Type: text/html", PAGE),
    "/wrong-type.pdf": ("Content-Type: text/html", PDF),
    "/untold.pdf": ("X-Nothing: here", PAGE),
    "/plain.pdf": ("Content-Type: text/plain", PAGE),
    "/sized.pdf": ("Content-Type: text/html", PAGE),
    "/digest.pdf": ("Content-Type: text/html", PAGE),
    "/as-page.pdf": ("Content-Type: text/html", PAGE),
}


@pytest.fixture
def server(raw_server: Any) -> Any:
    def answer(server: Any, connection: Any) -> None:
        while request := server.request(connection):
            headers, body = ANSWERS[request.split()[1].decode()]
            head = f"HTTP/1.1 200 OK\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    return raw_server(answer)


def manifest(root: Path, lines: list[dict[str, Any]], **options: Any) -> Voyage:
    voyage = run_urls(root, **options)
    (root / "list.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    voyage.config["source"] = {"use": "manifest", "path": "list.jsonl"}
    return voyage


@pytest.mark.torture(80)
def test_a_page_for_another_file_fails_its_item(tmp_path: Path, server: Any) -> None:
    voyage = manifest(
        tmp_path,
        [
            {"id": "a", "url": f"{server.url}/a.pdf"},
            {"id": "b", "url": f"{server.url}/b.zip"},
            {"id": "c", "resources": [{"url": f"{server.url}/get?id=3", "path": "c.PDF"}]},
            {"id": "d", "url": f"{server.url}/named"},
        ],
        max_retries=2,
        retry_delay=0.01,
    )
    voyage.config["source"]["content_disposition"] = True
    report = argosy.download(voyage.file)
    assert failures(report) == dict.fromkeys("abcd", "page")
    assert "instead of the file" in report.failures[0].message
    assert [path.name for path in voyage.library.iterdir()] == [".argosy"]
    assert len(server.requests) == 4, "a page was asked for again"


@pytest.mark.torture(80)
def test_what_may_be_a_page_or_is_none_is_kept(tmp_path: Path, server: Any) -> None:
    promised = {"size": len(PAGE)}
    digest = {"sha256": hashlib.sha256(PAGE).hexdigest()}
    paths = [
        "page.html",
        "unknown.xyz",
        "none",
        "wiki/File:Cat.jpg",
        "wrong-type.pdf",
        "untold.pdf",
        "plain.pdf",
    ]
    lines: list[dict[str, Any]] = [{"url": f"{server.url}/{path}"} for path in paths]
    lines += [
        {"url": f"{server.url}/sized.pdf", **promised},
        {"url": f"{server.url}/digest.pdf", **digest},
        {"id": "p", "resources": [{"url": f"{server.url}/as-page.pdf", "path": "p.html"}]},
    ]
    report = argosy.download(manifest(tmp_path, lines).file)
    assert (failures(report), report.counts.done) == ({}, len(lines))


@pytest.mark.torture(80)
def test_with_a_login_the_auth_plugin_may_say_that_pages_are_fine(tmp_path: Path, server: Any) -> None:
    (tmp_path / "password.txt").write_text("s3cret", "utf-8")
    auth = {
        "use": "basic",
        "user": "ada",
        "password": {"file": "password.txt"},
        "origins": [server.url],
    }
    lines = [{"id": "c", "resources": [{"url": f"{server.url}/get?id=3", "path": "c.pdf"}]}]
    report = argosy.download(manifest(tmp_path, lines, auth=auth).file)
    assert failures(report) == {"c": "page"}
    auth["refusal"] = {"html_for_files": False}
    assert argosy.download(manifest(tmp_path, lines, auth=auth).file).counts.done == 1
