"""What a plugin did wrong, in words for people: what it raised, and the line of its file that did."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path

from argosy.plugin_files import file_of


def mistake(error: BaseException, at: object) -> str:
    """Return what was raised, and where in the plugin: ``KeyError: 'year' (catalogue.py, line 31)``.

    Parameters
    ----------
    error
        What was raised; its text may hold secrets, and is not scrubbed here.
    at
        The plugin: its class, an object of it, or the path of its file.
    """
    place = _place(error, at)
    return f"{type(error).__name__}: {error}{f' ({place})' if place else ''}"


def _place(error: BaseException, at: object) -> str | None:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return None  # its text names the line
    file, shown = _file(at)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file:
            return f"{shown}, line {frame.lineno}"
    return None


def _file(at: object) -> tuple[str | None, str]:
    """Return the file of a plugin, and what a message calls it."""
    if isinstance(at, str):
        return at, Path(at).name
    cls = at if isinstance(at, type) else type(at)
    try:
        file = inspect.getfile(cls)
    except (TypeError, OSError):
        return None, ""
    # the whole path for a file that somebody named: there is no distribution that would say whose it is
    return file, file if file_of(cls.__module__) else Path(file).name
