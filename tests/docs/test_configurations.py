"""Configurations and manifests in the documents are valid."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

from argosy.config.load import load
from argosy.config.schema import check
from argosy.interfaces.base import PluginContext
from argosy.interfaces.source import Source
from argosy.plugins.manager import PluginManager
from documents import Block, blocks

#: All but manifests, and the pyproject.toml of a package.
CONFIGURATIONS = [b for b in blocks("toml", "json") if b.mark != "manifest" and "[build-system]" not in b.text]
MANIFESTS = [block for block in blocks("json", "csv") if block.mark == "manifest" or block.language == "csv"]


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    return PluginManager()


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_a_configuration_is_valid(block: Block, plugins: PluginManager) -> None:
    document = tomllib.loads(block.text) if block.language == "toml" else json.loads(block.text)
    assert check(document, plugins, str(block)) == []
    assert block.mark in ("complete", "")
    if block.mark == "complete":
        assert {"source", "auth"} & document.keys(), "a complete configuration says what to download, or as whom"


@pytest.mark.parametrize("block", MANIFESTS, ids=str)
def test_a_manifest_is_valid(block: Block, plugins: PluginManager, tmp_path: Path) -> None:
    path = tmp_path / f"books.{ {'json': 'jsonl', 'csv': 'csv'}[block.language] }"
    path.write_text(block.text, "utf-8")
    source = plugins.make(Source, {"use": "manifest", "path": str(path)}, PluginContext(tmp_path))
    assert list(source.items(requests.Session()))


def test_a_new_configuration_is_valid(tmp_path: Path) -> None:
    new = [sys.executable, "-m", "argosy", "config", "new", "argosy.toml"]
    subprocess.run(new, cwd=tmp_path, check=True, capture_output=True)
    assert load(tmp_path / "argosy.toml", PluginManager()).source is None
