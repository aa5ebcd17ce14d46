"""The device code grant: a person enters a code in a browser while we poll (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.auth import AuthBase

from argosy.errors import LoginFailed
from argosy.toolkit.urls import check_url, redact_url
from argosy_plugins.auth._expiry import lifetime
from argosy_plugins.auth._token_endpoint import post, refusal_of, text_of, token_of

#: Seconds between polls if the server does not say (RFC 8628 section 3.2), and the increase
#: if it asks to slow down (section 3.5).
INTERVAL = SLOWER = 5.0
#: Seconds for which a code is valid if the server does not say.
LIFETIME = 600.0
#: Upper limits for the server's values.
MAX_INTERVAL, MAX_LIFETIME = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What to enter, and where; times in seconds."""

    device_code: str = field(repr=False)
    user_code: str
    url: str
    expires_in: float
    interval: float
    complete_url: str | None = None  # includes the code (RFC 8628 section 3.3.1)

    @property
    def invitation(self) -> str:
        """The instructions; they always show the code, to compare it with the browser's."""
        enter = f"open {self.url} in a browser and enter the code {self.user_code} (waiting for that)."
        if self.complete_url is None:
            return f"To log in, {enter}"
        return f"To log in, open {self.complete_url} in a browser and confirm the code {self.user_code}; or {enter}"


def begin(http: requests.Session, url: str, form: Mapping[str, str], auth: AuthBase | None) -> DeviceCode:
    """Return a new code (RFC 8628 section 3.2); raise LoginFailed or TransferError if the server gives none."""
    response = post(http, url, form, auth)
    if response.status_code != 200:
        raise refusal_of(response)
    try:
        found = response.json()
        code = DeviceCode(
            text_of(found, "device_code", response),
            _text(found["user_code"]),
            # the name before the RFC; some servers still use it
            _text(found.get("verification_uri") or found["verification_url"]),
            min(lifetime(found.get("expires_in")) or LIFETIME, MAX_LIFETIME),
            min(lifetime(found.get("interval")) or INTERVAL, MAX_INTERVAL),
            _shown(found.get("verification_uri_complete")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LoginFailed("The authorization server gave no device code that can be read.") from None
    if not code.user_code.isprintable() or check_url(code.url) is not None:
        raise LoginFailed("The authorization server gave a device code that cannot be shown.")
    return code


def _shown(url: object) -> str | None:
    """Return a URL that a person can open, or None if it is invalid or cannot be displayed faithfully."""
    return url if isinstance(url, str) and check_url(url) is None and redact_url(url) == url else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def wait(code: DeviceCode, ask: Callable[[], requests.Response], parse: Callable[[str], Any]) -> Mapping[str, Any]:
    """Poll until the code was entered, and return the token (RFC 8628 section 3.5); raise LoginFailed if refused or expired."""
    interval, until = code.interval, time.monotonic() + code.expires_in
    while time.monotonic() < until:
        time.sleep(interval)
        try:
            response = ask()
        except (requests.ConnectionError, requests.Timeout):
            interval *= 2  # RFC 8628 section 3.5: back off if the connection fails
            continue
        try:
            error = response.json().get("error") if response.status_code == 400 else None
        except (ValueError, AttributeError):
            error = None
        if error == "slow_down":
            interval += SLOWER
        elif error == "access_denied":
            raise LoginFailed("The login was refused in the browser.", hint="Try again: argosy login CONFIG")
        elif error == "expired_token":
            break
        elif error != "authorization_pending":
            return token_of(response, parse)
    raise LoginFailed(
        "Nobody entered the code in time.", hint="Try again, and enter the code at once: argosy login CONFIG"
    )
