"""Reads responses of `requests` within bounds; errors about them."""

from __future__ import annotations

import requests

from argosy.errors import TransferError

DOWNGRADE_HINT = 'Report it to the service. To follow such redirects without credentials: "allow_downgrade": true.'


class InvalidAnswer(requests.RequestException):
    """The service sent something invalid; the text says what."""


class Downgraded(requests.RequestException):
    """A redirect (`response`) leads from https to http; `request` was not sent."""


def read_content(response: requests.Response, limit: int, *, whole: bool = False) -> bytes:
    """Return at most `limit` bytes of a streamed response's decoded content; if more, a `TransferError` if `whole`."""
    content = bytearray()
    for chunk in response.iter_content(64 * 1024):
        content += chunk
        if len(content) > limit:
            break
    if whole and len(content) > limit:
        raise TransferError(f"The answer is larger than {limit} bytes.", kind="too-large")
    return bytes(content[:limit])
