"""Where the ledger lies."""

from __future__ import annotations

from pathlib import Path

from argosy.errors import ConfigError

#: The folder of everything that is argosy's own in a target directory.
PRIVATE = ".argosy"

#: The ledger's file in it.
FILE = "ledger.sqlite"


def has_ledger(directory: Path) -> bool:
    """Return whether something was downloaded into a directory."""
    return (directory / PRIVATE / FILE).exists()


def need_ledger(directory: Path, where: str | None = None) -> None:
    """Raise where a directory has no ledger.

    Parameters
    ----------
    directory
        The directory; the local folder of a remote one.
    where
        What it is called, where that is not its path.

    Raises
    ------
    ConfigError
        If so.
    """
    if not has_ledger(directory):
        raise ConfigError(
            f"Nothing was downloaded into {where or directory} yet: there is no ledger.",
            hint="Give the directory of a download, or its configuration.",
        )
