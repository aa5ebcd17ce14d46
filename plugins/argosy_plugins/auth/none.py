"""The auth plugin for services that ask nobody who they are."""

from __future__ import annotations

import argosy
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead


class NoAuth(Auth):
    """Logs nobody in: requests need no lease."""

    name = "none"
    summary = "No login"
    anonymous = True

    def login(self, session: LoginSession) -> None:
        """Do nothing."""

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return False: where nobody is logged in, no session can be refused."""
        return False


@argosy.hookimpl
def argosy_auth() -> type[Auth]:
    """Register the plugin."""
    return NoAuth
