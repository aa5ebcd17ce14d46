"""The run as a function, for programs and notebooks."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from argosy.config import load
from argosy.config.stores import store_options
from argosy.contracts import CookieStore, PluginContext
from argosy.events import Event
from argosy.registry import Kind, Registry
from argosy.run.remaking import Remaking
from argosy.run.report import Report
from argosy.run.runner import Run
from argosy.session.moving import move_sessions

#: Seconds that transfers have to end in when a run is to end at once.
LAST_SECONDS = 3.0

#: Seconds after which a signal is noticed at the latest.
LOOK_UP = 0.2


def download(
    config: str | Path | Mapping[str, Any],
    on_event: Callable[[Event], None] | None = None,
    *,
    plugins: Iterable[str | Path] = (),
) -> Report:
    """Do what ``argosy download CONFIG`` does; print nothing, and never end the program.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape.
    on_event
        Called with every `argosy.events.Event` of the run, from its threads, one at a time.
    plugins
        Plugins that are one Python file each, as ``--plugin``.

    Returns
    -------
    Report
        What was done; items that failed are counted and named in it.

    Raises
    ------
    ArgosyError
        If the run could not begin, or ended early; the error's ``report`` says how far it came.

    Examples
    --------
    >>> import argosy
    >>> report = argosy.download({"source": {"use": "urls", "urls": []}, "directory": "library"})
    >>> report.counts.failed
    0
    """
    registry = Registry.load(files=map(Path, plugins))
    return _reported(Run(load(config, registry), registry, on_event=on_event))


def remake(
    config: str | Path | Mapping[str, Any],
    on_event: Callable[[Event], None] | None = None,
    *,
    plugins: Iterable[str | Path] = (),
) -> Report:
    """Do what ``argosy output CONFIG`` does: make the outputs of what is downloaded already, without a request.

    Parameters
    ----------
    config
        The path of a configuration, or a dictionary of the same shape; of a dictionary, ``directory`` and
        ``output`` are enough.
    on_event
        Called with every `argosy.events.Event` of the run, from its threads, one at a time.
    plugins
        Plugins that are one Python file each, as ``--plugin``.

    Returns
    -------
    Report
        What was made; items whose files are not all there are counted and named in it.

    Raises
    ------
    ArgosyError
        If the run could not begin, or ended early; the error's ``report`` says how far it came.
    """
    registry = Registry.load(files=map(Path, plugins))
    return _reported(Remaking(load(config, registry), registry, on_event=on_event))


def _reported(run: Run) -> Report:
    report = execute(run)
    if report.error is not None:
        report.error.__dict__["report"] = report
        raise report.error
    return report


def execute(run: Run) -> Report:
    """Execute a run in a thread of its own and wait for it; Ctrl-C once drains it, twice ends it.

    Signals are handled in the main thread, so none of them ever comes between a response's headers and
    the commit of the token they brought.

    Raises
    ------
    ArgosyError
        If the run could not begin.
    KeyboardInterrupt
        If it was interrupted twice and did not come to its end in a few seconds.
    """
    result: list[Report] = []
    raised: list[BaseException] = []
    over = threading.Event()

    def target() -> None:
        try:
            result.append(run.execute())
        except BaseException as error:  # handed to the caller below
            raised.append(error)
        finally:
            over.set()

    threading.Thread(target=target, name="argosy-run", daemon=True).start()
    _wait(over, run)
    if raised:
        raise raised[0]
    return result[0]


def _wait(over: threading.Event, run: Run) -> None:
    """Wait for the end of a run, and pass on what the person interrupts.

    `Thread.join` will not do: in CPython 3.11 a thread whose join was interrupted counts as ended. And a signal that
    the system delivers to another thread wakes nobody here, on Windows none does: so this looks up now and then.
    """
    stop, last, told = run.stop, math.inf, 0
    while not over.is_set():
        try:
            if (level := stop.draining + stop.aborted) > told:
                told = level
                # not here: an observer that hangs must not keep a run from ending
                threading.Thread(target=run.tell_stopping, name="argosy-stopping", daemon=True).start()
            over.wait(LOOK_UP)
            if stop.aborted:
                last = min(last, time.monotonic() + LAST_SECONDS)
            if time.monotonic() > last and not over.is_set():
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            if stop.aborted:
                raise
            if stop.draining:
                stop.abort()
            else:
                stop.drain()


def open_store(use: str, **options: Any) -> CookieStore:
    """Return a cookie store by its name, for programs that mount a `LeasedAdapter`.

    Parameters
    ----------
    use
        The plugin's name, as in a configuration: ``"json-file"``.
    options
        Its options: ``path="cookies.json"``; relative paths are relative to the current directory.

    Raises
    ------
    ConfigError
        If there is no such store, or the options are not valid.
    """
    registry = Registry.load()
    settings = load({"cookie_store": {"use": use, **options}}, registry)
    registry.find(Kind.COOKIE_STORE, use)
    return registry.cookie_store(settings.cookie_store, PluginContext())


def copy_sessions(
    source: str | Path | Mapping[str, Any],
    target: str | Path | Mapping[str, Any],
    sessions: Collection[str] = (),
    *,
    keep: bool = False,
    force: bool = False,
    plugins: Iterable[str | Path] = (),
) -> tuple[str, ...]:
    """Do what ``argosy session copy`` does: move sessions from one cookie store to another.

    Parameters
    ----------
    source, target
        The stores: the path of a configuration (its cookie store is meant), ``"sqlite:cookies.sqlite"``, or
        ``{"use": "sqlite", "path": "cookies.sqlite"}``.
    sessions
        The names of the sessions; empty for all.
    keep
        Leave them in the source as well: right only where the service never replaces a token.
    force
        Replace sessions of the same names in the target.
    plugins
        Plugins that are one Python file each, as ``--plugin``.

    Returns
    -------
    tuple of str
        The names of what was moved, sorted.

    Raises
    ------
    BusyError
        If somebody uses one of them; nothing was moved.
    ConfigError
        If there is no such store or session, or the target has one of that name already; nothing was moved.
    SessionInDoubt
        If nobody knows which token of one is good; nothing was moved.
    StoreError
        If a store fails. What was not moved by then is still in the source, and the same call goes on from there.
    """
    registry = Registry.load(files=map(Path, plugins))
    with ExitStack() as opened:

        def open_named(given: str | Path | Mapping[str, Any]) -> CookieStore:
            options, base = store_options(given, registry)
            store = registry.cookie_store(options, PluginContext(base, base))
            opened.callback(store.close)
            return store

        return move_sessions(open_named(source), open_named(target), sessions, keep=keep, force=force)
