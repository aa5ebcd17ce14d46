"""Every error argosy raises on purpose.

The tree (the number is the command line's exit code)::

    ArgosyError
    ├── ConfigError              2   the configuration is not valid
    ├── SessionError             3   the session is lost and no login is possible
    │   ├── LoginFailed              the service did not accept the login
    │   │   └── RefreshRefused       nor what the session was to be renewed with
    │   ├── SessionInDoubt           a request's answer never came, and no policy says what to do
    │   └── SessionLost              the service refuses the session, and it cannot be renewed
    ├── SourceError              4   the manifest, or another source, cannot be read
    ├── StorageError             5   the local disk, a remote storage or a store
    │   ├── StoreError               a cookie store failed
    │   │   ├── StoreDamaged         what it holds cannot be read
    │   │   ├── StoreSealed          what it holds is encrypted in another way than is asked for
    │   │   └── GenerationMoved      somebody else changed the session first
    │   │       └── HoldLapsed       or may do so now: our hold on it is over
    │   └── LedgerError              the ledger failed
    ├── BusyError                6   another run holds what this one needs
    ├── PluginError              7   a plugin is missing, broken or misbehaved
    ├── TransferError            1   one resource could not be fetched (fails its item, not the run)
    │   ├── VerificationError        it came, but it is not what was promised
    │   └── Refused                  the service refused it although the session is good
    ├── ServiceDown              1   a service was down for longer than the run waits for it
    └── Interrupted            130   the person stopped the run
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "ArgosyError",
    "BusyError",
    "ConfigError",
    "GenerationMoved",
    "HoldLapsed",
    "Interrupted",
    "LedgerError",
    "LoginFailed",
    "PluginError",
    "Problem",
    "RefreshRefused",
    "Refused",
    "ServiceDown",
    "SessionError",
    "SessionInDoubt",
    "SessionLost",
    "SourceError",
    "StorageError",
    "StoreDamaged",
    "StoreError",
    "StoreSealed",
    "TransferError",
    "VerificationError",
]


def _rebuild(cls: type[ArgosyError], state: dict[str, Any]) -> ArgosyError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (error.message,)
    return error


class ArgosyError(Exception):
    """The base of every error argosy raises on purpose.

    Parameters
    ----------
    message
        What happened, and what follows from it.
    hint
        What the person can do about it.
    fields
        Facts for programs; they become attributes and survive pickling.
    """

    exit_code: ClassVar[int] = 1
    message: str
    hint: str | None

    def __init__(self, message: str, *, hint: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.__dict__.update(fields)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file that a person wrote.

    Parameters
    ----------
    where
        The file, with the line or the key path: ``books.jsonl:3``, ``argosy.toml: source.path``.
    found
        What was found there.
    expected
        What would be right, with "did you mean" where something is close.
    """

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; {self.expected}"


class _WithProblems(ArgosyError):
    """Something a person wrote is wrong in one or more places, all of them named at once."""

    problems: tuple[Problem, ...]

    def __init__(self, message: str, problems: tuple[Problem, ...] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, problems=problems)

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *map(str, self.problems)])


class ConfigError(_WithProblems):
    """The configuration is not valid."""

    exit_code = 2


class SessionError(ArgosyError):
    """The session cannot be used, and everything done so far is kept."""

    exit_code = 3


class LoginFailed(SessionError):
    """The service did not accept the login."""


class RefreshRefused(LoginFailed):
    """The service no longer accepts what the session was to be renewed with (``invalid_grant``, RFC 6749 section 5.2)."""


class SessionInDoubt(SessionError):
    """A request was sent and its answer never came: nobody knows which token is good."""


class SessionLost(SessionError):
    """The service refuses the session, and it cannot be renewed."""


class SourceError(_WithProblems):
    """The manifest, or another source of items, cannot be read."""

    exit_code = 4


class StorageError(ArgosyError):
    """The local disk, or something that is kept on it, failed."""

    exit_code = 5


class StoreError(StorageError):
    """A cookie store failed."""


class StoreDamaged(StoreError):
    """What a cookie store holds cannot be read; it was left as it is."""


class StoreSealed(StoreError):
    """What a cookie store holds cannot be opened with the key that is given, or must not lie there in the clear."""


class GenerationMoved(StoreError):
    """Somebody else changed the session record first; nothing was written."""


class HoldLapsed(GenerationMoved):
    """Our hold on the session ended before its time, and somebody else has had the session since; nothing was written."""


class LedgerError(StorageError):
    """The ledger of a target directory failed."""


class BusyError(ArgosyError):
    """Another run holds what this one needs."""

    exit_code = 6


class PluginError(ArgosyError):
    """A plugin is missing, cannot be loaded, or broke its contract; the message names it."""

    exit_code = 7


class TransferError(ArgosyError):
    """One resource could not be fetched.

    Parameters
    ----------
    kind
        The typed cause, one word: ``connect``, ``lost``, ``status``, ``cut``, ``disk``, ...
    retryable
        Whether a later attempt may succeed.
    retry_after
        Seconds the server asked to wait, where it did.
    """

    kind: str
    retryable: bool
    retry_after: float | None

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        retryable: bool = False,
        retry_after: float | None = None,
        hint: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(
            message, hint=hint, kind=kind, retryable=retryable, retry_after=retry_after, **fields
        )


class VerificationError(TransferError):
    """A resource came, but its size or digest is not what was promised."""


class Refused(TransferError):
    """The service refused one resource although the session is good."""


class ServiceDown(ArgosyError):
    """A service was down for longer than the run waits for it; what was to be had from it is still to be done.

    Parameters
    ----------
    host
        Which host.
    cause
        What asking it comes to, in words.
    """

    host: str
    cause: str


class Interrupted(ArgosyError):
    """The person stopped the run; the session and the ledger are saved."""

    exit_code = 130
