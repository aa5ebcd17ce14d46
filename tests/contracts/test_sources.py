"""The built-in sources keep to their contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy_devkit.contracts.source import SourceContract
from argosy_plugins.sources.manifest import Manifest
from argosy_plugins.sources.urls import Urls


class TestUrls(SourceContract):
    plugin = Urls

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "urls.txt").write_text("https://library.example/a.pdf\nhttps://library.example/b?n=1\n")
        return {"file": "urls.txt", "urls": ["https://library.example/c/d.pdf"]}

    def broken_options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"urls": ["ftp://library.example/"]}


class TestManifest(SourceContract):
    plugin = Manifest

    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        resource = {"url": "https://library.example/1/2.html", "path": "ch/2.html", "size": 3}
        lines = [
            {"id": "b/1", "title": "One", "tags": ["a"], "metadata": {"year": 1843}, "resources": [resource]},
            {"url": "https://library.example/x.pdf", "sha256": "0" * 64},
        ]
        (tmp_path / "books.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return {"path": "books.jsonl"}

    def broken_options(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "broken.csv").write_text("id,url\n1,\n")
        return {"path": "broken.csv"}
