"""The auth ``digest``: answers the service's challenges with a user name and a password (RFC 7616)."""

from __future__ import annotations

from requests.auth import AuthBase

from argosy import hookimpl
from argosy.interfaces.auth import Auth
from argosy_plugins.auth._origins import DigestSigner
from argosy_plugins.auth._password import PasswordAuth


class DigestAuth(PasswordAuth):
    """Answers challenges without sending the password. Each thread sends its first request twice."""

    name = "digest"
    summary = "A user name and a password in answer to the service's challenge (HTTP Digest)"

    def make_signer(self, user: str, password: str) -> AuthBase:
        """Return the signer."""
        return DigestSigner(user, password, self.origins)


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``digest``."""
    return DigestAuth
