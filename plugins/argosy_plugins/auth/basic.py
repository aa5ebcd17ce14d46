"""The auth ``basic``: a user name and a password with each request (RFC 7617)."""

from __future__ import annotations

import base64

from requests.auth import AuthBase

from argosy import hookimpl
from argosy.interfaces.auth import Auth
from argosy_plugins.auth._origins import HeaderSigner
from argosy_plugins.auth._password import PasswordAuth


class BasicAuth(PasswordAuth):
    """Sends the user name and the password with each request, in UTF-8 (RFC 7617 section 2.1)."""

    name = "basic"
    summary = "A user name and a password with each request (HTTP Basic)"

    def make_signer(self, user: str, password: str) -> AuthBase:
        """Return the authentication that adds the ``Authorization`` field."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.context.on_secret(token)
        return HeaderSigner("Authorization", f"Basic {token}", self.origins)


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``basic``."""
    return BasicAuth
