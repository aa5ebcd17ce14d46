"""One JSON Schema for the whole configuration, and its validation.

The options schema of each plugin is embedded under ``$defs`` with its references made local, so the composed schema
works in an editor as it is.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import argosy_schemas
from argosy.errors import Problem
from argosy.plugins.kinds import Kind, PluginInfo
from argosy.plugins.manager import PluginManager, broken

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from argosy.config.messages import KeyPath

#: The keys of the configuration that name plugins, and their kinds; the URL of the directory names the storage.
SLOTS: Mapping[str, Kind] = {
    "observers" if kind is Kind.OBSERVER else kind.value: kind for kind in Kind if kind is not Kind.STORAGE
}
#: The keys that the command line fills with valid values only; its source is a list of URLs.
_TRIVIAL = frozenset({"source", "strategy", "output", "directory", "tags", "force_redownload", "strict"})
#: A schema with these keywords only requires no option.
_OPTIONAL = frozenset({"type", "properties"})
#: Deeper than any sensible configuration, and shallow enough for recursion.
_DEEPEST = 50


def check(document: Any, plugins: PluginManager, name: str, *, overrides: Collection[str] = ()) -> list[Problem]:
    """Return every problem of a configuration, in a fixed order; `overrides` are keys from the command line."""
    from argosy.config.messages import findings, location

    sources = dict.fromkeys(overrides, "command line")
    try:
        document = expand(document)
    except ValueError as error:
        path, found = error.args
        return [Problem(location(sources, name, path), found, "expected a JSON value")]
    schema = compose(plugins, _named(document, plugins))
    errors = list(_leaves(_validate(schema, document)))
    mistyped = [cause.absolute_path for cause in errors if cause.validator == "type"]
    problems: dict[Problem, list[str]] = {}  # with the path to sort by
    for cause in errors:
        # the other errors of a value of the wrong type only repeat that
        if cause.validator == "type" or cause.absolute_path not in mistyped:
            where = location(sources, name, tuple(cause.absolute_path))
            order = [f"{key:9}" if isinstance(key, int) else key for key in cause.absolute_path]
            problems |= {Problem(where, found, expected): order for found, expected in findings(cause)}
    return sorted(problems, key=lambda problem: (problems[problem], str(problem)))


def is_trivial(overrides: Mapping[str, Any], plugins: PluginManager) -> bool:
    """Return whether options of the command line, without a configuration, cannot break any schema."""
    named = _named(overrides, plugins)
    if named is None or not overrides.keys() <= _TRIVIAL or isinstance(overrides.get("directory"), Mapping):
        return False
    return all(info.kind is Kind.SOURCE or info.options_schema.keys() <= _OPTIONAL for info in named)


def expand(document: Any) -> Any:
    """Return a configuration as JSON values, with each plugin written as ``{"use": NAME, ...}``."""
    document = _plain(document)
    if isinstance(document, dict):
        for slot in SLOTS.keys() & document.keys():
            value = document[slot]
            if isinstance(value, list):
                document[slot] = [{"use": part} if isinstance(part, str) else part for part in value]
            elif isinstance(value, str) and slot != "observers":  # which is always a list
                document[slot] = {"use": value}
    return document


def compose(plugins: PluginManager, used: Iterable[PluginInfo] | None = None) -> dict[str, Any]:
    """Return the schema of a configuration that may name the plugins in `used`, or all installed plugins."""
    from argosy.plugins.services import known

    described = plugins.plugins() if used is None else tuple(used)
    config, common = argosy_schemas.load("config.v1"), argosy_schemas.load("common.v1")
    definitions: dict[str, Any] = {**config["$defs"], "argosy:common": {"$defs": common["$defs"]}}
    for kind in Kind:
        definitions[kind.value] = _slot(kind, [info for info in described if info.kind is kind])
    schema: dict[str, Any] = _localize({**config, "$defs": definitions}, "", [])
    schema["properties"]["profile"]["enum"] = sorted(known()[0])
    for info in described:
        references: list[str] = []
        schema["$defs"][_home(info)] = _localize(_options(info), _home(info), references)
        _check_references(schema, references, info)
    return schema


def default_options(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the options in an options schema."""
    options = schema.get("properties", {}).items()
    return {key: option["default"] for key, option in options if isinstance(option, Mapping) and "default" in option}


# -- composing


def _options(info: PluginInfo) -> dict[str, Any]:
    """Return the schema of ``{"use": NAME, ...options}``; raise a PluginError if the plugin's schema is not valid."""
    import jsonschema

    validator = jsonschema.Draft202012Validator
    try:
        validator.check_schema(info.options_schema, format_checker=validator.FORMAT_CHECKER)
    except jsonschema.SchemaError as error:
        fault = f"its options schema is not valid at {error.json_path}: {error.message[:200]}"
        raise broken(info.origin, fault) from error
    use = {"title": "Plugin", "description": info.summary, "const": info.name}
    options = {**info.options_schema, "properties": {"use": use, **info.options_schema.get("properties", {})}}
    if "unevaluatedProperties" not in options:
        options.setdefault("additionalProperties", False)
    return options


def _slot(kind: Kind, infos: list[PluginInfo]) -> dict[str, Any]:
    """Return the schema of a key that names a plugin."""
    name = {"title": "Plugin", "description": f"The name of an installed {kind.words} plugin."}
    use = {**name, "enum": [info.name for info in infos]}
    alone = {**name, "enum": [info.name for info in infos if not info.options_schema.get("required")]}
    # if/then, not oneOf, so errors are about one plugin's options, not "none of six matches"
    branches: list[dict[str, Any]] = [{"if": {"type": "string"}, "then": alone}]
    for info in infos:
        named = {"type": "object", "properties": {"use": {"const": info.name}}, "required": ["use"]}
        branches.append({"if": named, "then": {"$ref": f"{_home(info)}#"}})
    return {
        "title": f"The {kind.words} plugin",
        "description": f"The name of the {kind.words} plugin, or an object with its name (use) and its options.",
        "type": ["string", "object"],
        "properties": {"use": use},
        "required": ["use"],
        "allOf": branches,
    }


def _home(info: PluginInfo) -> str:
    return f"argosy:{info.kind.value}:{info.name}"


def _localize(schema: Any, home: str, references: list[str]) -> Any:
    """Return a copy of a schema with local references only; add them to `references`."""
    if isinstance(schema, list | tuple):
        return [_localize(part, home, references) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    local = {key: _localize(value, home, references) for key, value in schema.items()}
    if isinstance(local.get("$ref"), str):  # else a property has this name
        document, _, fragment = local["$ref"].partition("#")
        if document or home:
            local["$ref"] = f"#/$defs/{document or home}{fragment}"
        references.append(local["$ref"])
    return local


def _check_references(schema: Mapping[str, Any], references: Iterable[str], info: PluginInfo) -> None:
    """Raise a PluginError if a reference leads nowhere; validation would only notice when the option is used."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for reference in references:
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError, LookupError) as error:
            fault = f"its options schema refers to {reference!r}, which does not exist"
            raise broken(info.origin, fault) from error


# -- validating


def _plain(value: Any, path: KeyPath = ()) -> Any:
    """Return a copy as JSON values, with paths as text, and 4.0 (an integer in JSON Schema) as 4; or raise ValueError."""
    if len(path) > _DEEPEST:
        raise ValueError(path[:3], f"found more than {_DEEPEST} nested levels")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(path, "found a key that is not text")
        return {key: _plain(part, (*path, key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, (*path, index)) for index, part in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(path, f"found {value}")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(path, f"found a value of type {type(value).__name__}")
    return value


def _named(document: Any, plugins: PluginManager) -> list[PluginInfo] | None:
    """Return the plugins that a document names; None if one is not installed: the message then lists them all."""
    found = []
    for slot, kind in SLOTS.items():
        value = document.get(slot) if isinstance(document, dict) else None
        for part in value if isinstance(value, list) else [value]:
            use = part.get("use") if isinstance(part, dict) else None
            if isinstance(use, str):
                info = plugins.get(kind, use)
                if info is None:
                    return None
                found.append(info)
    return found


def _validate(schema: Mapping[str, Any], document: Any) -> Iterator[ValidationError]:
    import jsonschema
    from jsonschema.validators import extend

    def pattern(_validator: Any, wanted: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
        # as in ECMA-262, which JSON Schema refers to: $ does not match before a final newline
        if isinstance(instance, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", wanted), instance):
            yield jsonschema.ValidationError("does not match")

    validator = jsonschema.Draft202012Validator
    strict: Any = extend(validator, {"pattern": pattern})  # type: ignore[no-untyped-call]  # its stub is untyped
    yield from strict(schema, format_checker=validator.FORMAT_CHECKER).iter_errors(document)


def _leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """Yield the errors; for an anyOf or oneOf, those of the only branch that accepts the value's type and keys."""
    for error in errors:
        fitting = []
        branches: Any = error.validator_value if error.validator in ("anyOf", "oneOf") else ()
        for index in range(len(branches)):
            branch = [cause for cause in error.context or () if cause.relative_schema_path[0] == index]
            decisive = {cause.validator for cause in branch if not cause.relative_path}
            if branch and decisive.isdisjoint({"type", "const", "enum", "required"}):
                fitting.append(branch)
        if len(fitting) == 1:
            yield from _leaves(fitting[0])
        else:
            yield error
