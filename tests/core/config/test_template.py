"""What `argosy config new` prints is valid, as it is and with its settings uncommented."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

import argosy_schemas
from argosy.cli.config import template, to_toml
from argosy.cli.snippets import as_written
from argosy.config.schema import check
from argosy.plugins.manager import PluginManager


def uncommented(text: str) -> str:
    return re.sub(r'^#(?=[A-Za-z"])', "", text, flags=re.M)


def test_it_is_valid_as_printed_and_changes_nothing(plugins: PluginManager) -> None:
    assert tomllib.loads(template(plugins)) == {}


def test_uncommented_it_has_every_key_and_is_valid(plugins: PluginManager) -> None:
    document = tomllib.loads(uncommented(template(plugins)))
    assert check(document, plugins, "new.toml") == []
    assert set(document) == set(argosy_schemas.load("config.v1")["properties"])
    assert document["source"]["use"] == "manifest"


def test_installed_plugins_are_listed(plugins: PluginManager) -> None:
    assert "# Installed: manifest (The manifest one); urls (The urls one)." in template(plugins)
    assert "# Installed: none." in template(PluginManager(["argosy"]))


def test_every_key_is_explained(plugins: PluginManager) -> None:
    text = " ".join(template(plugins).replace("# ", "").split())
    for schema in argosy_schemas.load("config.v1")["properties"].values():
        assert " ".join(as_written(schema["description"]).split()) in text


@pytest.mark.parametrize("value", ['a"b\\c\n\x00\x1b\x7fä', 5, 1.5, True, ["a", {"b c": 1, "d-e": [], "": {}}], {}])
def test_to_toml(value: Any) -> None:
    assert tomllib.loads(f"x = {to_toml(value)}") == {"x": value}
