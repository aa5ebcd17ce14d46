"""The auth ``none``: no login."""

from __future__ import annotations

import argosy
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead


class NoAuth(Auth):
    """Does not log in; requests need no lease."""

    name = "none"
    summary = "No login"
    anonymous = True

    def login(self, session: LoginSession) -> None:
        """Do nothing."""

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return False: without a login, no session can be refused."""
        return False


@argosy.hookimpl
def argosy_auth() -> type[Auth]:
    """Register the plugin."""
    return NoAuth
