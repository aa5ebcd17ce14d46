"""What ``status`` and ``verify`` look at: a configuration, or the target directory itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argosy.config import Settings
    from argosy.registry import Registry


def target(
    given: str, excluded: Sequence[str], plugin_files: Sequence[Path]
) -> tuple[Path, Settings | None, Registry | None]:
    """Return the target directory, and the settings where a configuration was given.

    Raises
    ------
    ConfigError
        If it is neither a configuration nor a directory of argosy's.
    """
    path = Path(given)
    if path.is_dir():
        directory, settings, registry = path, None, None
    else:
        from argosy.config import load
        from argosy.registry import Registry

        registry = Registry.load(excluded, plugin_files)
        settings = load(given, registry)
        directory = settings.directory
    return directory, settings, registry
