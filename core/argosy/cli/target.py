"""What ``status`` and ``verify`` look at: a configuration, or the target directory itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager
    from argosy.storage.location import Remote


@dataclass(frozen=True, slots=True)
class Target:
    """A target directory.

    Parameters
    ----------
    directory
        Its folder; of a remote one, the local folder of its ledger.
    remote
        The target directory where it is not on this machine.
    settings, registry
        Where a configuration was given, its settings and the plugins.
    """

    directory: Path
    remote: Remote | None = None
    settings: Settings | None = None
    registry: PluginManager | None = None

    @property
    def where(self) -> str:
        """The directory, as it is shown."""
        return str(self.directory.absolute()) if self.remote is None else self.remote.url


def target(given: str, excluded: Sequence[str], plugin_files: Sequence[Path]) -> Target:
    """Return the target directory of a command.

    Raises
    ------
    ConfigError
        If it is neither a configuration nor a directory of argosy's.
    """
    from argosy.storage.location import is_url, recalled

    if is_url(given):
        remote = recalled(given)
        return Target(remote.folder, remote)
    path = Path(given)
    if path.is_dir():
        return Target(path)
    from argosy.config.load import load
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(excluded, plugin_files)
    settings = load(given, registry)
    return Target(settings.directory, settings.remote, settings, registry)
