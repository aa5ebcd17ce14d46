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
        raise TransferError(
            f"Redirect from https to http at {_host(error, resource)}; nothing was sent there.",
            kind="downgrade",
            hint=DOWNGRADE_HINT,
        ) from None
    except requests.exceptions.SSLError as error:
        raise TransferError(f"TLS failed: {reason_of(error)}.", kind="tls") from None
    except (
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
    ):
        raise TransferError("The URL, or its redirect, is not an http or https URL.", kind="url") from None
    except requests.RequestException as error:
        raise _unanswered(error, resource) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise TransferError("The body stalled.", kind="stalled", retryable=True) from None
    except urllib3.exceptions.HTTPError as error:
        kind = "reset" if kind_of(error, sent=True) == "reset" else "cut"
        raise TransferError(f"The body broke off: {reason_of(error)}.", kind=kind, retryable=True) from None
    except ValueError:  # urllib.parse, for a malformed Location
        raise TransferError("The URL, or its redirect, is not valid.", kind="url") from None


def _unanswered(error: requests.RequestException, resource: Resource) -> TransferError:
    """Return the error of a request that got no response."""
    host = _host(error, resource)
    sending = getattr(error, "argosy_sending", None)
    sent = sending is None or sending.bytes_out > 0
    kind = kind_of(error, sent=sent)
    if sending is not None and sending.expired:
        return TransferError("No response before the deadline.", kind="deadline", retryable=True, host=host)
    if sent:
        text = f"The response was lost: {reason_of(error)}."
        return TransferError(text, kind=kind, retryable=True, host=host)
    where = "The proxy" if isinstance(error, requests.exceptions.ProxyError) else host
    # an unknown name is final, unless the host worked before in this run: `_Retries` decides that
    retryable = not is_unknown_name(error)
    text = f"{where} cannot be reached: {reason_of(error)}."
    return TransferError(text, kind=kind, retryable=retryable, host=host)


def _host(error: requests.RequestException, resource: Resource) -> str:
    """Return the host of the request that failed: the resource's URL may have redirected to it."""
    return host_key((error.request.url if error.request else None) or resource.url)
