"""The values of login form fields: text, secrets and one-time codes."""

from __future__ import annotations

import base64
import hmac
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.base import PluginContext
from argosy.toolkit.secrets import Secret

_SECRET = {"$ref": "argosy:common#/$defs/secret"}
#: The names of fields with secrets; regular expressions in JSON Schema (ECMA-262) have no flag to ignore case.
SENSITIVE = (
    "[Pp][Aa][Ss][Ss]|[Pp][Ww][Dd]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]"
    "|(^|[^A-Za-z])([Pp][Ii][Nn]|[Oo][Tt][Pp])($|[^A-Za-z])"
)
#: What a login keeps with the session, so that no other program sends the same code.
SPENT = "one-time code"

#: The JSON Schema of a field with a one-time code.
CODE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "totp": {
            **_SECRET,
            "description": "The key of an authenticator app for time-based codes (RFC 6238): the"
            " letters and digits that the service shows, or the otpauth:// URI of its"
            " QR code.",
        },
        "one_time": {
            **_SECRET,
            "description": "A code for one login. A prompt asks for it when the service does, but only"
            " in argosy login.",
        },
    },
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}


class Field(ABC):
    """The value of a form field."""

    #: Whether it may be in the configuration, and in a form without a field of its name.
    plain = False
    #: Whether it is valid for one login only.
    once = False

    @abstractmethod
    def value(self, spent: str) -> str:
        """Return the value to send; `spent` is the code sent in the previous login, or empty."""


@dataclass(frozen=True, slots=True)
class Given(Field):
    """A text or a secret, the same in each login."""

    secret: Secret
    plain: bool = False

    def value(self, spent: str) -> str:
        """Return it."""
        return self.secret.reveal()


class TimeCode(Field):
    """A time-based code (RFC 6238); the same one is never sent twice, because services reject that.

    `key` is base32 or an ``otpauth://`` URI; `notice` explains why a login waits. Raises ConfigError if the key is invalid.
    """

    once = True

    def __init__(self, key: Secret, name: str, notice: Callable[[str], None]) -> None:
        self._totp = _read_key(key, name)
        self._notice = notice
        self._turn = threading.Lock()  # the sessions of a pool log in at the same time
        self._spent = ""

    def value(self, spent: str) -> str:
        """Return the current code, or wait for the next one if the current one was sent before."""
        with self._turn:
            now = time.time()
            while (code := self._totp.at(now)) in (spent, self._spent):
                left = self._totp.period - now % self._totp.period
                if left > 1:
                    self._notice(f"The one-time code was used already; the next one comes in {left:.0f} s.")
                time.sleep(left)
                now = time.time()
            self._spent = code
            return code


class AskedCode(Field):
    """A one-time code from a person or a file, resolved only when the service asks for it."""

    once = True

    def __init__(self, reference: Mapping[str, Any], name: str, context: PluginContext) -> None:
        self._reference, self._name, self._context = reference, name, context

    def value(self, spent: str) -> str:
        """Return the code; raise LoginFailed if nobody can be asked or it was used before."""
        if "prompt" in self._reference:
            if self._context.ask_now is None:
                raise LoginFailed(
                    f"The service asks for a one-time code ({self._name}), and nobody can be asked for it here.",
                    hint="Log in at a terminal first: argosy login CONFIG",
                )
            code = self._context.ask_now(self._reference["prompt"]).strip()
            self._context.on_secret(code)
            return code
        code = self._context.secret(self._reference).reveal().strip()
        if code == spent:
            raise LoginFailed(
                f"The one-time code for the field {self._name} was used before, and nothing was sent.",
                hint="Put a new one there, then: argosy login CONFIG",
            )
        return code


@dataclass(frozen=True, slots=True)
class Totp:
    """A key for time-based codes (RFC 6238), as in authenticator apps.

    `algorithm` is the hash of the HMAC: ``sha1``, ``sha256`` or ``sha512``. A code has `digits` digits and is valid for
    `period` seconds.
    """

    key: bytes = field(repr=False)
    algorithm: str = "sha1"
    digits: int = 6
    period: int = 30

    def at(self, now: float) -> str:
        """Return the code at a time in seconds since the epoch (RFC 4226 section 5.3)."""
        digest = hmac.digest(self.key, struct.pack(">Q", int(now // self.period)), self.algorithm)
        (number,) = struct.unpack_from(">I", digest, digest[-1] & 0xF)
        return f"{(number & 0x7FFFFFFF) % 10**self.digits:0{self.digits}}"

    @classmethod
    def read(cls, text: str) -> Totp:
        """Return the key in a text (base32, or an ``otpauth://`` URI); raise ValueError if there is none."""
        if not text.lower().startswith("otpauth:"):
            return cls(_base32(text))
        parts = urlsplit(text)
        if parts.netloc.lower() != "totp":
            raise ValueError("not by the time")
        found = dict(parse_qsl(parts.query))
        algorithm = found.get("algorithm", "SHA1").lower()
        digits, period = int(found.get("digits", 6)), int(found.get("period", 30))
        if algorithm not in ("sha1", "sha256", "sha512") or not 6 <= digits <= 10 or not 1 <= period <= 300:
            raise ValueError("unknown parameters")
        return cls(_base32(found["secret"]), algorithm, digits, period)


def _base32(text: str) -> bytes:
    letters = "".join(text.split()).replace("-", "").rstrip("=").upper()
    if not letters:
        raise ValueError("empty")
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def _read_key(key: Secret, name: str) -> Totp:
    try:
        return Totp.read(key.reveal().strip())
    except (ValueError, KeyError):  # from None: the original message may contain the key
        raise ConfigError(
            f"The key for the codes of the field {name!r} is none: it should have the letters A to Z and the digits"
            " 2 to 7, or be an otpauth://totp/ URI.",
            hint='Take what the service shows for an authenticator app ("cannot scan the picture?").',
        ) from None
