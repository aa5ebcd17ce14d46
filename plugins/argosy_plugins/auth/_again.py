"""Sends a request once more that was refused only for what it was signed with."""

from __future__ import annotations

import contextlib
from typing import Any

import requests
import urllib3.exceptions
from requests.utils import rewind_body

from argosy.errors import TransferError

# longer bodies of challenges are not read to the end, in bytes
_UNWANTED = 64 * 1024


def send_again(
    response: requests.Response, request: requests.PreparedRequest, options: dict[str, Any]
) -> requests.Response:
    """Send the request of a response once more, as a hook of requests; `options` are those of the hook.

    argosy signs its requests when they get their lease, so the request of a response is unsigned, and is signed again. If
    its body cannot be sent again, the response is returned.
    """
    if getattr(request, "_body_position", None) is not None:  # of a file or a generator
        try:
            rewind_body(request)
        except requests.exceptions.UnrewindableBodyError:
            return response
    _drop_body(response)
    again: requests.Response = response.connection.send(request, **options)
    again.history = [*response.history, response]
    again.request = request
    return again


def _drop_body(response: requests.Response) -> None:
    """Read a short body so its connection can be reused; requests would read any length."""
    with contextlib.suppress(OSError, urllib3.exceptions.HTTPError, TransferError):
        response.raw.read(_UNWANTED, decode_content=False)
    response.close()
    response._content = b""
    response._content_consumed = True  # type: ignore[attr-defined]  # not in the stubs
