"""The composed schema: self-contained, valid, and the same in the form for editors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from argosy.config.check import check
from argosy.config.schema import compose, editor_schema, references, schema_registry
from argosy.errors import PluginError
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


def test_it_is_valid_json_and_a_valid_schema(registry: PluginManager) -> None:
    for schema in (compose(registry), editor_schema(registry)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_form_for_editors_means_the_same(document: dict[str, Any], registry: PluginManager) -> None:
    schema = compose(registry)
    embedded = jsonschema.Draft202012Validator(schema, registry=schema_registry(schema))
    local = jsonschema.Draft202012Validator(editor_schema(registry))
    assert embedded.is_valid(document) == local.is_valid(document) == (not check(document, registry, ""))


def test_the_form_for_editors_has_local_references_only(registry: PluginManager) -> None:
    found = set(references(editor_schema(registry)))
    assert found
    assert all(reference.startswith("#/$defs/") for reference in found)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "not valid at"),
        ({"properties": {"a": {"pattern": "("}}}, "not valid at"),
        ({"properties": {"a": {"$ref": "#/$defs/missing"}}}, "refers to '#/\\$defs/missing'"),
        ({"properties": {"a": {"$ref": "argosy:common#/$defs/secrte"}}}, "which is not there"),
        ({"properties": {"a": {"$ref": "https://library.example/schema.json"}}}, "which is not there"),
    ],
)
def test_a_plugins_bad_schema_is_its_distributions_fault(
    schema: dict[str, Any], words: str, make_plugin: Callable[..., object]
) -> None:
    bad = PluginManager.of([("e", "some-dist", "1.2", make_plugin(Kind.OUTPUT, "bad", schema))])
    with pytest.raises(PluginError, match=words) as caught:
        compose(bad)
    assert "the output plugin 'bad' of some-dist 1.2" in caught.value.message


def test_a_ref_in_a_default_or_an_example_is_no_reference(make_plugin: Callable[..., object]) -> None:
    schema = {"properties": {"a": {"default": {"$ref": "x"}, "examples": [{"$ref": "y"}]}}}
    compose(PluginManager.of([("e", "some-dist", "1.2", make_plugin(Kind.OUTPUT, "odd", schema))]))
