"""The auth ``bearer``: a token from a secret, or from a command's output, in a header field (RFC 6750)."""

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
from argosy.toolkit.login_pages import RefusalRules, refusal_schema
from argosy_plugins.auth import _expiry
from argosy_plugins.auth._command import Command, CommandFailed
from argosy_plugins.auth._origins import ORIGINS_SCHEMA, HeaderSigner, origins_of

#: Seconds that a command may take.
COMMAND_TIMEOUT = 60
# what a header field can carry (RFC 9110 section 5.5), and no space: that is never a part of a token
_TOKEN = re.compile(r"[!-~]+\Z")


class BearerAuth(Auth):
    """Sends a token with each request, to the origins that the configuration names.

    The token of a secret stands in no store. The token that a command prints is kept in the cookie store, so that
    the command runs once for all threads, processes and terminals, and again before the token expires.
    """

    name = "bearer"
    stateless_signer = True
    summary = "A token from a secret or a command's output, in a header field"
    remedy = "Get a new token, and put it where the configuration says that it is kept."
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "origins": ORIGINS_SCHEMA,
            "token": {"$ref": "argosy:common#/$defs/secret", "description": "Where the token is kept."},
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
                "description": "Seconds for which a token of the command is good, where neither its output nor the"
                " token itself (a JWT) says so.",
            },
            "header": {
                "type": "string",
                "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                "default": "Authorization",
                "description": "The header field: X-Api-Key, for example.",
            },
            "scheme": {
                "type": "string",
                "pattern": "^[!-~]*$",
                "description": "The word before the token: Bearer in the field Authorization, else none.",
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
        # 403 says that this token may not have this one thing (RFC 6750 section 3.1)
        self._rules = RefusalRules.from_options(options, statuses=(401,))
        self._command = Command(options["command"], COMMAND_TIMEOUT) if "command" in options else None
        self._signer: AuthBase | None = None
        if "token" in options:
            self._signer = self._sign(context.secret(options["token"]).reveal())

    @property
    def can_login(self) -> bool:
        """Whether there is a command that gives a new token."""
        return "command" in self.options

    def signer(self) -> AuthBase | None:
        """Return what adds the token of a secret; that of a command is a part of the session."""
        return self._signer

    def login(self, session: LoginSession) -> None:
        """Run the command, if there is one, and put its token into the session.

        Raises
        ------
        LoginFailed
            If it fails, or prints no token.
        """
        if self._signer is not None:
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
        """Return whether the response says that the token is not accepted."""
        return self._rules.is_refusal(response)

    def _value(self, token: str) -> str:
        return f"{self._scheme} {token}" if self._scheme else token

    def _sign(self, token: str) -> AuthBase:
        token = token.strip()
        if not _TOKEN.match(token):
            raise ConfigError(
                "The token of the auth bearer is empty, or has characters that no header field can carry.",
                hint="Write the token, and nothing else, where the configuration says that it is kept.",
            )
        expires = _expiry.jwt_expiry(token)
        if expires is not None and expires <= time.time():
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(expires))
            raise ConfigError(f"The token of the auth bearer has expired on {when}.", hint=self.remedy)
        return HeaderSigner(self._header, self._value(token), self._origins)

    def close(self) -> None:
        """End the command, if it runs."""
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
    """Return the token of a command's output, and the seconds for which it is good, where they stand there."""
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
