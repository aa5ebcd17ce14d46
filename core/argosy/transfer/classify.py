"""What went wrong, as a typed cause in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import requests
import urllib3.exceptions

from argosy.errors import StorageError, TransferError
from argosy.http.network import DOWNGRADE_HINT, Downgraded
from argosy.models.items import Resource
from argosy.toolkit.failures import hint_of, is_unknown_name, kind_of, reason_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.responses import InvalidAnswer

#: What a disk says when nothing more can be written to it, whoever tries; else a plugin's OSError is its own.
DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})


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
    except InvalidAnswer as error:
        raise TransferError(f"The answer makes no sense: {error}.", kind="answer") from None
    except Downgraded as error:
        raise TransferError(
            f"The server redirects to {host_key((error.request and error.request.url) or resource.url)} without"
            " encryption; nothing was sent there.",
            kind="downgrade",
            hint=DOWNGRADE_HINT,
        ) from None
    except requests.exceptions.SSLError as error:
        raise TransferError(f"TLS failed: {reason_of(error)}.", kind="tls") from None
    except requests.RequestException as error:
        sending = getattr(error, "argosy_sending", None)
        # the request that failed may be one that the resource's URL redirects to
        host = host_key((error.request.url if error.request else None) or resource.url)
        where = "The proxy" if isinstance(error, requests.exceptions.ProxyError) else host
        sent = sending is None or sending.bytes_out > 0
        kind = kind_of(error, sent=sent)
        if sending is not None and sending.expired:
            raise TransferError(
                "No answer came in time.", kind="deadline", retryable=True, host=host
            ) from None
        if not sent:
            retryable = not is_unknown_name(error)  # a host that was there before is waited for all the same
            raise TransferError(
                f"{where} cannot be reached: {reason_of(error)}.", kind=kind, retryable=retryable, host=host
            ) from None
        raise TransferError(
            f"The answer was lost: {reason_of(error)}.", kind=kind, retryable=True, host=host
        ) from None
    except urllib3.exceptions.HTTPError as error:
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise TransferError(
                "The body stood still for too long.", kind="stalled", retryable=True
            ) from None
        kind = "reset" if kind_of(error, sent=True) == "reset" else "cut"
        raise TransferError(f"The body broke off: {reason_of(error)}.", kind=kind, retryable=True) from None
    except ValueError:  # urllib.parse, on a Location that is no URL
        raise TransferError("The URL, or one it redirects to, is not valid.", kind="url") from None


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
    return StorageError(
        f"{path} cannot be written: {error.strerror or os.strerror(error.errno or 0)}.",
        hint=hint_of(error, hint),
    )
