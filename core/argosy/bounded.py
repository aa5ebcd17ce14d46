"""Calling what may never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

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
