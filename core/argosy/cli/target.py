"""The argument of ``status`` and ``verify``: a configuration, or the target directory itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.errors import ConfigError

if TYPE_CHECKING:
    from argosy.config.location import Remote
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager


@dataclass(frozen=True, slots=True)
class Target:
    """A target directory, with the settings if a configuration was given."""

    directory: Path  # for a remote target, the local folder of its ledger
    remote: Remote | None = None
    settings: Settings | None = None

    @property
    def where(self) -> str:
        """The directory for messages."""
        return str(self.directory.absolute()) if self.remote is None else self.remote.url


def target(given: str, plugins: PluginManager) -> Target:
    """Return the target directory for the argument of a command."""
    from argosy.config.load import load
    from argosy.config.location import is_url

    if is_url(given):
        remote = recalled(given)
        return Target(remote.folder, remote)
    if Path(given).is_dir():
        return Target(Path(given))
    if not Path(given).exists() and not given.lower().endswith((".toml", ".json")):
        hint = "Give the target directory of a run, or its configuration."
        raise ConfigError(f"There is no directory {given}.", hint=hint)
    settings = load(given, plugins, {"shard": None})  # of all shards
    return Target(settings.directory, settings.remote, settings)


def recalled(url: str) -> Remote:
    """Return the remote directory of a URL with the options of an earlier run."""
    from argosy.config.location import NOTE, Remote, remote_of, targets
    from argosy.errors import ConfigError

    plain = remote_of({"url": url}, Path())
    assert plain is not None  # noqa: S101 - a URL
    found = []
    for path in sorted(targets().glob(f"*/*/{NOTE}")):
        try:
            remote = Remote(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue  # a run died while writing it, so its ledger is empty
        if remote.url == plain.url:
            found.append(remote)
    if len(found) > 1:
        raise ConfigError(f"{plain.url} was used at {len(found)} services.", hint="Give the configuration.")
    return found[0] if found else plain
