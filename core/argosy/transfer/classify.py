"""Classifying what goes wrong in a transfer: typed errors in plain words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests
import urllib3.exceptions

from argosy.errors import TransferError
from argosy.models.items import Resource
from argosy.toolkit.failures import is_unknown_name, kind_of, reason_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded, InvalidAnswer


@contextlib.contextmanager
def network_errors(resource: Resource) -> Iterator[None]:
    """Turn the exceptions of requests and urllib3 into `TransferError`, without their texts, which may hold secrets."""
    try:
        yield
    except requests.TooManyRedirects:
        raise TransferError("Too many redirects.", kind="redirects") from None
    except InvalidAnswer as error:
        raise TransferError(f"Invalid response: {error}.", kind="answer") from None
    except Downgraded as error:
        text = f"Redirect from https to http at {_host(error, resource)}; nothing was sent there."
        raise TransferError(text, kind="downgrade", hint=DOWNGRADE_HINT) from None
    except requests.exceptions.SSLError as error:
        raise TransferError(f"TLS failed: {reason_of(error)}.", kind="tls") from None
    except ValueError:  # of urllib.parse or requests
        text = "The URL, its redirect or a header of the request is not valid."
        raise TransferError(text, kind="url") from None
    except requests.RequestException as error:
        raise _no_response(error, resource) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise TransferError("The body stalled.", kind="stalled", retryable=True) from None
    except urllib3.exceptions.HTTPError as error:
        kind = "reset" if kind_of(error, sent=True) == "reset" else "cut"
        raise TransferError(f"The body broke off: {reason_of(error)}.", kind=kind, retryable=True) from None


def _no_response(error: requests.RequestException, resource: Resource) -> TransferError:
    sending, host = getattr(error, "argosy_sending", None), _host(error, resource)
    sent = sending is None or sending.bytes_out > 0
    kind, retryable = kind_of(error, sent=sent), True
    if sending is not None and sending.expired:
        kind, text = "deadline", "No response before the deadline."
    elif sent:
        text = f"The response was lost: {reason_of(error)}."
    else:
        where = "The proxy" if isinstance(error, requests.exceptions.ProxyError) else host
        text = f"{where} cannot be reached: {reason_of(error)}."
        # an unknown name is final, unless the host was reached before in this run: the caller decides that
        retryable = not is_unknown_name(error)
    return TransferError(text, kind=kind, retryable=retryable, host=host)


def _host(error: requests.RequestException, resource: Resource) -> str:
    """Return the host of the request that failed: the resource's URL may have redirected to it."""
    return host_key((error.request.url if error.request else None) or resource.url)
