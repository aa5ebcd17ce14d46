"""Finds plugins by name, imports them when they are used, and creates them.

An installed plugin is an entry point of the group ``argosy`` whose name is the plugin's name, so a run imports only the
plugins that its configuration names. pluggy's own ``load_setuptools_entrypoints`` imports all of them, silently skips the
second entry point of a name, and lets a broken plugin end the program without naming its distribution.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
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

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_LIST_THEM = "`argosy plugins` lists the installed plugins."


class PluginManager:
    """The plugins that a run can use; a pickled manager imports the same plugins again."""

    def __init__(
        self,
        exclude: Iterable[str] = (),  # plugins, distributions, or distribution:plugin
        files: Iterable[Path] = (),
        given: Iterable[type[Plugin]] = (),  # they replace installed plugins of the same name
    ) -> None:
        self.excluded = tuple(exclude)
        paths = (Path(os.path.abspath(file)) for file in files)  # noqa: PTH100 - absolute() keeps ".."
        self._files = tuple(dict.fromkeys(paths))
        self._given = tuple(given)
        self._pluggy = pluggy.PluginManager("argosy")
        self._pluggy.add_hookspecs(hookspecs)
        self._table: dict[tuple[Kind, str], PluginInfo] = {}
        self._offered: dict[str, tuple[PluginInfo, ...]] = {}  # by module: it may have several entry points
        self._waiting = self._not_excluded(_entry_points())
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
        return PluginManager, (self.excluded, self._files, self._given)

    def find(self, kind: Kind, name: str) -> PluginInfo:
        """Return a plugin, imported; raise a ConfigError if it does not exist, or a PluginError if it is broken."""
        info = self.get(kind, name)
        if info is None:
            names = self.names(kind)
            message = f"There is no {kind.words} plugin {name!r}. Installed: {', '.join(names) or 'none'}."
            raise ConfigError(message, hint=did_you_mean(name, names) or _LIST_THEM)
        return info

    def get(self, kind: Kind, name: str) -> PluginInfo | None:
        """Return a plugin as `find` does, or None if it does not exist."""
        self._load(name)
        return self._table.get((kind, name))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Import all plugins and return them sorted by kind and name."""
        for name in sorted({origin.entry_point for origin, _ in self._waiting}):
            self._load(name)
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
            message = f"T{str(info)[1:]} could not be created: {describe_exception(error, info.cls)}."
            hint = f"Check its options; if they are right, tell the author of {info.origin.distribution}."
            raise PluginError(message, hint=hint) from error

    def _load(self, name: str) -> None:
        """Import the installed plugins of a name."""
        chosen = [pair for pair in self._waiting if pair[0].entry_point == name]
        self._waiting = [pair for pair in self._waiting if pair[0].entry_point != name]
        for origin, entry_point in chosen:
            if entry_point.value not in self._offered:
                self._offered[entry_point.value] = tuple(self._import(origin, entry_point.load))
            offered = self._offered[entry_point.value]
            if all(info.name != name for info in offered):
                names = " and ".join(dict.fromkeys(repr(info.name) for info in offered))
                raise broken(origin, f"it offers {names}, but its entry point is named {name!r}")
            for info in offered:
                if info.name == name and (info.kind, name) not in self._replaced:
                    self._add(info._replace(origin=origin))

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
        kinds = {kind.hook: kind for kind in Kind}
        callers = self._pluggy.get_hookcallers(plugin)
        if not callers:
            raise broken(origin, "it implements no hook with @argosy.hookimpl")
        for caller in callers:
            if caller.name not in kinds:
                raise broken(origin, f"the hook {caller.name} does not exist; choose from {', '.join(kinds)}")
            hook = next(hook for hook in caller.get_hookimpls() if hook.plugin is plugin)
            try:
                cls: object = hook.function()
            except (Exception, SystemExit) as error:
                cause = f"{type(error).__name__}: {error}"
                raise broken(origin, f"its hook {caller.name} raised {cause}") from error
            yield describe(kinds[caller.name], cls, origin)

    def _add(self, info: PluginInfo) -> None:
        other = self._table.setdefault((info.kind, info.name), info)
        if other is not info:
            both = f"Two {info.kind.words} plugins are named {info.name!r}: from {other.origin} and from {info.origin}."
            hint = f"Uninstall one, or run without it: {other.origin.without} or {info.origin.without}"
            raise PluginError(both, hint=hint)
        logger.debug("loaded %s", info)

    def _not_excluded(self, found: list[tuple[Origin, EntryPoint]]) -> list[tuple[Origin, EntryPoint]]:
        known = {name for origin, _ in found for name in _names(origin)}
        excluded = {_canonical(name) for name in self.excluded}
        for name in self.excluded:
            if _canonical(name) not in known:
                hint = did_you_mean(name, known) or _LIST_THEM
                raise ConfigError(f"--no-plugin {name}: no such plugin or distribution.", hint=hint)
        return [pair for pair in found if excluded.isdisjoint(_names(pair[0]))]


def kind_of(cls: type[Plugin]) -> Kind:
    """Return the kind of a plugin class."""
    for kind in Kind:
        if issubclass(cls, kind.interface):
            return kind
    raise ConfigError(f"{cls.__qualname__} is not a plugin: it extends no interface in argosy.interfaces.")


def describe(kind: Kind, cls: object, origin: Origin) -> PluginInfo:
    """Check a plugin class, or what its hook returned; `argosy.config` checks its options schema, as that takes long."""
    fault = f"it returned {getattr(cls, '__qualname__', repr(cls))}, not a subclass of argosy.{kind.interface.__name__}"
    if isinstance(cls, type) and issubclass(cls, kind.interface):
        name: object = getattr(cls, "name", None)
        summary: object = getattr(cls, "summary", None)
        schema: object = cls.options_schema
        if inspect.isabstract(cls):
            fault = f"{cls.__qualname__} lacks {', '.join(sorted(cls.__abstractmethods__))}"
        elif not isinstance(name, str) or not _NAME.fullmatch(name):
            fault = f"invalid plugin name {name!r}: use lower-case letters, digits and hyphens, starting with a letter"
        elif not isinstance(summary, str) or len(summary.strip().splitlines()) != 1:
            fault = "its summary must be one line of text"
        elif not isinstance(schema, Mapping) or schema.get("type") != "object" or "$id" in schema:
            fault = 'its options_schema must be a mapping with "type": "object", without "$id"'
        elif not isinstance(options := schema.get("properties", {}), Mapping) or "use" in options:
            fault = 'the "properties" of its options_schema must be a mapping without "use"'
        else:
            return PluginInfo(kind, name, summary, origin, cls, schema)
    raise broken(origin, f"hook {kind.hook}: {fault}")


def broken(origin: Origin, fault: str) -> PluginError:
    """Return the error for a broken plugin."""
    hint = f"Repair or uninstall it, or run without it: {origin.without}"
    return PluginError(f"A plugin of {origin} is broken: {fault}.", hint=hint)


def _entry_points() -> list[tuple[Origin, EntryPoint]]:
    """Return the entry points of installed plugins, in a fixed order, without importing them."""
    found: list[tuple[Origin, EntryPoint]] = []
    versions: dict[Any, tuple[str, str]] = {}
    for entry_point in entry_points(group="argosy"):
        dist: Any = entry_point.dist
        if dist not in versions:
            metadata: Any = {}
            with contextlib.suppress(
                FileNotFoundError
            ):  # or None: the package importlib_metadata changes what Python does
                metadata = dist.metadata or {}  # parsed at each access
            versions[dist] = metadata.get("Name"), metadata.get("Version")
            if None in versions[dist]:
                plugin = f"{entry_point.name} = {entry_point.value}"
                fault = f"The package with the plugin {plugin} has no readable metadata."
                raise PluginError(fault, hint=f"Check permissions below {dist.locate_file('')}, or install it again.")
        found.append((Origin(*versions[dist], entry_point.name), entry_point))
    return sorted(found, key=lambda pair: (pair[0].distribution, pair[0].entry_point))


def _names(origin: Origin) -> set[str]:
    """Return the names by which --no-plugin can exclude a plugin."""
    names = (origin.distribution, origin.entry_point, f"{origin.distribution}:{origin.entry_point}")
    return set(map(_canonical, names))


def _canonical(name: str) -> str:
    """Normalize a name as the packaging specification does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
