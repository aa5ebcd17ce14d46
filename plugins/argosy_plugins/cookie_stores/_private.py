"""Files with sessions in them are their owner's alone."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from argosy.errors import StoreError


def not_a_file(path: Path) -> StoreError:
    """Return the error for a pipe, a folder or a device in the place of a store."""
    return StoreError(
        f"The cookie store {path} is not a file, so it is not used.",
        hint="Give the cookie store another path.",
    )


def made_private(path: Path, mode: int, change: Callable[[int], None]) -> str | None:
    """Take a file back that others may use.

    Parameters
    ----------
    path
        The file.
    mode
        Its mode as it was found.
    change
        Gives it another one.

    Returns
    -------
    str or None
        What the person should know; None where it was private.

    Raises
    ------
    StoreError
        If its mode cannot be changed.
    """
    bits = stat.S_IMODE(mode)
    if not bits & 0o077:
        return None
    try:
        change(0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"Others may read the session in {path}, and that cannot be changed: {error.strerror}. "
            "The store is not used.",
            hint=f"Let its owner do it (chmod 600 {path}), or give the cookie store another path.",
        ) from None
    return f"Others could use the session in {path} (mode {bits:03o}); it is yours alone again (mode 600)."
