"""Loads what is registered under the entry-point group ``argosy``.

pluggy's own ``load_setuptools_entrypoints`` skips a second entry point of one name in silence, and lets a
broken plugin end the program without saying whose it is. This loader names both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from argosy.errors import ConfigError, PluginError
from argosy.mistakes import mistake
from argosy.plugin_files import module_name
from argosy.registry.kinds import Origin

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
            f"The plugin file {origin.file} cannot be imported: {mistake(error, str(origin.file))}.",
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
