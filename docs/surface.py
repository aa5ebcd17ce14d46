"""The public surface of plugins: every name that they may use, with its signature.

`docs/generate.py` writes it to `docs/reference/plugin-surface.txt`, and a test compares: a removed or changed name breaks
plugins (`docs/plugins/stability.md`).
"""

from __future__ import annotations

import enum
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from argosy import toolkit

#: The public names of each module; None for all in its ``__all__``, or all that it defines.
MODULES: Mapping[str, tuple[str, ...] | None] = {
    "argosy": None,
    "argosy.interfaces": None,
    "argosy.models": None,
    "argosy.models.host_state": ("HostState",),
    "argosy.models.items": ("DIGESTS", "Failure", "Job", "Outcome", "State"),
    "argosy.errors": None,
    "argosy.events": ("Event", "EventKind"),
    "argosy.hookspecs": (
        "argosy_source",
        "argosy_auth",
        "argosy_cookie_store",
        "argosy_strategy",
        "argosy_output",
        "argosy_observer",
        "argosy_storage",
        "argosy_ratelimit",
        "argosy_transport",
    ),
    **{f"argosy.toolkit.{module.name}": None for module in pkgutil.iter_modules(toolkit.__path__)},
    "argosy_plugins.layout": ("Layout",),
    "argosy_plugins.unix_channel": ("UnixChannel",),
    "argosy_plugins.refusals": ("RefusalRules", "refusal_schema"),
    "argosy_devkit": None,
    "argosy_devkit.contracts.auth": ("AuthContract",),
    "argosy_devkit.contracts.collecting_output": ("CollectingOutputContract",),
    "argosy_devkit.contracts.cookie_store": ("CookieStoreContract",),
    "argosy_devkit.contracts.observer": ("ObserverContract",),
    "argosy_devkit.contracts.output": ("OutputContract",),
    "argosy_devkit.contracts.ratelimit": ("RateLimitContract",),
    "argosy_devkit.contracts.source": ("SourceContract",),
    "argosy_devkit.contracts.storage": ("StorageContract",),
    "argosy_devkit.contracts.strategy": ("StrategyContract",),
    "argosy_devkit.contracts.transport": ("TransportContract",),
}


def text(command: str) -> str:
    """Return the list as a file; `command` writes it."""
    return "\n".join([f"# Written by `{command}`; changes made here are lost.", *lines(), ""])


def lines() -> list[str]:
    """Return a line for each public name, and for each public part of a class, in a fixed order."""
    found: dict[str, str] = {}
    for module_name, names in MODULES.items():
        module = import_module(module_name)
        for name in _public(module) if names is None else names:
            subject = getattr(module, name)
            if module_name == "argosy" and (home := _home(subject)) in MODULES:
                found[f"{module_name}.{name}"] = f"is {home}.{name}"
                continue
            found |= _described(f"{module_name}.{name}", subject)
    return [f"{place} {words}".rstrip() for place, words in sorted(found.items())]


def _public(module: ModuleType) -> list[str]:
    """Return the names in ``__all__``; without one, the classes and functions that the module defines."""
    defined = [
        name
        for name, subject in vars(module).items()
        if not name.startswith("_") and getattr(subject, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", defined))


def _home(subject: object) -> str:
    """Return the public module of a class or function: a package exports the names of its modules."""
    home = str(getattr(subject, "__module__", ""))
    package = home.rpartition(".")[0]
    exported = MODULES.get(package, ()) is None and getattr(subject, "__name__", "") in import_module(package).__all__
    return package if exported else home


def _described(place: str, subject: Any) -> Iterator[tuple[str, str]]:
    if inspect.isclass(subject):
        yield place, f"class({', '.join(base.__name__ for base in subject.__bases__ if base is not object)})"
        yield from _parts(place, subject)
    elif inspect.isfunction(subject):
        yield place, _signature(subject)
    elif isinstance(subject, str | tuple | int) and not place.endswith("__version__"):
        yield place, f"= {subject!r}"
    else:
        yield (
            place,
            f": {subject}" if inspect.isclass(typing.get_origin(subject)) else f": {type(subject).__name__}",
        )


def _parts(place: str, cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public parts that a class has of its own, or of a base that is not public by itself."""
    if issubclass(cls, enum.Enum):
        yield from ((f"{place}.{member.name}", f"= {member.value!r}") for member in cls)
        return
    if "__init__" in vars(cls) and not getattr(cls, "_is_protocol", False):
        yield f"{place}()", _signature(cls)
    contract = cls.__module__.startswith("argosy_devkit.contracts")
    parts: dict[str, Any] = {}
    for base in reversed(cls.__mro__ if contract else [cls]):
        if base.__module__.startswith("argosy"):
            parts |= dict.fromkeys(inspect.get_annotations(base), "")
            parts |= vars(base)
    for name, part in parts.items():
        # the tests of a contract may change: a plugin that keeps its promises passes them all the same
        if name.startswith(("_", "test_")) or name == "documented":
            continue
        if isinstance(part, property):
            yield (
                f"{place}.{name}",
                f"property -> {_plain(inspect.signature(_getter(part)).return_annotation)}",
            )
        elif isinstance(part, classmethod | staticmethod):
            yield f"{place}.{name}", f"{type(part).__name__} {_signature(part.__func__)}"
        elif inspect.isfunction(part):
            yield f"{place}.{name}", _signature(part)
        else:
            annotations = map(inspect.get_annotations, cls.__mro__)
            wanted = next((found[name] for found in annotations if name in found), None)
            yield f"{place}.{name}", f": {_plain(wanted) if wanted else 'fixture'}"


def _getter(part: property) -> Any:
    return part.fget


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    shown = signature.replace(
        parameters=[p.replace(default=_default(p.default)) for p in signature.parameters.values()]
    )
    return str(shown).replace("'", "")


class _Some:
    """A default whose text would be different on another machine, or in another version of Python."""

    def __repr__(self) -> str:
        return "..."


def _default(value: Any) -> Any:
    plain = value is inspect.Parameter.empty or isinstance(value, str | int | float | tuple | type(None))
    return value if plain and not isinstance(value, enum.Enum) else _Some()


def _plain(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
