"""Finds plugins by name, imports them when they are used, and creates them.

An installed plugin is an entry point of the group ``argosy`` whose name is the plugin's name, so a run imports only the
plugins that its configuration names. pluggy's own ``load_setuptools_entrypoints`` imports all of them, silently skips the
second entry point of a name, and lets a broken plugin end the program without naming its distribution.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar, cast

import pluggy

from argosy import hookspecs
from argosy.errors import ArgosyError, ConfigError, PluginError
from argosy.interfaces.base import Plugin, PluginContext
from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.text import did_you_mean

logger = logging.getLogger(__name__)

P = TypeVar("P", bound=Plugin)

GROUP = "argosy"
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_LIST_THEM = "`argosy plugins` lists the installed plugins."


class PluginManager:
    """The plugins that a run can use; a pickled manager imports the same plugins again."""

    def __init__(
        self,
        exclude: Iterable[str] = (),  # plugins, distributions, or distribution:plugin
        files: Iterable[Path] = (),
        given: Iterable[type[Plugin]] = (),  # they replace installed plugins of the same name
        *,
        installed: bool = True,
    ) -> None:
        self.excluded = tuple(exclude)
        paths = (Path(os.path.abspath(file)) for file in files)  # noqa: PTH100 - absolute() keeps ".."
        self._files = tuple(dict.fromkeys(paths))
        self._given = tuple(given)
        self._installed = installed
        self._pluggy = pluggy.PluginManager("argosy")
        self._pluggy.add_hookspecs(hookspecs)
        self._table: dict[tuple[Kind, str], PluginInfo] = {}
        self._offered: dict[str, tuple[PluginInfo, ...]] = {}  # by module: it may have several entry points
        self._waiting = self._not_excluded(_entry_points() if installed else [])
        for cls in self._given:
            self._add(describe(kind_of(cls), cls, Origin(cls.__module__, "(not installed)", cls.__name__)))
        self._replaced = frozenset(self._table)
        for file in self._files:
            from argosy.plugins.files import module_name  # most runs have no such file

            if not file.is_file() or file.suffix != ".py":
                raise ConfigError(f"There is no plugin file {file}.", hint="--plugin takes a Python file.")
            origin = Origin(str(file), "", file.stem, file)
            for info in self._import(origin, functools.partial(import_module, module_name(file))):
                self._add(info)

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(PluginManager, installed=self._installed)
        return make, (self.excluded, self._files, self._given)

    def find(self, kind: Kind, name: str) -> PluginInfo:
        """Return a plugin, imported; raise a ConfigError if it does not exist, or a PluginError if it is broken."""
        info = self.get(kind, name)
        if info is None:
            names = self.names(kind)
            raise ConfigError(
                f"There is no {kind.words} plugin {name!r}. Installed: {', '.join(names) or 'none'}.",
                hint=did_you_mean(name, names) or _LIST_THEM,
            )
        return info

    def get(self, kind: Kind, name: str) -> PluginInfo | None:
        """Return a plugin as `find` does, or None if it does not exist."""
        self._load(lambda origin: origin.entry_point == name)
        return self._table.get((kind, name))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Import all plugins and return them sorted by kind and name."""
        self._load(lambda origin: True)
        return tuple(sorted(self._table.values(), key=lambda info: (info.kind.value, info.name)))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Import all plugins and return the sorted names of one kind."""
        return tuple(info.name for info in self.plugins() if info.kind is kind)

    def make(self, interface: type[P], options: Mapping[str, Any], context: PluginContext) -> P:
        """Create the plugin ``options["use"]`` with valid options; an error of its constructor names the plugin."""
        info = self.find(kind_of(interface), options["use"])
        rest = {key: value for key, value in options.items() if key != "use"}
        try:
            return cast("P", info.cls(rest, context))
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"T{str(info)[1:]} could not be created: {describe_exception(error, info.cls)}.",
                hint=f"Check its options; if they are right, tell the author of {info.origin.distribution}.",
                plugin=info.name,
                distribution=info.origin.distribution,
            ) from error

    def _load(self, wanted: Callable[[Origin], bool]) -> None:
        """Import the installed plugins whose origin is wanted."""
        chosen = [pair for pair in self._waiting if wanted(pair[0])]
        self._waiting = [pair for pair in self._waiting if not wanted(pair[0])]
        for origin, entry_point in chosen:
            if entry_point.value not in self._offered:
                self._offered[entry_point.value] = tuple(self._import(origin, entry_point.load))
            offered = self._offered[entry_point.value]
            named = [replace(info, origin=origin) for info in offered if info.name == origin.entry_point]
            if not named:
                names = " and ".join(dict.fromkeys(repr(info.name) for info in offered))
                raise broken(
                    origin, f"it offers {names}, but its entry point is named {origin.entry_point!r}"
                )
            for info in named:
                if (info.kind, info.name) not in self._replaced:
                    self._add(info)

    def _import(self, origin: Origin, load: Callable[[], object]) -> Iterator[PluginInfo]:
        """Load a plugin object, register it with pluggy, and yield the plugins that its hooks return."""
        try:
            plugin = load()
        except (Exception, SystemExit) as error:
            cause = describe_exception(error, str(origin.file))
            raise broken(origin, f"it cannot be imported: {cause}") from error
        try:
            self._pluggy.register(plugin, f"{origin.distribution}:{origin.entry_point}")
        except (ValueError, pluggy.PluginValidationError) as error:
            raise broken(origin, f"it cannot be registered: {str(error).splitlines()[0]}") from error
        hooks = {kind.hook: kind for kind in Kind}
        callers = self._pluggy.get_hookcallers(plugin) or []
        if not callers:
            unmarked = [name for name in hooks if callable(getattr(plugin, name, None))]
            raise broken(
                origin, f"its {unmarked[0]} lacks @argosy.hookimpl" if unmarked else "it implements no hook"
            )
        for caller in callers:
            if caller.name not in hooks:
                known = did_you_mean(caller.name, hooks) or f"the hooks are {', '.join(hooks)}"
                raise broken(origin, f"the hook {caller.name} does not exist ({known})")
            hook = next(hook for hook in caller.get_hookimpls() if hook.plugin is plugin)
            try:
                cls: object = hook.function()
            except (Exception, SystemExit) as error:
                cause = f"{type(error).__name__}: {error}"
                raise broken(origin, f"its hook {caller.name} raised {cause}") from error
            yield describe(hooks[caller.name], cls, origin)

    def _add(self, info: PluginInfo) -> None:
        other = self._table.setdefault((info.kind, info.name), info)
        if other is not info:
            raise PluginError(
                f"Two {info.kind.words} plugins are named {info.name!r}: from {other.origin} and from {info.origin}.",
                hint=f"Uninstall one, or run without it: {other.origin.without} or {info.origin.without}",
                plugin=info.name,
                distribution=info.origin.distribution,
            )
        logger.debug("loaded %s", info)

    def _not_excluded(self, found: list[tuple[Origin, EntryPoint]]) -> list[tuple[Origin, EntryPoint]]:
        known = {name for origin, _ in found for name in _names(origin)}
        excluded = {_canonical(name) for name in self.excluded}
        for name in self.excluded:
            if _canonical(name) not in known:
                raise ConfigError(
                    f"--no-plugin {name}: there is no such plugin or distribution.",
                    hint=did_you_mean(name, known) or _LIST_THEM,
                )
        return [pair for pair in found if excluded.isdisjoint(_names(pair[0]))]


def kind_of(cls: type[Plugin]) -> Kind:
    """Return the kind of a plugin class."""
    kind = next((kind for kind in Kind if issubclass(cls, kind.interface)), None)
    if kind is None:
        raise ConfigError(
            f"{cls.__qualname__} is not a plugin: it extends no interface in argosy.interfaces."
        )
    return kind


def describe(kind: Kind, cls: object, origin: Origin) -> PluginInfo:
    """Check a plugin class, or what its hook returned; `argosy.config` checks its options schema, as that takes long."""
    interface = kind.interface
    fault: str | None = None
    if not isinstance(cls, type) or not issubclass(cls, interface):
        returned = cls.__qualname__ if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
        fault = f"it returned {returned}, not a subclass of argosy.{interface.__name__}"
    elif inspect.isabstract(cls):
        fault = f"{cls.__qualname__} lacks {', '.join(sorted(cls.__abstractmethods__))}"
    elif not isinstance(name := getattr(cls, "name", None), str) or not _NAME.fullmatch(name):
        fault = f"invalid plugin name {name!r}: use lower-case letters, digits and hyphens, starting with a letter"
    elif not isinstance(line := getattr(cls, "summary", None), str) or len(line.strip().splitlines()) != 1:
        fault = "its summary must be one line of text"
    else:
        schema: object = cls.options_schema
        if not isinstance(schema, Mapping) or schema.get("type") != "object":
            fault = 'its options_schema must be a mapping with "type": "object"'
        elif not isinstance(options := schema.get("properties", {}), Mapping) or "use" in options:
            fault = 'the "properties" of its options_schema must be a mapping without "use"'
        elif "$id" in schema:
            fault = 'its options_schema must not have an "$id"'
        else:
            return PluginInfo(kind, cls.name, cls.summary, origin, cls, schema)
    raise broken(origin, f"hook {kind.hook}: {fault}")


def broken(origin: Origin, fault: str) -> PluginError:
    """Return the error for a broken plugin."""
    return PluginError(
        f"A plugin of {origin} is broken: {fault}.",
        hint=f"Repair or uninstall it, or run without it: {origin.without}",
        plugin=origin.entry_point,
        distribution=origin.distribution,
    )


def _entry_points() -> list[tuple[Origin, EntryPoint]]:
    """Return the entry points of installed plugins, in a fixed order, without importing them."""
    found = []
    versions: dict[Distribution | None, tuple[str, str]] = {None: ("(unknown)", "?")}
    for entry_point in entry_points(group=GROUP):
        dist = entry_point.dist
        if dist is not None and dist not in versions:
            metadata = dist.metadata  # parsed at each access
            versions[dist] = metadata["Name"], metadata["Version"]
        found.append((Origin(*versions[dist], entry_point.name), entry_point))
    return sorted(found, key=lambda pair: (pair[0].distribution, pair[0].entry_point))


def _names(origin: Origin) -> set[str]:
    """Return the names by which --no-plugin can exclude a plugin."""
    names = (origin.distribution, origin.entry_point, f"{origin.distribution}:{origin.entry_point}")
    return set(map(_canonical, names))


def _canonical(name: str) -> str:
    """Normalize a name as the packaging specification does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
