"""Configurations and manifests in the documents are valid."""

from __future__ import annotations

import json
import os
import re
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

#: All but manifests, and the files of a package.
CONFIGURATIONS = [
    b for b in blocks("toml", "json") if b.mark not in ("manifest", "services") and "[build-system]" not in b.text
]
SERVICES = {block.language: block.text for block in blocks("toml", "json") if block.mark == "services"}
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


def test_a_package_adds_what_is_known_of_a_service(tmp_path: Path) -> None:
    """In a process of its own, as everything known is read once."""
    ((group, points),) = tomllib.loads(SERVICES["toml"])["project"]["entry-points"].items()
    ((name, package),) = points.items()
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("", "utf-8")
    (tmp_path / package / "services.json").write_text(SERVICES["json"], "utf-8")
    info = tmp_path / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {package}\n", "utf-8")
    (tmp_path / "argosy.json").write_text(json.dumps({"profile": "shelf"}), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "argosy", "config", "check", "argosy.json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "It sets on_doubt = { wait = 5, within = 12 }." in done.stdout
    assert "Source: https://shelf.example/docs/tokens" in done.stdout


def test_a_new_configuration_is_valid_and_short(tmp_path: Path) -> None:
    new = [sys.executable, "-m", "argosy", "config", "new"]
    subprocess.run([*new, "--all", "all.toml"], cwd=tmp_path, check=True, capture_output=True)
    assert load(tmp_path / "all.toml", PluginManager()).source is None
    subprocess.run([*new, "short.toml"], cwd=tmp_path, check=True, capture_output=True)
    text = (tmp_path / "short.toml").read_text("utf-8")
    assert 10 <= len(text.splitlines()) <= 20
    assert load(tmp_path / "short.toml", PluginManager()).auth["use"] == "none"
    (tmp_path / "login.toml").write_text(re.sub(r"^#(?=[a-z\[])", "", text, flags=re.M), "utf-8")
    assert load(tmp_path / "login.toml", PluginManager()).auth["use"] == "form-login"
