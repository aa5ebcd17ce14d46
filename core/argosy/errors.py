"""The errors that argosy raises.

The tree, with the exit codes of the command line::

    ArgosyError                  1
    ├── ConfigError              2   the configuration is not valid
    ├── SessionError             3   the session cannot be used
    │   ├── LoginFailed              the service did not accept the login
    │   │   └── RefreshRefused       the service did not renew the session
    │   ├── SessionInDoubt           a request got no response, and no policy says what to do
    │   └── SessionLost              the service refuses the session, and it cannot be renewed
    ├── SourceError              4   the manifest, or another source, cannot be read
    ├── StorageError             5   the disk, a remote storage or a store failed
    │   └── StoreError               a cookie store failed
    │       ├── StoreDamaged         its content cannot be read
    │       ├── StoreSealed          its content is encrypted with another key, or not at all
    │       └── GenerationMoved      another process changed the session first
    │           └── HoldLapsed       or could have: our hold on it has ended
    ├── BusyError                6   another run uses the resource
    ├── PluginError              7   a plugin is missing, broken or misbehaved
    ├── TransferError            1   one resource could not be downloaded; only its item fails
    │   ├── VerificationError        its size or digest is wrong
    │   └── Refused                  the service refused it, although the session is valid
    ├── ServiceDown              1   a service was down for too long
    ├── RunUnreachable         1   a worker in another process cannot reach its run
    └── Interrupted            130   the user stopped the run
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file that a user wrote."""

    where: str  # the file, with the line or the key path: "books.jsonl:3", "argosy.toml: source.path"
    found: str
    expected: str  # or a suggestion

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; {self.expected}"


class ArgosyError(Exception):
    """The base of all errors that argosy raises; `fields` become attributes, and survive pickling."""

    exit_code: ClassVar[int] = 1
    message: str  # what happened
    problems: tuple[Problem, ...]  # all mistakes in a file
    hint: str | None  # what the user can do

    def __init__(
        self, message: str, problems: tuple[Problem, ...] = (), /, *, hint: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems = problems
        self.hint = hint
        self.__dict__.update(fields)

    def __str__(self) -> str:
        text = f"{self.message} {self.hint}" if self.hint else self.message
        return "\n  ".join([text, *map(str, self.problems)])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).__new__, (type(self), self.message), self.__dict__


class ConfigError(ArgosyError):
    """The configuration is not valid."""

    exit_code = 2


class SessionError(ArgosyError):
    """The session cannot be used; all finished work is saved."""

    exit_code = 3


class LoginFailed(SessionError):
    """The service did not accept the login."""


class RefreshRefused(LoginFailed):
    """The service did not renew the session (``invalid_grant``, RFC 6749 section 5.2)."""


class SessionInDoubt(SessionError):
    """A request got no response, so the valid token is unknown."""


class SessionLost(SessionError):
    """The service refuses the session, and it cannot be renewed."""


class SourceError(ArgosyError):
    """The manifest, or another source of items, cannot be read."""

    exit_code = 4


class StorageError(ArgosyError):
    """The disk, a remote storage or a store failed."""

    exit_code = 5


class StoreError(StorageError):
    """A cookie store failed."""


class StoreDamaged(StoreError):
    """The content of a cookie store cannot be read; it did not change."""


class StoreSealed(StoreError):
    """The content of a cookie store is encrypted with another key, or should be encrypted and is not."""


class GenerationMoved(StoreError):
    """Another process changed the session record first; nothing was written."""


class HoldLapsed(GenerationMoved):
    """Our hold on the session ended, so another process may have changed it; nothing was written."""


class BusyError(ArgosyError):
    """Another run uses what this one needs."""

    exit_code = 6


class PluginError(ArgosyError):
    """A plugin is missing, broken or misbehaved; the message names it."""

    exit_code = 7


class TransferError(ArgosyError):
    """One resource could not be downloaded."""

    kind: str = "plugin"  # the cause in one word: connect, lost, status, cut, disk, ...
    retryable: bool = False  # whether a later attempt may succeed
    retry_after: float | None = None  # seconds that the server asked to wait


class VerificationError(TransferError):
    """The size or digest of a resource is wrong."""


class Refused(TransferError):
    """The service refused a resource, although the session is valid."""


class ServiceDown(ArgosyError):
    """A service was down for longer than the run waits; its items are still to do."""

    host: str
    cause: str  # how requests to it fail, for people


class RunUnreachable(ArgosyError):
    """A worker in another process cannot reach its run: it is over, or there is no connection."""


class Interrupted(ArgosyError):
    """The user stopped the run; the session and the ledger are saved."""

    exit_code = 130
