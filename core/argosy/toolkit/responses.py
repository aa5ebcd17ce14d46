"""Reading responses of `requests` within bounds."""

from __future__ import annotations

import requests

from argosy.errors import TransferError

_CHUNK = 64 * 1024


class InvalidAnswer(requests.RequestException):
    """The service sent something that makes no sense; the text says what."""


#: What to do about a redirect from https to http.
DOWNGRADE_HINT = (
    'Report it to the service. To follow such redirects without credentials: "allow_downgrade": true.'
)


class Downgraded(requests.RequestException):
    """A redirect leads from https to http; `request` was not sent, and `response` is the redirect."""


def read_content(response: requests.Response, most: int, *, whole: bool = False) -> bytes:
    """Return the decoded content of a response, such as a page, that is kept in memory.

    Parameters
    ----------
    response
        Made with ``stream=True``, its body unread.
    most
        How many bytes to read at most.
    whole
        Whether a larger body is an error; otherwise it is cut off.

    Raises
    ------
    TransferError
        If it is too large or breaks the bounds of a body.
    requests.RequestException
        If the connection breaks.
    """
    content = bytearray()
    for piece in response.iter_content(_CHUNK):
        content += piece
        if len(content) > most:
            if whole:
                raise TransferError(f"The answer is larger than {most} bytes.", kind="too-large")
            break
    return bytes(content[:most])
