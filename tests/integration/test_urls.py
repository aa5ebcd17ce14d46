"""Plain URLs, from Python."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import argosy


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
    assert (report.ok, report.failures[0][2].kind) == (False, "status")
    assert repr(report) == "<Report: 1 done, 0 done before, 1 failed, 0 left>"


def test_a_directory_replaces_that_of_a_configuration(tmp_path: Path) -> None:
    report = argosy.download({"source": {"use": "urls", "urls": []}, "directory": "no"}, directory=tmp_path / "yes")
    assert report.directory == tmp_path / "yes"


def test_a_word_without_a_scheme_is_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(argosy.ArgosyError, match=r"must end in \.json or \.toml"):
        argosy.download("library.example/a.pdf", directory=tmp_path)
