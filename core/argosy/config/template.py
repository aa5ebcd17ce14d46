"""The text of ``argosy config new``: a configuration to fill in, with every key explained."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import argosy_schemas
from argosy.config.check import SLOTS, check
from argosy.plugins.kinds import Kind, PluginInfo
from argosy.plugins.manager import PluginManager

_HEAD = """\
# A configuration of argosy.
#
# Lines that begin with "# " explain. Lines that begin with "#" and a key are settings, most of them with
# the value they have anyway: take the "#" away to change one. Only the source has to be filled in.
# `argosy config check FILE` says whether the file is right; `argosy plugins` explains every option.
"""
_WIDTH = 100
_FIRST = {Kind.SOURCE: ("manifest", "urls"), Kind.STRATEGY: ("threads",)}


def template(registry: PluginManager) -> str:
    """Return a commented TOML configuration with every key and the plugins that are installed.

    It is valid as it is, and stays so when its settings' ``#`` are taken away.
    """
    properties = argosy_schemas.load("config.v1")["properties"]
    blocks = [_HEAD]
    for key, schema in properties.items():
        if key in SLOTS:
            lines = [*_comment(schema["description"]), *_plugin_lines(key, schema, registry)]
        else:
            value = schema["default"] if "default" in schema else schema["examples"][0]
            lines = [*_comment(schema["description"]), f"#{_key(key)} = {to_toml(value)}"]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def to_toml(value: Any) -> str:
    """Return a JSON value as TOML writes it on one line; null, which TOML lacks, is left out of objects."""
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {to_toml(part)}" for key, part in value.items() if part is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_toml(part) for part in value if part is not None)}]"
    if isinstance(value, str):
        # TOML's basic strings know JSON's escapes, but want DEL escaped, too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else to_toml(key)


def _comment(text: str, indent: str = "") -> list[str]:
    start = f"# {indent}"
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start)


def _plugin_lines(key: str, schema: Mapping[str, Any], registry: PluginManager) -> Iterator[str]:
    kind = SLOTS[key]
    infos = [info for info in registry.plugins() if info.kind is kind]
    if not infos:
        yield f"# No {kind.words} plugin is installed."
        return
    yield from _comment(f"Installed: {'; '.join(f'{info.name} ({info.summary})' for info in infos)}.")
    value = _slot_value(key, schema, infos, registry)
    if value is not None:
        yield f"#{key} = {to_toml(value)}"


def _slot_value(
    key: str, schema: Mapping[str, Any], infos: list[PluginInfo], registry: PluginManager
) -> Any | None:
    """Return the default if it is installed, else the first example of a plugin that is valid."""
    first = _FIRST.get(SLOTS[key], ())
    ordered = sorted(infos, key=lambda info: (info.name not in first, info.name not in first[:1], info.name))
    listed = key in ("output", "observers")
    defaults = [schema["default"]] if "default" in schema else []
    examples = [[_example(info)] if listed else _example(info) for info in ordered]
    candidates = [*defaults, *examples]
    return next((value for value in candidates if not check({key: value}, registry, "")), None)


def _example(info: PluginInfo) -> dict[str, Any]:
    """Return the plugin with something to be replaced for every option that it needs."""
    schema = info.options_schema
    properties = schema.get("properties", {})
    options = {key: _placeholder(properties.get(key, {})) for key in schema.get("required", ())}
    return {"use": info.name, **options}


def _placeholder(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return "..."
    for keyword in ("default", "const"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    if str(schema.get("$ref", "")).endswith("/$defs/secret"):
        return {"env": "NAME_OF_A_VARIABLE"}
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array":
        return [_placeholder(schema.get("items", {}))]
    if kind == "object":
        properties = schema.get("properties", {})
        return {key: _placeholder(properties.get(key, {})) for key in schema.get("required", ())}
    number = schema.get("minimum", 1)
    uri = "https://library.example/" if schema.get("format") == "uri" else "..."
    return {"integer": number, "number": number, "boolean": False}.get(kind, uri)
