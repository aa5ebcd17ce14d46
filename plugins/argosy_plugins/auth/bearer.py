"""The auth ``bearer``: a token from a secret or a command's output, in a header field (RFC 6750)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from requests.auth import AuthBase

from argosy import hookimpl
from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.session import HeaderToken
from argosy_plugins.auth import _expiry
from argosy_plugins.auth._command import Command, CommandFailed
from argosy_plugins.auth._origins import ORIGINS_SCHEMA, HeaderSigner, origins_of
from argosy_plugins.refusals import RefusalRules, refusal_schema

#: The most seconds that a command may take.
COMMAND_TIMEOUT = 60
# the characters allowed in a header field (RFC 9110 section 5.5), without spaces: tokens never contain them
_TOKEN = re.compile(r"[!-~]+\Z")


class BearerAuth(Auth):
    """Sends a token with each request to the configured origins.

    A token from a secret is never stored. A token that a command prints is kept in the cookie store, so the command runs
    once for all threads, processes and terminals, and again before the token expires.
    """

    name = "bearer"
    stateless_signer = True
    summary = "A token from a secret or a command's output, in a header field"
    remedy = "Put a new token where the configuration refers to it."
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "origins": ORIGINS_SCHEMA,
            "token": {"$ref": "argosy:common#/$defs/secret", "description": "A reference to the token."},
            "command": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "description": "A program and its arguments that prints the token: the token alone, or a JSON object"
                " with it (access_token, accessToken or token) and its expiry (expires_in, expires_at, expiry, ...)."
                " No shell is used.",
            },
            "lifetime": {
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "The lifetime of the command's token in seconds, if neither its output"
                " nor the token itself (a JWT) says it.",
            },
            "header": {
                "type": "string",
                "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                "default": "Authorization",
                "description": "The header field, such as X-Api-Key.",
            },
            "scheme": {
                "type": "string",
                "pattern": "^[!-~]*$",
                "description": "The word before the token; by default Bearer in the field"
                " Authorization, and none in others.",
            },
            "refusal": refusal_schema((401,)),
        },
        "required": ["origins"],
        "oneOf": [{"required": ["token"]}, {"required": ["command"]}],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._origins = origins_of(options, context, self.name)
        self._header: str = options["header"]
        self._scheme: str = options.get("scheme", "Bearer" if self._header == "Authorization" else "")
        # 403 only means that this token may not access this resource (RFC 6750 section 3.1)
        self._rules = RefusalRules.from_options(options, statuses=(401,))
        self._command = Command(options["command"], COMMAND_TIMEOUT) if "command" in options else None
        self._fixed: tuple[HeaderToken, float] | None = None
        if "token" in options:
            self._fixed = self._given(context.secret(options["token"]).reveal())

    @property
    def can_login(self) -> bool:
        """Whether a command can provide a new token."""
        return "command" in self.options

    def signer(self) -> AuthBase | None:
        """Return the signer for a token from a secret; a command's token is part of the session."""
        if self._fixed is None:
            return None
        token, _ = self._fixed
        return HeaderSigner(token.name, token.value, token.origins)

    def fixed_token(self) -> tuple[HeaderToken, float] | None:
        """Return the token from a secret, and when it expires if it says so (a JWT)."""
        return self._fixed

    def login(self, session: LoginSession) -> None:
        """Run the command, if any, and add its token to the session; raise LoginFailed if it prints none."""
        if self._fixed is not None:
            return
        printed = self._run()
        token, seconds = _read(printed)
        if not _TOKEN.match(token):
            raise LoginFailed(
                f"The command {self.options['command'][0]!r} of the auth bearer printed no token.",
                hint="It should print the token alone, or a JSON object with a key such as access_token.",
            )
        self.context.on_secret(token)
        now = time.time()
        if seconds is None and (expires := _expiry.jwt_expiry(token)) is not None:
            seconds = expires - now
        if seconds is None:
            seconds = self.options.get("lifetime")
        if seconds is not None and seconds <= 0:
            raise LoginFailed(
                f"The command {self.options['command'][0]!r} of the auth bearer printed a token that has expired.",
                hint="Log in with the tool that the command belongs to.",
            )
        session.add_header(self._header, self._value(token), self._origins)
        if seconds is not None:
            session.expires_in(seconds)

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the token."""
        return self._rules.is_refusal(response)

    def _value(self, token: str) -> str:
        return f"{self._scheme} {token}" if self._scheme else token

    def _given(self, token: str) -> tuple[HeaderToken, float]:
        token = token.strip()
        if not _TOKEN.match(token):
            raise ConfigError(
                "The token of the auth bearer is empty, or has characters that no header field can carry.",
                hint="Put only the token where the configuration refers to it.",
            )
        expires = _expiry.jwt_expiry(token)
        if expires is not None and expires <= time.time():
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
            raise ConfigError(f"The token of the auth bearer has expired on {when}.", hint=self.remedy)
        return HeaderToken(self._header, self._value(token), self._origins), expires or 0.0

    def close(self) -> None:
        """End the command if it is running."""
        if self._command is not None:
            self._command.stop()

    def _run(self) -> str:
        assert self._command is not None  # noqa: S101 - there is a token or a command
        try:
            return self._command.output()
        except CommandFailed as error:
            raise LoginFailed(
                f"The command {self.options['command'][0]!r} of the auth bearer, which is to print the token, {error}.",
                hint="Run it in a terminal to see what is wrong.",
            ) from None


def _read(printed: str) -> tuple[str, float | None]:
    """Return the token in a command's output, and its lifetime in seconds if known."""
    if not printed.startswith("{"):
        return printed, None
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        return "", None
    token = next((answer[key] for key in _expiry.TOKEN_KEYS if isinstance(answer.get(key), str)), "")
    return token, _expiry.left(answer, time.time())


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``bearer``."""
    return BearerAuth
