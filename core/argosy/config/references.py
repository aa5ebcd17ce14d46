"""References in a schema: found, changed, and checked to lead somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from argosy.errors import PluginError

if TYPE_CHECKING:
    from referencing.jsonschema import SchemaRegistry

    from argosy.registry import PluginInfo

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
                    distribution=info.distribution,
                ) from error
