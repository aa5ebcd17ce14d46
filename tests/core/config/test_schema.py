"""The composed schema: self-contained, valid, and usable in an editor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from argosy.config.schema import check, compose
from argosy.errors import PluginError
from argosy.interfaces.base import Plugin
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

LOGIN = {"use": "form-login", "url": "https://library.example/login"}
DOCUMENTS: list[dict[str, Any]] = [
    {},
    {"auth": "form-login"},
    {"auth": "none", "output": ["zip"]},
    {"auth": LOGIN},
    {"auth": {**LOGIN, "fields": {"password": {"env": "A"}}}},
    {"auth": {**LOGIN, "fields": {"password": 5}}},
    {"auth": {**LOGIN, "fields": {"password": {"evn": "A"}}}},
    {"auth": {**LOGIN, "unknown": 1}},
    {"source": {"use": "nothing"}},
    {"output": [{"use": "zip", "level": 12}]},
]


def test_it_is_valid_json_and_a_valid_schema(plugins: PluginManager) -> None:
    schema = compose(plugins)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("document", DOCUMENTS)
def test_it_accepts_what_check_accepts(document: dict[str, Any], plugins: PluginManager) -> None:
    assert jsonschema.Draft202012Validator(compose(plugins)).is_valid(document) == (not check(document, plugins, ""))


def test_it_has_local_references_only(plugins: PluginManager) -> None:
    found = re.findall(r'"\$ref": "([^"]*)"', json.dumps(compose(plugins)))
    assert found
    assert all(reference.startswith("#/$defs/") for reference in found)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "not valid at"),
        ({"properties": {"a": {"pattern": "("}}}, "not valid at"),
        (
            {"properties": {"a": {"$ref": "#/$defs/missing"}}},
            r"refers to '#/\$defs/argosy:output:bad/\$defs/missing'",
        ),
        ({"properties": {"a": {"$ref": "argosy:common#/$defs/secrte"}}}, "which does not exist"),
        ({"properties": {"a": {"$ref": "https://library.example/schema.json"}}}, "which does not exist"),
    ],
)
def test_a_plugins_bad_schema_is_its_distributions_fault(
    schema: dict[str, Any], words: str, make_plugin: Callable[..., type[Plugin]]
) -> None:
    bad = PluginManager(["argosy"], given=[make_plugin(Kind.OUTPUT, "bad", schema)])
    with pytest.raises(PluginError, match=words) as caught:
        compose(bad)
    assert "is broken: its options schema " in caught.value.message
