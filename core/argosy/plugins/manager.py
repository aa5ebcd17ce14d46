"""Finds plugins by name, imports them when they are used, and creates them.

An installed plugin is an entry point of the group ``argosy`` whose name is the plugin's name, so a run imports only the
plugins that its configuration names. pluggy's own ``load_setuptools_entrypoints`` imports all of them, silently skips the
second entry point of a name, and lets a broken plugin end the program without naming its distribution.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from argosy import hookspecs
from argosy.errors import ArgosyError, ConfigError, PluginError
from argosy.interfaces.base import Plugin, PluginContext
from argosy.plugins.files import file_of, module_name
from argosy.plugins.kinds import Kind, Origin, PluginInfo
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.text import did_you_mean

logger = logging.getLogger(__name__)

P = TypeVar("P", bound=Plugin)

GROUP = "argosy"
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_LIST_THEM = "`argosy plugins` lists what is installed."


class PluginManager:
    """The plugins that a run can use.

    A manager can be pickled; a worker process imports the same plugins again.

    Parameters
    ----------
    exclude
        Names of plugins or distributions to ignore (``--no-plugin``), or ``distribution:plugin`` for one of two.
    files
        Python files with plugins (``--plugin``); relative paths are relative to the current directory.
    given
        Plugins that need not be installed; they take the place of installed ones of the same name.
    installed
        Whether to use installed plugins.

    Raises
    ------
    ConfigError
        If an excluded name matches nothing, or a file does not exist.
    PluginError
        If a file cannot be imported, or its plugins are broken.
    """

    def __init__(
        self,
        exclude: Iterable[str] = (),
        files: Iterable[Path] = (),
        given: Iterable[PluginInfo] = (),
        *,
        installed: bool = True,
    ) -> None:
        self.excluded = tuple(exclude)
        self._files = tuple(Path(os.path.abspath(file)) for file in files)  # noqa: PTH100 - absolute() keeps ".."
        self._given = tuple(given)
        self._installed = installed
        self._pluggy = pluggy.PluginManager("argosy")
        self._pluggy.add_hookspecs(hookspecs)
        self._table: dict[tuple[Kind, str], PluginInfo] = {}
        found = _entry_points() if installed else []
        self._check_exclusions([origin for origin, _ in found])
        self._waiting = [pair for pair in found if not self._is_excluded(pair[0])]
        for info in self._given:
            self._add(info)
        for file in dict.fromkeys(self._files):
            self._load_file(file)

    @classmethod
    def of(
        cls,
        plugins: Iterable[tuple[str, str, str, object]],
        exclude: Iterable[str] = (),
        *,
        installed: bool = False,
    ) -> PluginManager:
        """Return a manager of plugin objects that need not be installed.

        Parameters
        ----------
        plugins
            The entry point, distribution, version, and module or object of each.
        exclude, installed
            As for the class.
        """
        given = [(Origin(dist, version, name), plugin) for name, dist, version, plugin in plugins]
        manager = cls(installed=installed)
        manager.excluded = tuple(exclude)
        manager._check_exclusions([origin for origin, _ in given])
        for origin, plugin in given:
            if not manager._is_excluded(origin):
                for info in manager._register(plugin, origin):
                    manager._add(info)
        manager._given = tuple(manager._table.values())
        return manager

    def __reduce__(self) -> tuple[Callable[..., PluginManager], tuple[Any, ...]]:
        return _again, (self.excluded, self._files, self._given, self._installed)

    def find(self, kind: Kind, name: str) -> PluginInfo:
        """Return a plugin; import it if this is its first use.

        Raises
        ------
        ConfigError
            If there is no such plugin.
        PluginError
            If it is broken, or two distributions have one of that name.
        """
        info = self.get(kind, name)
        if info is None:
            names = self.names(kind)
            raise ConfigError(
                f"There is no {kind.words} plugin {name!r}. Installed: {', '.join(names) or 'none'}.",
                hint=did_you_mean(name, names) or _LIST_THEM,
            )
        return info

    def get(self, kind: Kind, name: str) -> PluginInfo | None:
        """Return a plugin as `find` does, or None if there is none of that name."""
        self._load(lambda origin: origin.entry_point == name)
        return self._table.get((kind, name))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Import all plugins, and return them sorted by kind and name."""
        self._load(lambda origin: True)
        return tuple(sorted(self._table.values(), key=lambda info: (info.kind.value, info.name)))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Import all plugins, and return the sorted names of one kind."""
        return tuple(info.name for info in self.plugins() if info.kind is kind)

    def make(self, interface: type[P], options: Mapping[str, Any], context: PluginContext) -> P:
        """Create a plugin.

        Parameters
        ----------
        interface
            The interface of its kind, such as `argosy.Output`.
        options
            ``{"use": NAME, ...}``, valid, with defaults filled in.
        context
            The run to create it for.

        Raises
        ------
        ConfigError
            If there is no such plugin.
        PluginError
            If its constructor raises anything but an `ArgosyError`, or returns something else.
        """
        kind = next(kind for kind in Kind if kind.interface is interface)
        info = self.find(kind, options["use"])
        rest = {key: value for key, value in options.items() if key != "use"}
        try:
            made: object = info.cls(rest, context)
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            raise _not_made(info, f"could not be created: {describe_exception(error, info.cls)}") from error
        if not isinstance(made, interface):
            raise _not_made(info, f"created an object of type {type(made).__name__}")
        return made

    # -- importing

    def _load(self, wanted: Callable[[Origin], bool]) -> None:
        chosen = [pair for pair in self._waiting if wanted(pair[0])]
        self._waiting = [pair for pair in self._waiting if not wanted(pair[0])]
        for origin, entry_point in chosen:
            try:
                plugin: object = entry_point.load()
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"The plugin {entry_point.value!r} of {origin} cannot be imported: {type(error).__name__}: {error}.",
                    hint=f"Repair or uninstall {origin.distribution}, or run without it: {origin.without}",
                    plugin=origin.entry_point,
                    distribution=origin.distribution,
                ) from error
            for info in self._register(plugin, origin):
                if info.name != origin.entry_point:
                    raise broken(
                        origin,
                        f"its name is {info.name!r}, but its entry point is named {origin.entry_point!r}",
                    )
                if not any((info.kind, info.name) == (other.kind, other.name) for other in self._given):
                    self._add(info)

    def _load_file(self, file: Path) -> None:
        origin = Origin(str(file), "", file.stem, file)
        if not file.is_file() or file.suffix != ".py":
            raise ConfigError(
                f"There is no plugin file {file}.", hint="--plugin takes a Python file: --plugin rename.py"
            )
        try:
            module = import_module(module_name(file))
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"The plugin file {file} cannot be imported: {describe_exception(error, str(file))}.",
                hint=f"Repair it, or {origin.without}",
                plugin=origin.entry_point,
                distribution=origin.distribution,
            ) from error
        for info in self._register(module, origin):
            self._add(info)

    def _register(self, plugin: object, origin: Origin) -> Iterator[PluginInfo]:
        """Register a plugin object with pluggy, and yield what its hooks return."""
        try:
            self._pluggy.register(plugin, f"{origin.distribution}:{origin.entry_point}")
        except (ValueError, pluggy.PluginValidationError) as error:
            raise broken(origin, f"it cannot be registered: {str(error).splitlines()[0]}") from error
        hooks = {kind.hook: kind for kind in Kind}
        callers = self._pluggy.get_hookcallers(plugin) or []
        if not callers:
            unmarked = [name for name in hooks if callable(getattr(plugin, name, None))]
            what = f"its {unmarked[0]} lacks @argosy.hookimpl" if unmarked else "it implements no hook"
            raise broken(origin, f"it offers nothing: {what}")
        for caller in callers:
            if caller.name not in hooks:
                known = did_you_mean(caller.name, hooks) or f"the hooks are {', '.join(hooks)}"
                raise broken(origin, f"the hook {caller.name} does not exist ({known})")
            hook = next(h for h in caller.get_hookimpls() if h.plugin is plugin)
            try:
                cls: object = hook.function()
            except (Exception, SystemExit) as error:
                raise broken(
                    origin, f"its hook {caller.name} raised {type(error).__name__}: {error}"
                ) from error
            yield describe(hooks[caller.name], cls, origin)

    def _add(self, info: PluginInfo) -> None:
        other = self._table.setdefault((info.kind, info.name), info)
        if other is not info:
            raise PluginError(
                f"Two {info.kind.words} plugins are named {info.name!r}: one from {other.origin}, the other from "
                f"{info.origin}.",
                hint=f"Uninstall one, or run without it: {other.origin.without} or {info.origin.without}",
                plugin=info.name,
                distribution=info.origin.distribution,
            )
        logger.debug("loaded %s", info)

    # -- leaving plugins out

    def _is_excluded(self, origin: Origin) -> bool:
        return bool(_called(origin) & {_canonical(name) for name in self.excluded})

    def _check_exclusions(self, origins: Collection[Origin]) -> None:
        known = {name for origin in origins for name in _called(origin)}
        for name in self.excluded:
            if _canonical(name) not in known:
                raise ConfigError(
                    f"--no-plugin {name}: there is no such plugin or distribution.",
                    hint=did_you_mean(name, known) or _LIST_THEM,
                )


def describe(kind: Kind, cls: object, origin: Origin) -> PluginInfo:
    """Check what a hook returned.

    The options schema is checked when a configuration is: its metaschema takes longer than everything else.

    Raises
    ------
    PluginError
        If it is not a concrete class of that kind with a name, a summary and an options schema.
    """
    interface = kind.interface
    fault: str | None = None
    if not isinstance(cls, type) or not issubclass(cls, interface):
        shown = (
            f"{_module(cls)}.{cls.__qualname__}"
            if isinstance(cls, type)
            else f"an object of type {type(cls).__name__}"
        )
        fault = f"it returned {shown}, not a subclass of argosy.{interface.__name__}"
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
        elif not isinstance(properties := schema.get("properties", {}), Mapping) or "use" in properties:
            fault = 'the "properties" of its options_schema must be a mapping without "use"'
        elif "$id" in schema:
            fault = 'its options_schema must not have an "$id"'
        else:
            return PluginInfo(kind, cls.name, cls.summary, origin, cls, schema)
    raise broken(origin, f"hook {kind.hook}: {fault}")


def broken(origin: Origin, fault: str) -> PluginError:
    """Return the error for a broken plugin: whose it is, and how to run without it."""
    return PluginError(
        f"A plugin of {origin} is broken: {fault}.",
        hint=f"{'Tell its author' if origin.file is None else 'Repair it'}, or run without it: {origin.without}",
        plugin=origin.entry_point,
        distribution=origin.distribution,
    )


def _not_made(info: PluginInfo, what: str) -> PluginError:
    sentence = str(info)
    return PluginError(
        f"{sentence[0].upper()}{sentence[1:]} {what}.",
        hint=f"Check its options; if they are right, tell the author of {info.origin.distribution}.",
        plugin=info.name,
        distribution=info.origin.distribution,
    )


def _entry_points() -> list[tuple[Origin, EntryPoint]]:
    """Return the entry points of installed plugins, in a fixed order, without importing them."""
    found = []
    for entry_point in entry_points(group=GROUP):
        dist = entry_point.dist
        name, version = (str(dist.name), str(dist.version)) if dist is not None else ("(unknown)", "?")
        found.append((Origin(name, version, entry_point.name), entry_point))
    return sorted(found, key=lambda pair: (pair[0].distribution, pair[0].entry_point))


def _called(origin: Origin) -> set[str]:
    both = f"{origin.distribution}:{origin.entry_point}"
    return {_canonical(name) for name in (origin.distribution, origin.entry_point, both)}


def _canonical(name: str) -> str:
    """Normalize a name as the packaging specification does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _module(cls: type) -> str:
    return str(file_of(cls.__module__) or cls.__module__)


def _again(
    excluded: tuple[str, ...], files: tuple[Path, ...], given: tuple[PluginInfo, ...], installed: bool
) -> PluginManager:
    return PluginManager(excluded, files, given, installed=installed)
