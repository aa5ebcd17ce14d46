"""The common part of Basic and Digest: a user name and a password, given or from a .netrc file."""

from __future__ import annotations

import netrc
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests.auth import AuthBase

from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.session import origin_of
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._origins import ORIGINS_SCHEMA, origins_of
from argosy_plugins.refusals import RefusalRules, refusal_schema

_SECRET = {"$ref": "argosy:common#/$defs/secret"}

#: The JSON Schema of the options.
PASSWORD_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "origins": ORIGINS_SCHEMA,
        "user": {
            "anyOf": [{"type": "string", "minLength": 1}, _SECRET],
            "description": "The user name, or a reference to it.",
        },
        "password": {**_SECRET, "description": "A reference to the password."},
        "netrc": {
            "anyOf": [{"const": True}, {"type": "string", "minLength": 1}],
            "description": "Instead of user and password: true for ~/.netrc, or the path of another"
            " netrc file. The host of the first origin selects the entry.",
        },
        "check": {
            "type": "string",
            "minLength": 1,
            "description": "A URL of the service to request at login, so that a wrong password is"
            " found before the first item.",
        },
        "refusal": refusal_schema(),
    },
    "required": ["origins"],
    "oneOf": [{"required": ["user", "password"]}, {"required": ["netrc"]}],
}


class PasswordAuth(Auth):
    """Sends a user name and a password, or a digest of them, with each request; stores neither."""

    stateless_signer = True
    options_schema = PASSWORD_SCHEMA
    remedy = "Check the user name and the password with a browser."

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.origins = origins_of(options, context, self.name)
        self._check = options.get("check")
        if self._check is not None and (problem := check_url(self._check)) is not None:
            raise ConfigError(f"The option check of the auth {self.name} {problem}.")
        if self._check is not None and origin_of(self._check) not in self.origins:
            raise ConfigError(
                f"The option check of the auth {self.name} is a URL of none of its origins.",
                hint="The password is sent to the origins alone; check asks one of them.",
            )
        if "netrc" in options:
            user, password = self._from_netrc(options["netrc"])
        else:
            user = context.secret(options["user"]).reveal()
            password = context.secret(options["password"]).reveal()
        self._made = self.make_signer(user, password)
        self._rules = RefusalRules.from_options(options)

    @property
    def can_login(self) -> bool:
        """False: there are no other credentials to log in with."""
        return False

    @abstractmethod
    def make_signer(self, user: str, password: str) -> AuthBase:
        """Return the authentication for requests."""

    def signer(self) -> AuthBase:
        """Return the signer."""
        return self._made

    def login(self, session: LoginSession) -> None:
        """Request the URL of the option ``check``, if set; raise LoginFailed if the service rejects the credentials."""
        if self._check is None:
            return
        with session.http.get(self._check, auth=self._made, stream=True) as response:
            head = ResponseHead(self._check, response.url, response.status_code, response.headers)
            if self._rules.is_refusal(head):
                raise LoginFailed(
                    f"The service does not accept the user name and the password (status {response.status_code}).",
                    hint=self.remedy,
                )

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the credentials."""
        return self._rules.is_refusal(response)

    def _from_netrc(self, given: str | bool) -> tuple[str, str]:
        path = Path.home() / ".netrc" if given is True else self.context.path(str(given))
        host = urlsplit(self.origins[0]).hostname or ""
        try:
            found = netrc.netrc(path).authenticators(host)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(
                f"The file {path}, which the auth {self.name} is to read, cannot be read: {reason}.",
                hint="Make it readable for you alone: chmod 600.",
            ) from None
        except netrc.NetrcParseError as error:  # from None: the message may contain the password
            line = f" in line {error.lineno}" if error.lineno else ""
            raise ConfigError(
                f"The file {path}, for the auth {self.name} is not a .netrc file: an error{line}.",
                hint="Its entries are: machine HOST login USER password PASSWORD",
            ) from None
        if found is None or not found[0] or not found[2]:
            raise ConfigError(
                f"The file {path} has no user name and password for {host}.",
                hint=f"Add a line: machine {host} login USER password PASSWORD",
            )
        self.context.on_secret(found[2])
        return found[0], found[2]
