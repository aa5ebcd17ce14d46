"""Redirects from https to http: refused unless the configuration allows them, and never sent credentials."""

from __future__ import annotations

import requests

#: What to do about a redirect from https to http.
DOWNGRADE_HINT = (
    'Report it to the service. To follow such redirects, without credentials: "allow_downgrade": true.'
)


class Downgraded(requests.RequestException):
    """A redirect leads from https to http; `request` was not sent, and `response` is the redirect."""


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None
