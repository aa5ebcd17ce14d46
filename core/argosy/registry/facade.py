"""The typed face of the plugin manager: what comes out of a hook is checked before anybody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from argosy import hookspecs
from argosy.contracts import Auth, CookieStore, Observer, Output, PluginContext, Source, Strategy
from argosy.errors import ArgosyError, ConfigError, PluginError
from argosy.mistakes import mistake
from argosy.registry.kinds import Kind, Origin, P, PluginInfo, contract_of
from argosy.registry.loader import called, canonical, import_file, import_plugin, installed, matches
from argosy.registry.manager import collect, refuse_doubles
from argosy.registry.store_guard import GuardedStore
from argosy.suggestions import did_you_mean


class Registry:
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
    def load(cls, exclude: Collection[str] = (), files: Iterable[Path] = ()) -> Registry:
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
    def of(cls, plugins: Iterable[tuple[str, str, str, object]], exclude: Collection[str] = ()) -> Registry:
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
    ) -> Registry:
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
            raise _failed(info, f"could not be made: {mistake(error, info.cls)}") from error
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
