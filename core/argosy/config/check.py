"""Checks a configuration, and says everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from argosy.config.messages import location, problems_of
from argosy.config.schema import compose, foreign, plain, schema_registry
from argosy.errors import Problem
from argosy.plugins.kinds import Kind, PluginInfo
from argosy.plugins.manager import PluginManager

if TYPE_CHECKING:
    import jsonschema
    from jsonschema.protocols import Validator

#: The keys of the configuration that name plugins, and their kinds.
SLOTS: Mapping[str, Kind] = {
    "source": Kind.SOURCE,
    "auth": Kind.AUTH,
    "cookie_store": Kind.COOKIE_STORE,
    "strategy": Kind.STRATEGY,
    "output": Kind.OUTPUT,
    "observers": Kind.OBSERVER,
    "ratelimit": Kind.RATELIMIT,
}


def check(
    document: Any, registry: PluginManager, name: str, *, overrides: Collection[str] = ()
) -> list[Problem]:
    """Return all that is wrong with a configuration, in a fixed order; never raises for a bad one.

    Parameters
    ----------
    document
        The configuration, as it was read.
    registry
        The installed plugins.
    name
        What the messages call it: the file's name.
    overrides
        The top-level keys that came from the command line; the messages say so.

    Returns
    -------
    list of Problem
        Empty if it is valid. No value is repeated whose key, or schema, says that it is a secret.

    Raises
    ------
    PluginError
        If the options schema of a plugin that it uses is not valid.
    """
    document = expand(plain(document), registry)
    used, complete = _used(document, registry)
    schema = compose(registry, None if not complete else used)
    where = dict.fromkeys(overrides, "command line")
    found = list(foreign(document))
    if found:
        return [
            Problem(location(where, name, path), f"found {what}", "only what JSON can hold can stand here")
            for path, what in found
        ]
    errors = list(_leaves(_validator(schema).iter_errors(document)))
    mistyped = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    rendered = {
        (_order(path), Problem(location(where, name, path), found, expected))
        for error in errors
        # where the type is wrong, no more needs to be said of the value
        if error.validator == "type" or tuple(error.absolute_path) not in mistyped
        for path, found, expected in problems_of(error, top=schema["properties"])
    }
    return [problem for _, problem in sorted(rendered, key=lambda pair: (pair[0], str(pair[1])))]


def expand(document: Any, registry: PluginManager) -> Any:
    """Return the document with ``"NAME"`` written out as ``{"use": "NAME"}`` where NAME is installed.

    Another name stays as it is, so that it is reported where it stands.
    """
    if not isinstance(document, dict):
        return document
    expanded = dict(document)
    for slot, kind in SLOTS.items():
        value = document.get(slot)
        if isinstance(value, list):
            expanded[slot] = [_use(part, kind, registry) for part in value]
        elif isinstance(value, str) and slot != "observers":  # which is always a list
            expanded[slot] = _use(value, kind, registry)
    return expanded


def _used(document: Any, registry: PluginManager) -> tuple[list[PluginInfo], bool]:
    """Return the plugins that an expanded document names, and whether all of them exist."""
    found: dict[tuple[Kind, str], PluginInfo] = {}
    complete = True
    for slot, kind in SLOTS.items():
        value = document.get(slot) if isinstance(document, dict) else None
        for part in value if isinstance(value, list) else [value]:
            use = part.get("use") if isinstance(part, dict) else part
            info = registry.get(kind, use) if isinstance(use, str) else None
            if info is not None:
                found[kind, info.name] = info
            complete = complete and (info is not None or not isinstance(use, str))
    return sorted(found.values(), key=lambda info: (info.kind.value, info.name)), complete


def _use(value: Any, kind: Kind, registry: PluginManager) -> Any:
    return {"use": value} if isinstance(value, str) and registry.get(kind, value) is not None else value


def _leaves(errors: Iterable[jsonschema.ValidationError]) -> Iterator[jsonschema.ValidationError]:
    """Yield the errors; of an anyOf or oneOf, those of the one branch that was meant, where one stands out."""
    for error in errors:
        meant = _meant(error) if error.validator in ("anyOf", "oneOf") else None
        if meant is None:
            yield error
        else:
            yield from _leaves(meant)


def _meant(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError] | None:
    branches: dict[Any, list[jsonschema.ValidationError]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.relative_schema_path[0], []).append(cause)
    fitting = [
        causes
        for causes in branches.values()
        if not any(
            c.validator in ("type", "const", "enum", "required") and not c.relative_path for c in causes
        )
    ]
    return fitting[0] if len(fitting) == 1 else None


def _validator(schema: Mapping[str, Any]) -> Validator:
    import jsonschema
    from jsonschema.validators import extend

    formats = jsonschema.FormatChecker(("date", "email", "ipv4", "ipv6", "regex"))
    formats.checks("uri", ValueError)(_is_uri)
    cls = extend(  # type: ignore[no-untyped-call]  # its stub has no annotations
        jsonschema.Draft202012Validator, {"pattern": _pattern}
    )
    validator: Validator = cls(schema, registry=schema_registry(schema), format_checker=formats)
    return validator


def _pattern(
    validator: Any, pattern: str, instance: object, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """Match as ECMA-262 does, by which JSON Schema defines patterns: $ is the end, not "before a last newline"."""
    import jsonschema

    strict = re.sub(r"(?<!\\)\$$", r"\\Z", pattern)
    if isinstance(instance, str) and not re.search(strict, instance):
        yield jsonschema.ValidationError("does not match")


def _is_uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return bool(parts.scheme) and bool(parts.netloc or parts.path) and not re.search(r"[\s\x00-\x20]", value)


def _order(path: Iterable[str | int]) -> tuple[tuple[int, str], ...]:
    return tuple((part, "") if isinstance(part, int) else (-1, part) for part in path)
