"""The version of the plugin API: which plugins this argosy can use.

It is one whole number. It goes up when something that plugins use is taken away or changes its meaning; what is
added does not raise it. A plugin says which one it was written for (`argosy.Plugin.argosy_api`).

What is checked of a plugin's class before anything is made of it.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Mapping

from argosy.errors import PluginError
from argosy.interfaces.base import Plugin
from argosy.plugins.files import file_of
from argosy.plugins.kinds import Kind, Origin, PluginInfo

#: The plugin API of this argosy.
CURRENT = 1
#: The oldest one whose plugins still work. One that is dropped is deprecated for a release at least.
OLDEST = 1


class PluginDeprecationWarning(DeprecationWarning):
    """A plugin uses what will be taken away; pytest shows it to the plugin's author.

    .. versionadded:: 0.1
    """


def check_api(origin: Origin, cls: type, *, oldest: int = OLDEST, current: int = CURRENT) -> None:
    """See whether a plugin was written for a plugin API that this argosy has.

    Parameters
    ----------
    origin
        Where it comes from.
    cls
        Its class.
    oldest, current
        The versions that there are.

    Raises
    ------
    PluginError
        If it was not.
    """
    wanted: object = getattr(cls, "argosy_api", 1)
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise _refused(
            origin,
            f"A plugin of {origin} is broken: its argosy_api is {wanted!r}, where a whole number is wanted.",
            "Tell its author",
        )
    known = f"{current}" if oldest == current else f"{oldest} to {current}"
    if wanted > current:
        raise _refused(
            origin,
            f"A plugin of {origin} was written for plugin API {wanted}, and this argosy has {known}.",
            "Install a newer argosy (pip install --upgrade argosy)",
        )
    if wanted < oldest:
        raise _refused(
            origin,
            f"A plugin of {origin} was written for plugin API {wanted}, and this argosy has {known}.",
            f"Install a newer version of {origin.short}",
        )
    if wanted < current:
        warnings.warn(
            f"A plugin of {origin} was written for plugin API {wanted}; this argosy has {current}, and "
            f"{wanted} will be dropped. docs/plugins/stability.md says what has changed.",
            PluginDeprecationWarning,
            stacklevel=2,
        )


def _refused(origin: Origin, message: str, what_to_do: str) -> PluginError:
    return PluginError(
        message,
        hint=f"{what_to_do}, or go on without it: {origin.without}",
        plugin=origin.entry_point,
        distribution=origin.distribution,
    )


_NAME = re.compile(r"[a-z][a-z0-9-]*")


def describe(kind: Kind, cls: object, origin: Origin) -> PluginInfo:
    """Return what is known of a plugin, once its class is found right.

    Whether its options schema is valid by the metaschema is asked later, when a configuration is checked:
    it takes longer than all the rest.

    Raises
    ------
    PluginError
        If the class breaks the contract of its kind.
    """
    fault = _class_fault(kind, cls)
    if isinstance(cls, type) and issubclass(cls, Plugin):
        check_api(origin, cls)  # first: the contract of another version is another one
    if fault is None and isinstance(cls, type) and issubclass(cls, Plugin):
        fault = _attribute_fault(cls) or _schema_fault(cls.options_schema)
        if fault is None:
            return PluginInfo(
                kind=kind,
                name=cls.name,
                summary=cls.summary,
                origin=origin,
                cls=cls,
                options_schema=cls.options_schema,
            )
    raise broken(origin, f"its hook {kind.hook} returned {_shown(cls)}, but {fault}")


def broken(origin: Origin, fault: str) -> PluginError:
    """Return the error that says which distribution's plugin is broken, and how to go on without it."""
    return PluginError(
        f"A plugin of {origin} is broken: {fault}.",
        hint=f"{'Tell its author' if origin.file is None else 'Repair it'}, or go on without it: {origin.without}",
        plugin=origin.entry_point,
        distribution=origin.distribution,
    )


def _class_fault(kind: Kind, cls: object) -> str | None:
    contract = kind.contract
    if not isinstance(cls, type):
        return f"a subclass of argosy.{contract.__name__} is wanted (the class, not an object of it)"
    if not issubclass(cls, contract):
        return f"that is no subclass of argosy.{contract.__name__}"
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        return f"that is abstract: it lacks {missing}"
    return None


def _attribute_fault(cls: type[Plugin]) -> str | None:
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"its name is {name!r}: wanted are lower-case letters, digits and hyphens, a letter first"
    summary = getattr(cls, "summary", None)
    if not isinstance(summary, str) or not summary.strip() or len(summary.splitlines()) != 1:
        return "its summary is not one line of text"
    return None


def _schema_fault(schema: object) -> str | None:
    if not isinstance(schema, Mapping):
        return "its options_schema is not a mapping"
    if schema.get("type") != "object":
        return 'its options_schema does not say "type": "object"'
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        return 'the "properties" of its options_schema are not a mapping'
    if "use" in properties:
        return 'its options_schema has a property "use", which names the plugin itself'
    if "$id" in schema:
        return "its options_schema has an $id; argosy gives it one"
    return None


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"{file_of(value.__module__) or value.__module__}.{value.__qualname__}"
    return f"an object of type {type(value).__name__}"
