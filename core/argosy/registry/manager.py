"""Puts plugin objects into a pluggy manager and asks each hook, one plugin at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType

import pluggy

from argosy import hookspecs
from argosy.errors import PluginError
from argosy.plugin_files import file_of
from argosy.registry.checks import broken, describe
from argosy.registry.kinds import Kind, Origin, PluginInfo
from argosy.suggestions import did_you_mean


def collect(objects: Iterable[tuple[Origin, object]]) -> list[PluginInfo]:
    """Return what every plugin object offers, checked.

    Raises
    ------
    PluginError
        If one is broken: a hook that does not exist, a hook that raises, a class that breaks its contract,
        or nothing offered at all.
    """
    manager = pluggy.PluginManager("argosy")
    manager.add_hookspecs(hookspecs)
    origins: dict[str, Origin] = {}
    for origin, plugin in objects:
        try:
            manager.register(plugin, origin.pluggy_name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise broken(origin, f"it cannot be registered: {str(error).splitlines()[0]}") from error
        origins[origin.pluggy_name] = origin
        _check_hooks(manager, plugin, origin)
    manager.check_pending()
    return [info for kind in Kind for info in _ask(manager, kind, origins)]


def _check_hooks(manager: pluggy.PluginManager, plugin: object, origin: Origin) -> None:
    """Find what `check_pending` would find, with a better message, and what it would not."""
    known = [kind.hook for kind in Kind]
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if caller.name not in known:
            suggestion = did_you_mean(caller.name, known) or f"The hooks are: {', '.join(known)}."
            raise broken(origin, f"it implements the hook {caller.name}, which does not exist ({suggestion})")
    if not callers:
        unmarked = [name for name in known if callable(getattr(plugin, name, None))]
        what = (
            f"its {unmarked[0]} is not marked with @argosy.hookimpl" if unmarked else "it implements no hook"
        )
        raise broken(origin, f"it offers nothing: {what}")


def _ask(manager: pluggy.PluginManager, kind: Kind, origins: dict[str, Origin]) -> list[PluginInfo]:
    infos = []
    for implementation in getattr(manager.hook, kind.hook).get_hookimpls():
        origin = origins[implementation.plugin_name]
        try:
            cls: object = implementation.function()
        except (Exception, SystemExit) as error:
            where = _where(implementation.plugin)
            raise broken(
                origin, f"its hook {kind.hook}{where} raised {type(error).__name__}: {error}"
            ) from error
        infos.append(describe(kind, cls, origin))
    return infos


def _where(plugin: object) -> str:
    module = plugin if isinstance(plugin, ModuleType) else inspect.getmodule(plugin)
    return f" in {file_of(module.__name__) or module.__name__}" if module else ""


def refuse_doubles(infos: Iterable[PluginInfo]) -> dict[tuple[Kind, str], PluginInfo]:
    """Return the plugins by kind and name.

    Raises
    ------
    PluginError
        If two of one kind have one name; neither silently replaces the other.
    """
    table: dict[tuple[Kind, str], PluginInfo] = {}
    for info in infos:
        other = table.setdefault((info.kind, info.name), info)
        if other is not info:
            one, two = (
                f"--no-plugin {i.origin.pluggy_name}" if i.origin.file is None else i.origin.without
                for i in (other, info)
            )
            raise PluginError(
                f"Two {info.kind.words} plugins are called {info.name!r}: one is of {other.origin}, the other of "
                f"{info.origin}.",
                hint=f"Rename or uninstall one, or go on without it: {one} or {two}",
                plugin=info.name,
                distribution=info.distribution,
            )
    return table
