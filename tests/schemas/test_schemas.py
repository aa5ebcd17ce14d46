"""The schemas are schemas, explain every key, and agree with the examples in the folders beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import argosy_schemas
from argosy.models.items import DIGESTS, Verification

HERE = Path(__file__).parent
EXAMPLES = sorted(HERE.glob("*/*/*.json"))


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property that a schema declares, wherever."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for part in schema.values():
            yield from properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from properties(part)


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = argosy_schemas.load(name)
    if name == "common.v1":
        schema["$ref"] = "#/$defs/secret"
    return jsonschema.Draft202012Validator(schema)


def test_names() -> None:
    assert argosy_schemas.names() == ("common.v1", "config.v1", "manifest-line.v1", "report.v1")
    with pytest.raises(KeyError):
        argosy_schemas.load("../pyproject")


@pytest.mark.parametrize("name", argosy_schemas.names())
def test_it_is_valid_by_its_metaschema_and_explains_every_key(name: str) -> None:
    schema = argosy_schemas.load(name)
    check = jsonschema.Draft202012Validator
    check.check_schema(schema, format_checker=check.FORMAT_CHECKER)
    assert schema["$id"].startswith("argosy:")
    declared = list(properties(schema))
    assert declared
    for key, value in declared:
        if set(value) != {"$ref"}:
            assert value.get("title"), key
            assert value.get("description", "").endswith("."), key


@pytest.mark.parametrize("name", argosy_schemas.names())
def test_it_has_examples_of_both_sorts(name: str) -> None:
    assert list((HERE / name / "valid").glob("*.json"))
    assert list((HERE / name / "invalid").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(HERE)))
def test_example(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    assert validator(path.parent.parent.name).is_valid(document) == (path.parent.name == "valid")


def test_defaults_and_examples_are_valid_themselves() -> None:
    schema = argosy_schemas.load("config.v1")
    for key, value in schema["properties"].items():
        for example in [*value.get("examples", []), *([value["default"]] if "default" in value else [])]:
            assert validator("config.v1").is_valid({key: example}), key


def test_the_schemas_agree_with_the_model() -> None:
    manifest = argosy_schemas.load("manifest-line.v1")["properties"]
    assert set(DIGESTS) < set(manifest)
    assert set(DIGESTS) < set(manifest["resources"]["items"]["properties"])
    report = argosy_schemas.load("report.v1")["properties"]
    file = report["items"]["items"]["properties"]["files"]["items"]["properties"]
    assert file["verification"]["enum"] == [str(member) for member in Verification]
