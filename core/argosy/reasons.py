"""Why something failed, and what helps, in words for people."""

from __future__ import annotations

import errno
from typing import Any


def reason_of(error: BaseException) -> str:
    """Return the innermost cause, in words: the texts around it name objects and addresses."""
    seen: Any = error
    while True:
        inner = getattr(seen, "reason", None) or seen.__cause__ or (seen.__context__ if seen.args else None)
        inner = (
            inner
            if isinstance(inner, BaseException)
            else next((a for a in seen.args if isinstance(a, Exception)), None)
        )
        if inner is None:
            break
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    text = str(seen).rpartition(": ")[2] or type(seen).__name__
    return text[:200].rstrip(".")


def hint_of(error: OSError, otherwise: str) -> str:
    """Return what helps against an error of the disk: it may not be the disk's, after all."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return 'Allow more open files (ulimit -n), or lower "max_workers".'
    return otherwise
