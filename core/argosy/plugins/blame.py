"""What a plugin did wrong, in words for people: what it raised, and the line of its file that did.

Calling what may never return.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from argosy.plugins.files import file_of


def describe_exception(error: BaseException, at: object) -> str:
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


T = TypeVar("T")


class TooLong(Exception):
    """What was called has not returned in time."""


def never_returned(seconds: float) -> str:
    """Return what is said of a plugin that has not returned in time."""
    return f'it did not return within {seconds:g} s (the configuration\'s "plugin_timeout")'


def bounded(function: Callable[[], T], seconds: float) -> T:
    """Call a function, and wait for it only so long.

    It runs in a thread of its own, as nothing else can be left while it runs. One that does not return goes on in
    it: it ends with the process.

    Parameters
    ----------
    function
        What is called.
    seconds
        How long; 0 for as long as it takes, in the thread of the caller.

    Returns
    -------
    T
        What it returns; what it raises is raised.

    Raises
    ------
    TooLong
        If it has not returned in time.
    """
    if not seconds:
        return function()
    future: Future[T] = Future()
    name = f"{threading.current_thread().name}, a plugin"
    threading.Thread(target=_settle, args=(future, function), name=name, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # it came at the last moment, or the function itself has raised this
            return future.result()
        raise TooLong from None


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # also sys.exit(): it is the caller's to judge
        future.set_exception(error)
