"""Plain URLs, from Python."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import argosy
import argosy_schemas


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("a.bin", "b.bin"):
        (folder / name).write_bytes(name.encode() * 1000)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_one_url_and_several(site: str, tmp_path: Path) -> None:
    report = argosy.download(f"{site}/a.bin", directory=tmp_path / "one")
    assert (report.ok, repr(report)) == (True, "<Report: 1 done, 0 done before, 0 failed, 0 left>")
    report = argosy.download([f"{site}/a.bin", f"{site}/b.bin"], directory=str(tmp_path / "one"))
    assert (report.counts.done, report.counts.skipped) == (1, 1)
    assert (tmp_path / "one" / "b.bin").read_bytes() == b"b.bin" * 1000


def test_a_file_that_fails_is_not_ok(site: str, tmp_path: Path) -> None:
    report = argosy.download((f"{site}/a.bin", f"{site}/missing"), directory=tmp_path)
    assert (report.ok, report.failures[0].kind) == (False, "status")
    assert repr(report) == "<Report: 1 done, 0 done before, 1 failed, 0 left>"


def test_a_directory_replaces_that_of_a_configuration(tmp_path: Path) -> None:
    report = argosy.download({"source": {"use": "urls", "urls": []}, "directory": "no"}, directory=tmp_path / "yes")
    assert report.directory == tmp_path / "yes"


def test_a_word_without_a_scheme_is_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(argosy.ArgosyError, match=r"must end in \.json or \.toml"):
        argosy.download("library.example/a.pdf", directory=tmp_path)


def test_a_report_says_what_was_written_and_what_failed(site: str, tmp_path: Path) -> None:
    report = argosy.download([f"{site}/a.bin", f"{site}/missing?token=hidden"], directory=tmp_path / "library")
    done, failed = report.items
    assert (done.id, done.title, done.state, done.bytes) == (f"{site}/a.bin", "a.bin", "done", 5000)
    assert done.paths == (tmp_path / "library" / "a.bin",)
    assert report.paths == [*done.paths]
    (failure,) = report.failures
    assert (failed.state, failed.paths, failed.failure) == ("failed", (), failure)
    assert (failure.title, failure.id) == ("missing", f"{site}/missing?token=***")
    assert (failure.url, failure.path) == (f"{site}/missing?token=***", "missing")
    assert (failure.kind, "404" in failure.message) == ("status", True)
    again = argosy.download(f"{site}/a.bin", directory=tmp_path / "library")
    assert [(item.state, item.paths) for item in again.items] == [("skipped", done.paths)]


def test_a_report_is_written_as_json_and_as_a_page(site: str, tmp_path: Path) -> None:
    report = argosy.download([f"{site}/a.bin", f"{site}/<b>"], directory=tmp_path / "library")
    for name in ("report.json", Path("report.html")):
        report.write(tmp_path / name)
    value = json.loads((tmp_path / "report.json").read_text("utf-8"))
    jsonschema.validate(value, argosy_schemas.load("report.v1"))
    assert [item["state"] for item in value["items"]] == ["done", "failed"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "1 of 2 items failed" in page
    shown = report._repr_html_()
    assert "2 items: 1 done, 1 failed" in shown
    assert "<b>" not in shown.replace("<b>The", "")
    with pytest.raises(argosy.ArgosyError, match="cannot be written"):
        report.write(tmp_path / "no" / "report.json")


def test_lists_and_paths_of_every_kind(site: str, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(f"{site}/a.bin\n", "utf-8")
    (tmp_path / "items.jsonl").write_text(json.dumps({"id": "b", "url": f"{site}/b.bin"}), "utf-8")
    for path in (tmp_path / "urls.txt", str(tmp_path / "items.jsonl")):
        assert argosy.download(path, directory=tmp_path / "library").counts.done == 1
    config = {"source": {"use": "urls", "file": tmp_path / "urls.txt"}, "directory": tmp_path / "library"}
    assert argosy.download(config).counts.skipped == 1
    assert argosy.open_store("json-file", path=tmp_path / "cookies.json").sessions() == []
