"""Tests of the output, against a real server."""

from __future__ import annotations

from pathlib import Path

from argosy_catalogue import Catalogue

import argosy
from argosy_devkit import ServerFactory, sha256_of
from argosy_devkit.contracts.output import OutputContract


class TestCatalogue(OutputContract):
    """The contract of outputs."""

    plugin = Catalogue


def test_every_file_is_on_the_page(library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    urls = [server.url_for("/files/a.bin?size=5"), server.url_for("/files/b.bin?size=70000")]
    report = argosy.download(
        {"source": {"use": "urls", "urls": urls}, "output": "catalogue", "directory": str(tmp_path)}
    )
    assert report.counts.done == 2
    pages = "".join(page.read_text("utf-8") for page in (tmp_path / "catalogue").iterdir())
    assert f"{sha256_of('a.bin', 5)}             5  a.bin" in pages
    assert f"{sha256_of('b.bin', 70000)}         70000  b.bin" in pages


def test_a_folder_that_leads_out_fails_the_item_alone(library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    report = argosy.download(
        {
            "source": {"use": "urls", "urls": [server.url_for("/files/a.bin?size=5")]},
            "output": {"use": "catalogue", "folder": "../elsewhere"},
            "directory": str(tmp_path / "library"),
        }
    )
    (failure,) = report.failures
    assert (report.exit_code, failure.plugin) == (1, "catalogue")
    assert not (tmp_path / "elsewhere").exists()
