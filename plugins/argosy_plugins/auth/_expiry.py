"""Finds out when a token expires, from the issuer's response or from the token."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

#: The names that command-line tools use for the token and its expiry.
TOKEN_KEYS = ("access_token", "accessToken", "token", "id_token")
MOMENT_KEYS = (
    "expires_at",
    "expires_on",
    "expiration",
    "expiry",
    "token_expiry",
    "expiresOn",
    "expirationTimestamp",
)
LIFETIME_KEYS = ("expires_in", "expiresIn")


def jwt_expiry(token: str) -> float | None:
    """Return the ``exp`` of a JSON Web Token (RFC 7519 section 4.1.4) in seconds since the epoch, or None.

    Its signature is not checked: the time only decides when to get a new token.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    return moment(claims.get("exp")) if isinstance(claims, dict) else None


def moment(value: object) -> float | None:
    """Return a time in seconds since the epoch, from a number, digits, or ISO 8601 (without a zone: local time)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and 0 < value < 1e11 else None
    if not isinstance(value, str):
        return None
    if value.isdecimal():
        return moment(int(value[:12]))
    try:
        return datetime.fromisoformat(value).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def lifetime(value: object) -> float | None:
    """Return a positive number of seconds, or None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 < value < 1e10 else None


def left(answer: Mapping[str, Any], now: float) -> float | None:
    """Return the lifetime in seconds of the token in a JSON object, or None."""
    for key in LIFETIME_KEYS:
        if (seconds := lifetime(answer.get(key))) is not None:
            return seconds
    for key in MOMENT_KEYS:
        if (when := moment(answer.get(key))) is not None:
            return when - now
    return None
