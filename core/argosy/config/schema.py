"""One schema of the whole configuration, composed of the core's and those of the plugins.

Each plugin's options schema is embedded as a resource of its own (JSON Schema 2020-12, section 9.3.1,
"compound schema documents"), so that its own ``#/$defs/...`` keep their meaning.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import argosy_schemas
from argosy.errors import PluginError
from argosy.plugins.kinds import Kind, PluginInfo
from argosy.plugins.manager import PluginManager

if TYPE_CHECKING:
    from referencing.jsonschema import SchemaRegistry

KeyPath = tuple[str | int, ...]

#: Deeper than any sensible configuration, and shallow enough for every recursion over it.
_DEEPEST = 50


def plain(value: Any) -> Any:
    """Return a copy of a value with mappings as dict, sequences as list and paths as text."""
    return _plain(value, _DEEPEST)


def _plain(value: Any, depth: int) -> Any:
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {key: _plain(part, depth - 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth - 1) for part in value]
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.fsdecode(path)
    return value


def foreign(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield the places whose value JSON does not have, each with what was found there."""
    if len(path) > _DEEPEST:
        yield path[:3], f"more than {_DEEPEST} levels, one within the other"
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(key, str):
                yield from foreign(part, (*path, key))
            else:
                yield path, f"a key of type {type(key).__name__}"
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from foreign(part, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value}, which is no finite number"
    elif value is not None and not isinstance(value, str | int | float | bool):
        yield path, f"a value of type {type(value).__name__}"


#: What stands under these keywords is data, not a schema: a "$ref" in it is no reference.
_DATA = frozenset({"const", "enum", "default", "examples"})


def map_references(schema: Any, change: Callable[[str], str]) -> Any:
    """Return a copy of a schema with every ``$ref`` changed."""
    if isinstance(schema, Mapping):
        return {
            key: change(value)
            if key == "$ref" and isinstance(value, str)
            else value
            if key in _DATA
            else map_references(value, change)
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [map_references(part, change) for part in schema]
    return schema


def references(schema: Any) -> Iterator[str]:
    """Yield every ``$ref`` of a schema."""
    found: list[str] = []

    def note(reference: str) -> str:
        found.append(reference)
        return reference

    map_references(schema, note)
    yield from found


def schema_registry(schema: Mapping[str, Any]) -> SchemaRegistry:
    """Return a registry that knows a composed schema and what is embedded in it, and fetches nothing."""
    from referencing import Registry as Resources
    from referencing.jsonschema import DRAFT202012

    empty: SchemaRegistry = Resources()
    embedded = [part for part in schema["$defs"].values() if "$id" in part]
    resources = [(part["$id"], DRAFT202012.create_resource(part)) for part in (schema, *embedded)]
    return empty.with_resources(resources).crawl()


def check_references(schema: Mapping[str, Any], infos: Iterable[PluginInfo]) -> None:
    """Check that every reference of some plugins' schemas leads somewhere.

    Raises
    ------
    PluginError
        If one does not; validation would stumble over it only when the option is used.
    """
    from referencing.exceptions import Unresolvable

    resources = schema_registry(schema)
    for info in infos:
        identifier = f"argosy:plugin:{info.kind.value}:{info.name}"
        resolver = resources.resolver(identifier)
        for reference in references(schema["$defs"][identifier]):
            try:
                resolver.lookup(reference)
            except (Unresolvable, ValueError, LookupError) as error:
                raise PluginError(
                    f"The options schema of {info} refers to {reference!r}, which is not there.",
                    hint=f"Tell its author, or go on without it: --no-plugin {info.name}",
                    plugin=info.name,
                    distribution=info.origin.distribution,
                ) from error


_COMMON = "argosy:common"


def compose(registry: PluginManager, used: Collection[PluginInfo] | None = None) -> dict[str, Any]:
    """Return the schema of a whole configuration, self-contained.

    Parameters
    ----------
    registry
        The installed plugins; each may be named.
    used
        The plugins that a configuration names, so that no others are imported; None for all plugins.

    Raises
    ------
    PluginError
        If a plugin's options schema is not valid, or refers to what is not there.
    """
    schema = argosy_schemas.load("config.v1")
    definitions: dict[str, Any] = schema["$defs"]
    definitions[_COMMON] = argosy_schemas.load("common.v1")
    described = registry.plugins() if used is None else used
    for info in described:
        check_options_schema(info)
        definitions[resource_id(info)] = _resource(info)
    for kind in Kind:
        infos = [info for info in described if info.kind is kind]
        definitions[kind.value] = _slot(kind, [info.name for info in infos], infos)
    check_references(schema, described)
    return schema


def editor_schema(registry: PluginManager) -> dict[str, Any]:
    """Return the composed schema with every reference made local (``#/$defs/...``).

    It means the same as `compose`'s. Some editors follow local references only.
    """
    schema = compose(registry)
    definitions: dict[str, Any] = schema["$defs"]
    for name, resource in definitions.items():
        if "$id" in resource:
            identifier = resource.pop("$id")
            definitions[name] = map_references(resource, _localise(identifier))
    local: dict[str, Any] = map_references(schema, _localise(""))
    return local


def resource_id(info: PluginInfo) -> str:
    """Return the ``$id`` of a plugin's options schema."""
    return f"argosy:plugin:{info.kind.value}:{info.name}"


def check_options_schema(info: PluginInfo) -> None:
    """Check a plugin's options schema against the metaschema of draft 2020-12.

    Raises
    ------
    PluginError
        If it is not valid.
    """
    import jsonschema

    validator = jsonschema.Draft202012Validator
    try:
        validator.check_schema(info.options_schema, format_checker=validator.FORMAT_CHECKER)
    except jsonschema.SchemaError as error:
        raise PluginError(
            f"The options schema of {info} is not valid at {error.json_path}: {error.message[:200]}.",
            hint=f"Tell its author, or go on without it: --no-plugin {info.name}",
            plugin=info.name,
            distribution=info.origin.distribution,
        ) from error


def needs_options(info: PluginInfo) -> bool:
    """Return whether the plugin has options that must be given."""
    return bool(info.options_schema.get("required"))


def _resource(info: PluginInfo) -> dict[str, Any]:
    use = {"title": "Plugin", "description": info.summary, "const": info.name}
    resource: dict[str, Any] = {
        **info.options_schema,
        "$id": resource_id(info),
        "properties": {"use": use, **info.options_schema.get("properties", {})},
    }
    if "unevaluatedProperties" not in resource:
        resource.setdefault("additionalProperties", False)
    return resource


def _slot(kind: Kind, names: Sequence[str], infos: Sequence[PluginInfo]) -> dict[str, Any]:
    """Return the schema of the place where a plugin is named.

    The branches are if/then, not oneOf: so a mistake is reported where it is, not as "none of six matches".
    """
    name = {
        "title": "Plugin",
        "description": f"The name of an installed {kind.words} plugin.",
        "enum": list(names),
    }
    branches: list[dict[str, Any]] = [{"if": {"type": "string"}, "then": name}]
    for info in infos:
        branches.append(
            {
                "if": {
                    "type": "object",
                    "properties": {"use": {"const": info.name}},
                    "required": ["use"],
                },
                "then": {"$ref": resource_id(info)},
            }
        )
        if needs_options(info):
            branches.append({"if": {"const": info.name}, "then": {"type": "object"}})
    return {
        "title": f"The {kind.words} plugin",
        "description": f"The name of {kind.article} {kind.words} plugin, or an object of its name (use) and its options.",
        "type": ["string", "object"],
        "properties": {"use": name},
        "required": ["use"],
        "allOf": branches,
    }


def _localise(identifier: str) -> Callable[[str], str]:
    """Return what turns a reference within the resource `identifier` into one that is local to the root."""

    def localise(reference: str) -> str:
        resource, _, fragment = reference.partition("#")
        if fragment and not fragment.startswith("/"):
            return f"#{fragment}"  # an anchor: it is found by its name, wherever it stands
        home = resource or identifier
        return f"#/$defs/{home}{fragment}" if home.startswith("argosy:") else reference

    return localise


def default_options(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that stand at the top level of an options schema."""
    return {
        key: option["default"]
        for key, option in schema.get("properties", {}).items()
        if isinstance(option, Mapping) and "default" in option
    }
