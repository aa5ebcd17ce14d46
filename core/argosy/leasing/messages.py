"""Why a session cannot be used, in words for people.

An error that is `unsure` rests on one refused request alone: whoever has other sessions tries that request on
one of them, and learns whether it was the session or the request that was refused. One that is `told` was
found out before, and whoever did so has said it.
"""

from __future__ import annotations

import time

from argosy.errors import SessionInDoubt, SessionLost, StoreError
from argosy.leasing.lease import is_moving
from argosy.leasing.login_limit import FAILED_BEFORE, NO_PROGRESS
from argosy.models.session import SessionRecord

#: So many refusals after a login that nothing was accepted with say that the login is of no use.
FRUITLESS = 5

#: What is said where the lease of a session lapsed.
LAPSED = (
    "The session {!r} was changed by somebody else while a request held it: "
    "was its lock file or its store replaced? Their token stands."
)

_KEPT = "Everything done so far is kept."


def refused(session: str, remedy: str) -> SessionLost:
    """Return the error of a session that the service refuses; `remedy` is what a person can do."""
    return SessionLost(
        f"The service refuses the session {session!r}, and it cannot be renewed from here. {_KEPT}",
        hint=remedy,
        unsure=True,
    )


def ended(session: str, remedy: str) -> SessionLost:
    """Return the error of an session that the service has ended by deleting its cookies."""
    return SessionLost(
        f"The service has ended the session {session!r}, and it cannot be renewed from here.", hint=remedy
    )


def expired(session: str, remedy: str) -> SessionLost:
    """Return the error of a session whose tokens have expired."""
    return SessionLost(
        f"The session {session!r} has expired, and it cannot be renewed from here. {_KEPT}", hint=remedy
    )


def fruitless() -> SessionLost:
    """Return the error of a session that is of no use, however often one logs in."""
    return SessionLost(
        f"The service accepts the login but refuses {FRUITLESS} requests in a row after it. {_KEPT}",
        hint="Check with a browser what this account may download.",
    )


def rival(record: SessionRecord) -> SessionLost:
    """Return the error of a session that the service seems to have ended because another one logged in.

    Its field ``rival`` is the session's count of logins then, and ``at`` is the time, in seconds since the epoch.
    """
    return SessionLost(
        f"The service ended the session {record.session!r} when another one logged in.",
        hint='Ask for fewer "sessions"; to try again with as many, run: argosy login CONFIG',
        unsure=True,
        rival=record.logins,
        at=time.time(),
    )


def retired(session: str) -> SessionLost:
    """Return the error of a session of which that was found out before."""
    return SessionLost(
        f"The session {session!r} is not used: the service ended it when another one logged in.",
        hint="To try again, run: argosy login CONFIG",
        told=True,
    )


def nobody(session: str) -> SessionLost:
    """Return the error of a session for which nobody can log in."""
    return SessionLost(f"The session {session!r} cannot be renewed: nobody can log in.")


def not_allowed(session: str, why: str) -> SessionLost:
    """Return the error of a session that is not to be logged in once more."""
    hint = "Check with a browser that this account can log in, and stays logged in."
    if why.startswith(NO_PROGRESS.partition("{")[0]):
        hint += ' To allow more logins in a row, raise "max_logins".'
    return SessionLost(
        f"The session {session!r} cannot be renewed: {why}. {_KEPT}",
        hint=hint,
        **({"told": True} if why == FAILED_BEFORE else {}),
    )


def not_granted(session: str, store: str) -> StoreError:
    """Return the error of a store that does not grant a session, however long one waits."""
    return StoreError(
        f"The cookie store {store!r} gave up waiting for the session {session!r}, which breaks its contract."
    )


def in_doubt(record: SessionRecord) -> SessionInDoubt:
    """Return the error of a session of which nobody knows which token is good."""
    if is_moving(record):
        return SessionInDoubt(
            f"The session {record.session!r} was on its way to another store when that was cut off. {_KEPT}",
            hint="Run the same `argosy session copy` again: it goes on from there. Or log in again: argosy login CONFIG",
        )
    who = f" by process {record.holder.pid} on {record.holder.host}" if record.holder else ""
    return SessionInDoubt(
        f"The session {record.session!r} is in doubt: a request was sent{who} and its answer never came, "
        f"so the service may have replaced the token. {_KEPT}",
        hint='Log in again: argosy login CONFIG. If the service never replaces tokens, set "lease" to '
        '"shared"; if an old token stays good for a while, set "on_doubt" to {"wait": SECONDS}.',
    )
