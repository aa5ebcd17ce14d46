"""Why something failed, and what helps: in words for people, and in one word for programs."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import socket
import ssl
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from argosy.errors import PluginError, StorageError

#: The kinds of failure in which nothing reached the host: it is not the URL's fault.
UNREACHED = frozenset({"dns", "refused", "timeout", "connect"})


def _innermost(error: BaseException) -> Any:
    seen: Any = error
    while True:
        inner = getattr(seen, "reason", None) or seen.__cause__ or (seen.__context__ if seen.args else None)
        inner = (
            inner
            if isinstance(inner, BaseException)
            else next((a for a in seen.args if isinstance(a, Exception)), None)
        )
        if inner is None:
            return seen
        seen = inner


def never_sent(error: BaseException) -> bool:
    """Return whether it is certain that not a byte of a request went out: there was no connection, or no safe one."""
    return isinstance(
        _innermost(error), socket.gaierror | ConnectionRefusedError | ssl.SSLCertVerificationError
    )


def is_unknown_name(error: BaseException) -> bool:
    """Return whether the resolver says that there is no such host; not that it cannot tell now (EAI_AGAIN)."""
    seen = _innermost(error)
    return isinstance(seen, socket.gaierror) and seen.errno != socket.EAI_AGAIN


def reason_of(error: BaseException) -> str:
    """Return the innermost cause, in words: the texts around it name objects and addresses."""
    if is_unknown_name(error):
        return "its name does not resolve"
    seen = _innermost(error)
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    text = str(seen).rpartition(": ")[2] or type(seen).__name__
    return text[:200].rstrip(".")


def hint_of(error: OSError, otherwise: str) -> str:
    """Return what helps against an error of the disk: it may not be the disk's, after all."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return 'Allow more open files (ulimit -n), or lower "max_workers".'
    return otherwise


def kind_of(error: BaseException, *, sent: bool) -> str:
    """Return the typed cause of a request that came to nothing.

    Parameters
    ----------
    error
        What was raised.
    sent
        Whether a byte of the request may have gone out.

    Returns
    -------
    str
        ``dns``, ``refused``, ``tls``; where nothing went out, ``timeout`` or ``connect``; else ``reset`` or
        ``lost``.
    """
    seen = _innermost(error)
    if isinstance(seen, socket.gaierror):
        return "dns"
    if isinstance(seen, ConnectionRefusedError):
        return "refused"
    if isinstance(seen, ssl.SSLError):
        return "tls"
    if not sent:
        return "timeout" if isinstance(seen, TimeoutError) else "connect"
    return "reset" if isinstance(seen, (ConnectionResetError, BrokenPipeError)) else "lost"


def describe_exception(error: BaseException, plugin: object) -> str:
    """Describe what a plugin raised, and where: ``KeyError: 'year' (catalogue.py, line 31)``.

    Parameters
    ----------
    error
        The exception. Its text may contain secrets; it is not redacted here.
    plugin
        The plugin's class, an instance of it, or the path of its file.
    """
    place = _place(error, plugin)
    return f"{type(error).__name__}: {error}{f' ({place})' if place else ''}"


def blame(error: BaseException, plugins: Iterable[object]) -> PluginError | None:
    """Return an error that names the plugin whose code raised an exception.

    Parameters
    ----------
    error
        The exception. Its text may contain secrets; it is not redacted here.
    plugins
        The plugins of the run.

    Returns
    -------
    PluginError or None
        None if the traceback passes through no file of theirs.
    """
    for plugin in plugins:
        if _place(error, plugin) is not None:
            name = str(getattr(plugin, "name", type(plugin).__name__))
            return PluginError(
                f"The plugin {name!r} failed: {describe_exception(error, plugin)}.",
                hint="Report it to the plugin's author.",
                plugin=name,
            )
    return None


def _place(error: BaseException, plugin: object) -> str | None:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return None  # its text names the line
    if isinstance(plugin, str):
        file, shown = plugin, Path(plugin).name
    else:
        cls = plugin if isinstance(plugin, type) else type(plugin)
        try:
            file = inspect.getfile(cls)
        except (TypeError, OSError):
            return None
        # a plugin file has no distribution that a message could name, so show its whole path
        shown = file if "/" in cls.__module__ else Path(file).name
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{shown}, line {lines[-1]}" if lines else None


#: What a full or broken disk raises whoever writes to it; any other OSError may be a plugin's own.
DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


def disk_error(path: Path, error: OSError) -> StorageError:
    """Return the error of a disk that failed."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = f"{'Free some space' if full else 'Check the disk'} and start again; finished work is kept."
    return StorageError(
        f"{path} cannot be written: {error.strerror or os.strerror(error.errno or 0)}.",
        hint=hint_of(error, hint),
    )


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the local disk into a `StorageError`, which ends the run; the network's errors pass."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (requests.RequestException, ConnectionError, TimeoutError)):
            raise
        raise disk_error(path, error) from None
