"""What went wrong, as a typed cause in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import urllib3.exceptions

from argosy.cookies.matching import Target
from argosy.errors import StorageError, TransferError
from argosy.model import Resource


@contextlib.contextmanager
def causes(resource: Resource) -> Iterator[None]:
    """Turn what requests and urllib3 raise into a typed cause, without what their texts might show."""
    try:
        yield
    except requests.TooManyRedirects:
        raise TransferError("The server redirects in a circle.", kind="redirects") from None
    except (
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
    ):
        raise TransferError(
            "The URL, or one it redirects to, is not a plain http or https URL.", kind="url"
        ) from None
    except requests.exceptions.SSLError as error:
        raise TransferError(f"TLS failed: {reason(error)}.", kind="tls") from None
    except requests.RequestException as error:
        sending = getattr(error, "argosy_sending", None)
        host = Target.of(resource.url).host
        if sending is not None and sending.expired:
            raise TransferError("No answer came in time.", kind="deadline", retryable=True) from None
        if sending is not None and not sending.bytes_out:
            raise TransferError(
                f"{host} cannot be reached: {reason(error)}.", kind="connect", retryable=True
            ) from None
        raise TransferError(f"The answer was lost: {reason(error)}.", kind="lost", retryable=True) from None
    except urllib3.exceptions.HTTPError as error:
        raise TransferError(f"The body broke off: {reason(error)}.", kind="cut", retryable=True) from None
    except zlib.error:
        raise TransferError("The compressed body is damaged.", kind="cut", retryable=True) from None


def reason(error: BaseException) -> str:
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


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the local disk raises into an error that ends the run; the network's errors pass."""
    try:
        yield
    except OSError as error:
        if isinstance(error, (requests.RequestException, ConnectionError, TimeoutError)):
            raise
        raise disk_error(path, error) from None


def disk_error(path: Path, error: OSError) -> StorageError:
    """Return the error of a disk that failed."""
    hint = "Check the disk, then start again: everything done so far is kept."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Make room, then start again: everything done so far is kept."
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        hint = 'Allow more open files (ulimit -n), or lower "max_workers".'
    return StorageError(
        f"{path} cannot be written: {error.strerror or os.strerror(error.errno or 0)}.", hint=hint
    )
