"""The list of plugins on a terminal: wrapped, never cut."""

from __future__ import annotations

from typing import Any

import click
import pytest

from argosy.cli.plugins import option_facts, table, type_words
from argosy.interfaces.output import Output
from argosy.plugins.kinds import Kind, Origin, PluginInfo

SUMMARY = "A summary that is rather longer than what eighty columns of a terminal can hold beside its name"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"level": {"type": "integer", "default": 6, "description": "How hard it tries. " * 6}},
}
INFO = PluginInfo(Kind.OUTPUT, "zip", SUMMARY, Origin("kit", "2.0", "kit"), Output, SCHEMA)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_wrapped_to_the_terminal_and_nothing_is_lost(width: int) -> None:
    lines = [click.unstyle(line) for line in table((INFO,), width)]
    assert max(map(len, lines)) < width
    words = " ".join(" ".join(lines).split())
    assert SUMMARY in words
    assert "[kit 2.0]" in words
    assert ("How hard it tries. " * 6).strip() in words


def test_no_plugins_are_said_to_be_none() -> None:
    assert list(table((), 80)) == ["No plugins are installed."]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": 3}, "3"),
        ({"anyOf": [{"type": "string"}, {"$ref": "argosy:common#/$defs/secret"}]}, "string | secret"),
        ({}, "any"),
    ],
)
def test_types_are_named(option: dict[str, Any], words: str) -> None:
    assert type_words(option) == words


def test_facts_of_an_option() -> None:
    option = {"type": "string", "default": "ä", "description": "Two\n lines."}
    assert option_facts(option, required=False) == '(string, default "ä")  Two lines.'
    assert option_facts({"type": "string"}, required=True) == "(string, required)"
