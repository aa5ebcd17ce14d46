"""Puts plugin objects into a pluggy manager and asks each hook, one plugin at a time.

Loads what is registered under the entry-point group ``argosy``.

pluggy's own ``load_setuptools_entrypoints`` skips a second entry point of one name in silence, and lets a
broken plugin end the program without saying whose it is. This loader names both.

A cookie store with a watch on it: what it raises or returns against its contract is named, whoever calls it.

Every other kind is called in one place or two, which see to that themselves; a store is called in the middle of the
lease, where nothing but a `StoreError` is expected.

The typed face of the plugin manager: what comes out of a hook is checked before anybody relies on it.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from argosy import hookspecs
from argosy.errors import ArgosyError, ConfigError, PluginError, StoreError
from argosy.interfaces.auth import Auth
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.interfaces.observer import Observer
from argosy.interfaces.output import Output
from argosy.interfaces.source import Source
from argosy.interfaces.strategy import Strategy
from argosy.models.session import SessionRecord
from argosy.plugins.blame import describe_exception
from argosy.plugins.checks import broken, describe
from argosy.plugins.files import file_of, module_name
from argosy.plugins.kinds import Kind, Origin, P, PluginInfo, contract_of
from argosy.toolkit.text import did_you_mean


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


GROUP = "argosy"


def installed() -> list[tuple[Origin, EntryPoint]]:
    """Return what is registered, in a fixed order, without importing any of it."""
    known: dict[int, tuple[str, str]] = {}
    found = [(_origin(entry_point, known), entry_point) for entry_point in entry_points(group=GROUP)]
    return sorted(found, key=lambda pair: pair[0].pluggy_name)


def import_plugin(origin: Origin, entry_point: EntryPoint) -> object:
    """Return the object an entry point names.

    Raises
    ------
    PluginError
        If it cannot be imported.
    """
    try:
        loaded: object = entry_point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The plugin {entry_point.value!r} of {origin} cannot be imported: {type(error).__name__}: {error}.",
            hint=f"Repair or uninstall {origin.distribution}, or go on without it: "
            f"--no-plugin {origin.entry_point}",
            plugin=origin.entry_point,
            distribution=origin.distribution,
        ) from error
    return loaded


def import_file(file: Path) -> tuple[Origin, object]:
    """Return where a plugin file is, and its module.

    Parameters
    ----------
    file
        Its path; a relative one is relative to the current directory.

    Raises
    ------
    ConfigError
        If there is no such file.
    PluginError
        If it cannot be imported.
    """
    # not resolved: a person knows the file by the name that was given
    origin = Origin.of_file(Path(os.path.abspath(file)))  # noqa: PTH100 - absolute() keeps the dots
    if origin.file is None or not origin.file.is_file() or origin.file.suffix != ".py":
        raise ConfigError(
            f"There is no plugin file {file}.", hint="--plugin names a Python file: --plugin rename.py"
        )
    try:
        return origin, import_module(module_name(origin.file))
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"The plugin file {origin.file} cannot be imported: {describe_exception(error, str(origin.file))}.",
            hint=f"Repair it, or go on without it: {origin.without}",
            plugin=origin.entry_point,
            distribution=origin.distribution,
        ) from error


def matches(origin: Origin, names: Collection[str]) -> bool:
    """Return whether one of the names means this origin: its distribution, its entry point, or both."""
    return bool(called(origin) & {canonical(name) for name in names})


def called(origin: Origin) -> set[str]:
    """Return the names, in canonical form, by which an origin may be left out."""
    return {canonical(n) for n in (origin.distribution, origin.entry_point, origin.pluggy_name)}


def canonical(name: str) -> str:
    """Return a name as distributions compare theirs: by case, hyphen, dot or underscore it does not differ."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _origin(entry_point: EntryPoint, known: dict[int, tuple[str, str]]) -> Origin:
    dist = entry_point.dist
    if dist is None:
        return Origin("(unknown distribution)", "?", entry_point.name)
    # each look at a distribution's name reads and parses its METADATA; it lives as long as its entry points
    if id(dist) not in known:
        known[id(dist)] = str(dist.name), str(dist.version)
    return Origin(*known[id(dist)], entry_point.name)


_Result = TypeVar("_Result")


class GuardedStore(CookieStore):
    """Hands every call on to a store.

    Parameters
    ----------
    store
        The store.
    words
        What it is called in messages.
    """

    def __init__(self, store: CookieStore, words: str) -> None:
        super().__init__(store.options, store.context)
        self._store = store
        self._words = words
        for name in ("name", "summary", "scope", "experimental"):  # to others they are the class's
            setattr(self, name, getattr(store, name))

    def __getattr__(self, name: str) -> Any:
        """Return what a store has beside its contract: its `path`, say."""
        if name == "_store":  # not made yet
            raise AttributeError(name)
        return getattr(self._store, name)

    def check(self) -> None:
        """Let the store look at its options."""
        self._call("check", self._store.check)

    def read(self, session: str) -> SessionRecord | None:
        """Return the newest record."""
        found: object = self._call("read", lambda: self._store.read(session))
        if found is None or isinstance(found, SessionRecord):
            return found
        raise self._returned("read", found, "a SessionRecord, or None")

    def write(self, record: SessionRecord, expected: int) -> None:
        """Replace the record."""
        self._call("write", lambda: self._store.write(record, expected))

    def acquire(self, session: str, *, wait: bool = True) -> Release | None:
        """Take the session."""
        release: Any = self._call("acquire", lambda: self._store.acquire(session, wait=wait))
        if release is None:
            return None
        if not callable(release):
            raise self._returned("acquire", release, "what ends the hold, or None")
        return lambda: self._call("the end of a hold", release)

    def sessions(self) -> list[str]:
        """Return the names of its sessions."""
        found: object = self._call("sessions", self._store.sessions)
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return found
        raise self._returned("sessions", found, "a list of names")

    def remove(self, session: str) -> None:
        """Forget a session."""
        self._call("remove", lambda: self._store.remove(session))

    def sync(self) -> None:
        """Put everything on stable storage."""
        self._call("sync", self._store.sync)

    def close(self) -> None:
        """Close it; what it raises then is told by whoever closes it."""
        self._store.close()

    def _call(self, what: str, call: Callable[[], _Result]) -> _Result:
        try:
            return call()
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failed(f"in {what} it raised {describe_exception(error, self._store)}") from error

    def _returned(self, what: str, found: object, wanted: str) -> StoreError:
        return self._failed(f"{what} returned {type(found).__name__}, where {wanted} is wanted")

    def _failed(self, how: str) -> StoreError:
        return StoreError(
            f"{self._words[0].upper()}{self._words[1:]} broke its contract: {how}. Everything done so far is kept.",
            hint="Tell its author, or go on with another cookie store.",
            plugin=self.name,
        )


class PluginManager:
    """The plugins that can be used.

    Parameters
    ----------
    infos
        The plugins, checked.
    excluded
        The names that were left out on request, kept so that a worker process can do the same.

    Raises
    ------
    PluginError
        If two of one kind have one name.
    """

    def __init__(self, infos: Iterable[PluginInfo], excluded: Collection[str] = ()) -> None:
        self._table = refuse_doubles(infos)
        self.excluded: tuple[str, ...] = tuple(excluded)

    @classmethod
    def load(cls, exclude: Collection[str] = (), files: Iterable[Path] = ()) -> PluginManager:
        """Import and check every installed plugin, and those in some files.

        Parameters
        ----------
        exclude
            Names of plugins, entry points or distributions to leave out (``--no-plugin``), or
            ``distribution:entry point`` for just one of two.
        files
            Plugins that are one file each (``--plugin``).

        Raises
        ------
        PluginError
            If one is broken; the message names its distribution, or its file.
        ConfigError
            If an excluded name means nothing that is installed, or there is no such file.
        """
        found = installed()
        wanted = [
            (origin, import_plugin(origin, entry_point))
            for origin, entry_point in found
            if not matches(origin, exclude)
        ]
        named = dict(import_file(file) for file in files)  # one that was named twice is there once
        wanted += named.items()
        return cls._of(wanted, exclude, known=[origin for origin, _ in found])

    @classmethod
    def of(
        cls, plugins: Iterable[tuple[str, str, str, object]], exclude: Collection[str] = ()
    ) -> PluginManager:
        """Make a registry of plugin objects that need not be installed.

        Parameters
        ----------
        plugins
            ``(entry point, distribution, version, module or object)`` of each.
        exclude
            As for `load`.
        """
        given = [(Origin(dist, version, name), plugin) for name, dist, version, plugin in plugins]
        wanted = [pair for pair in given if not matches(pair[0], exclude)]
        return cls._of(wanted, exclude, known=[origin for origin, _ in given])

    @classmethod
    def _of(
        cls, objects: Iterable[tuple[Origin, object]], exclude: Collection[str], known: list[Origin]
    ) -> PluginManager:
        infos = collect(objects)
        names = {canonical(name) for name in exclude}
        words = {word for origin in known for word in called(origin)} | {info.name for info in infos}
        for name in exclude:
            if canonical(name) not in words:
                raise ConfigError(
                    f"There is no plugin, entry point or distribution {name!r} to leave out.",
                    hint=did_you_mean(name, words) or "`argosy plugins` lists what is installed.",
                )
        return cls([info for info in infos if info.name not in names], exclude)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Return all plugins, sorted by kind and name."""
        return tuple(sorted(self._table.values(), key=lambda info: (info.kind.value, info.name)))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of one kind's plugins, sorted."""
        return tuple(sorted(name for of, name in self._table if of is kind))

    def find(self, kind: Kind, name: str) -> PluginInfo:
        """Return one plugin.

        Raises
        ------
        ConfigError
            If there is none of that name.
        """
        info = self._table.get((kind, name))
        if info is None:
            names = self.names(kind)
            raise ConfigError(
                f"There is no {kind.words} plugin {name!r}. Installed: {', '.join(names) or 'none'}.",
                hint=did_you_mean(name, names) or "`argosy plugins` lists what is installed.",
            )
        return info

    def source(self, options: Mapping[str, Any], context: PluginContext) -> Source:
        """Make the source that ``options["use"]`` names; see `_make`."""
        return self._make(hookspecs.argosy_source, options, context)

    def auth(self, options: Mapping[str, Any], context: PluginContext) -> Auth:
        """Make the auth plugin that ``options["use"]`` names; see `_make`."""
        return self._make(hookspecs.argosy_auth, options, context)

    def cookie_store(self, options: Mapping[str, Any], context: PluginContext) -> CookieStore:
        """Make the cookie store that ``options["use"]`` names, with a watch on it; see `_make`."""
        store = self._make(hookspecs.argosy_cookie_store, options, context)
        return GuardedStore(store, str(self.find(Kind.COOKIE_STORE, options["use"])))

    def strategy(self, options: Mapping[str, Any], context: PluginContext) -> Strategy:
        """Make the strategy that ``options["use"]`` names; see `_make`."""
        return self._make(hookspecs.argosy_strategy, options, context)

    def output(self, options: Mapping[str, Any], context: PluginContext) -> Output:
        """Make the output that ``options["use"]`` names; see `_make`."""
        return self._make(hookspecs.argosy_output, options, context)

    def observer(self, options: Mapping[str, Any], context: PluginContext) -> Observer:
        """Make the observer that ``options["use"]`` names; see `_make`."""
        return self._make(hookspecs.argosy_observer, options, context)

    def _make(
        self,
        hook: Callable[[], type[P]],
        options: Mapping[str, Any],
        context: PluginContext,
    ) -> P:
        """Make a plugin.

        Parameters
        ----------
        hook
            The kind's hook: its annotation says what is returned, to the type checker and here.
        options
            ``{"use": NAME, ...}``, valid, with the defaults filled in.
        context
            The run it is made for.

        Raises
        ------
        ConfigError
            If there is no such plugin.
        PluginError
            If it raises anything but an `ArgosyError`, or makes something else.
        """
        info = self.find(Kind(hook.__name__.removeprefix("argosy_")), options["use"])
        rest = {key: value for key, value in options.items() if key != "use"}
        try:
            made: object = info.cls(rest, context)
        except ArgosyError:
            raise
        except (Exception, SystemExit) as error:
            raise _failed(info, f"could not be made: {describe_exception(error, info.cls)}") from error
        if not isinstance(made, contract_of(hook)):
            raise _failed(info, f"made an object of type {type(made).__name__}")
        return made


def _failed(info: PluginInfo, what: str) -> PluginError:
    sentence = str(info)
    return PluginError(
        f"{sentence[0].upper()}{sentence[1:]} {what}.",
        hint=f"Check its options; if they are right, tell the author of {info.distribution}.",
        plugin=info.name,
        distribution=info.distribution,
    )
