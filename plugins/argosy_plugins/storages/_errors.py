"""Errors of remote storages: what fsspec and its libraries raise, as typed causes with hints."""

from __future__ import annotations

import errno

from argosy.errors import StorageError, TransferError
from argosy.interfaces.storage import OBJECT_STORES

#: The service or the network is down or overloaded; another attempt may succeed.
_PASSING = frozenset(
    {
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ETIMEDOUT,
        getattr(errno, "EREMOTEIO", errno.EIO),
    }
)

#: The same, as names of classes of botocore, aiohttp and asyncssh, which need not be installed.
_PASSING_NAMES = frozenset(
    {
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionClosedError",
        "ConnectionLost",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "HTTPClientError",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "SFTPConnectionLost",
        "SFTPNoConnection",
        "ServerDisconnectedError",
        "gaierror",
    }
)

_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})

_FULL = frozenset({"SFTPNoSpaceOnFilesystem", "SFTPQuotaExceeded"})

#: Classes of botocore for errors in the options or the URL.
_OF_OPTIONS = frozenset({"ConfigNotFound", "ConfigParseError", "ParamValidationError", "ProfileNotFound"})

#: Characters of a library's message to show.
_LONGEST = 200


class Broken(TransferError):
    """One attempt of a call to a remote storage failed."""

    def final(self) -> StorageError | TransferError:
        """Return the error after the last attempt: of the run, unless it is about one name."""
        if self.kind in ("name", "exists"):
            return TransferError(self.message, kind=self.kind, hint=self.hint)
        return StorageError(self.message, hint=self.hint)


def of_options(error: BaseException) -> bool:
    """Return whether the options caused the failure of the first call to a storage."""
    if isinstance(error, TypeError | ValueError | AttributeError | LookupError):
        return True
    return bool({cls.__name__ for cls in type(error).__mro__} & _OF_OPTIONS)


def broken(where: str, error: BaseException) -> Broken:
    """Return the typed cause of what a library raised about a URL."""
    names = {cls.__name__ for cls in type(error).__mro__}
    number = error.errno if isinstance(error, OSError) else None
    said = reason(error)
    if number in (errno.ENOTDIR, errno.EISDIR):
        return Broken(f"{where} cannot be written: {said}.", kind="exists", hint="Move it away, then start again.")
    if number == errno.ENAMETOOLONG:
        return Broken(f"{where} cannot take the name: {said}.", kind="name")
    if names & _NO_CREDENTIALS:
        return Broken(
            f"{where} cannot be used without credentials.",
            kind="denied",
            hint='Give key and secret in the options of "directory", or where the library looks for them.',
        )
    if "HostKeyNotVerifiable" in names:
        return Broken(
            f"{where} was not used: the host's key is unknown.",
            kind="denied",
            hint='Log in once with ssh, which asks about the key, or name a file of known keys in the option "known_hosts".',
        )
    if names & {"PermissionError", "PermissionDenied", "SFTPPermissionDenied", "KeyImportError"}:
        return Broken(
            f"{where} denied permission: {said}.",
            kind="denied",
            hint="Check the key or password, and that its owner may list, read and write.",
        )
    if "FileNotFoundError" in names:
        return Broken(
            f"{where} does not exist: {said}.",
            kind="gone",
            hint="Check the URL. argosy does not create buckets; create it first."
            if where.partition("://")[0] in OBJECT_STORES
            else "Check the URL.",
        )
    if number in (errno.ENOSPC, errno.EDQUOT) or names & _FULL:
        return Broken(
            f"{where} has no space left: {said}.",
            kind="full",
            hint="Free some space, then start again: finished files are kept.",
        )
    if number in _PASSING or names & _PASSING_NAMES or isinstance(error, ConnectionError | TimeoutError | EOFError):
        return Broken(
            f"{where} cannot be reached: {said}.",
            kind="connect",
            retryable=True,
            host=where,
            hint="Check that the service is up, then start again: finished files are kept.",
        )
    if "SFTPFailure" in names:
        return Broken(
            f"{where} failed, and the server gave no reason: {said}.",
            kind="storage",
            retryable=True,
            hint="Its disk may be full or read-only. Fix that, then start again: finished files are kept.",
        )
    return Broken(
        f"{where} failed: {said}.",
        kind="storage",
        retryable=True,
        hint="Fix the cause, then start again: finished files are kept.",
    )


def reason(error: BaseException) -> str:
    """Return the message of an error as one line."""
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
    line, _, more = text.strip().partition("\n")
    if line.endswith(":"):  # the cause is in the next line
        line = f"{line} {more.partition(chr(10))[0].strip()}"
    return line[:_LONGEST].rstrip(". ") or type(error).__name__
