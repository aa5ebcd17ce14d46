"""Describes failures: in words for people, and in one word for programs."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import ssl
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from argosy.errors import PluginError, StorageError

#: Kinds of failure in which nothing reached the host, so the URL is not to blame.
UNREACHED = frozenset({"dns", "refused", "timeout", "connect"})

#: Errors of a full or broken disk, for every writer; any other OSError may be a plugin's own.
DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


#: What helps against a failure of TLS, by a word of OpenSSL's text for it.
_TLS_CURES = {
    "self.signed|local issuer": 'If you trust it, set "ca_bundle" to a file with the certificate of its authority.',
    "expired|not yet valid": "Check this computer's clock; if it is right, only the service can renew the certificate.",
    "match": "Check the host name: the certificate is for another one.",
    "wrong version|record layer|packet length": "Check the port and the scheme: it seems to speak http, not https.",
}


def _innermost(error: BaseException) -> Any:
    seen: Any = error
    while True:
        context = seen.__context__ if seen.args and not seen.__suppress_context__ else None
        inner = getattr(seen, "reason", None) or seen.__cause__ or context
        if not isinstance(inner, BaseException):
            inner = next((argument for argument in seen.args if isinstance(argument, Exception)), None)
        if inner is None:
            return seen
        seen = inner


def never_sent(error: BaseException) -> bool:
    """Return whether certainly no byte of a request was sent, because there was no connection, or no safe one."""
    unsafe = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError)
    return isinstance(_innermost(error), unsafe)


def is_unknown_name(error: BaseException) -> bool:
    """Return whether the host does not exist, according to the resolver; not if it cannot tell now (EAI_AGAIN)."""
    seen = _innermost(error)
    return isinstance(seen, socket.gaierror) and seen.errno != socket.EAI_AGAIN


def reason_of(error: BaseException) -> str:
    """Return the innermost cause in words, without the objects and addresses that the texts around it name."""
    if is_unknown_name(error):
        return "its name does not resolve"
    seen = _innermost(error)
    if isinstance(seen, ssl.SSLError):  # OpenSSL's own words, as Python and libcurl wrap them
        wrapped = r"^\[[^]]*\] (certificate verify failed: )?|.*verify result: |.*SSL routines::|^SSL: | \([^ )]+\)$|\.| \(_ssl.*"
        return re.sub(wrapped, "", str(seen.strerror or seen))
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    text = str(seen).rpartition(": ")[2] or type(seen).__name__
    return text[:200].rstrip(".")


def cure_of(error: BaseException) -> str | None:
    """Return what a person can do about a connection that could not be made, or None."""
    seen = _innermost(error)
    if isinstance(seen, ssl.SSLError):
        return next((cure for words, cure in _TLS_CURES.items() if re.search(words, str(seen))), None)
    if isinstance(seen, socket.gaierror):
        return "Check how the host is spelled." if is_unknown_name(seen) else "Check the network connection."
    if isinstance(seen, ConnectionRefusedError):
        return "Check the port, and whether the service is running."
    return "Check the network connection and the port." if isinstance(seen, TimeoutError) else None


def kind_of(error: BaseException, *, sent: bool) -> str:
    """Return the kind of a request's failure; `sent` says whether a byte of the request may have been sent."""
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
    """Describe what a plugin (class, instance, or path) raised, and where: ``KeyError: 'year' (catalogue.py, line 31)``."""
    place = _place(error, plugin)
    return f"{type(error).__name__}: {error}{f' ({place})' if place else ''}"


def blame(error: BaseException, plugins: Iterable[object]) -> PluginError | None:
    """Return an error that names the plugin whose code raised an exception, or None; not redacted."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    candidates = tuple(plugins)
    # the innermost: a transport, say, calls back to argosy, which calls the cookie store
    for file in reversed(files):
        for plugin in candidates:
            if file == _files_of(plugin)[0]:
                name = str(getattr(plugin, "name", type(plugin).__name__))
                message = f"The plugin {name!r} failed: {describe_exception(error, plugin)}."
                return PluginError(message, hint="Report it to the plugin's author.", plugin=name)
    return None


def _place(error: BaseException, plugin: object) -> str | None:
    file, shown = _files_of(plugin)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{shown}, line {lines[-1]}" if lines else None


def _files_of(plugin: object) -> tuple[str, str]:
    """Return the file of a plugin's code, and how to show it."""
    if isinstance(plugin, str):
        return plugin, Path(plugin).name
    cls = plugin if isinstance(plugin, type) else type(plugin)
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    # no distribution can be named for a plugin file, so show its whole path
    return file, file if "/" in cls.__module__ else Path(file).name


def hint_of(error: OSError, otherwise: str) -> str:
    """Return what helps against a disk error, which may be a lack of file descriptors."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return 'Allow more open files (ulimit -n), or lower "max_workers".'
    return otherwise


def disk_error(path: Path, error: OSError) -> StorageError:
    """Return the error of a disk that failed."""
    cures = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free some space")
    cures |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.ENOENT), "Check the path and its permissions")
    cure = cures.get(error.errno or 0, "Check the disk")
    message = f"{path} cannot be written: {error.strerror or os.strerror(error.errno or 0)}."
    return StorageError(message, hint=hint_of(error, f"{cure} and start again; finished work is kept."))


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the local disk into a `StorageError`, which ends the run; let network errors pass."""
    try:
        yield
    except OSError as error:
        # errors of requests are OSErrors without a number
        if error.errno is None or isinstance(error, (ConnectionError, TimeoutError)):
            raise
        raise disk_error(path, error) from None
