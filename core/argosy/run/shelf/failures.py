"""What a remote storage raises, as a typed cause in plain words."""

from __future__ import annotations

import errno

from argosy.config.remote import OBJECTS
from argosy.errors import StorageError, TransferError

#: The service, or the way to it, is down or overloaded: another try may get on.
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

#: The same, as the names of classes of botocore, aiohttp and asyncssh: they need not be installed.
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

#: What the options, or the URL, are to blame for: classes of botocore.
_OF_OPTIONS = frozenset({"ConfigNotFound", "ConfigParseError", "ParamValidationError", "ProfileNotFound"})

#: Characters of a library's own text that are shown.
_LONGEST = 200


class Broken(TransferError):
    """A call to a remote storage failed; what becomes of it depends on how often it is tried."""

    def final(self) -> StorageError | TransferError:
        """Return the error once nobody tries again: of the run, unless it is about one name alone."""
        if self.kind == "name":
            return TransferError(self.message, kind="name", hint=self.hint)
        if self.kind == "exists":
            return TransferError(self.message, kind="exists", hint=self.hint)
        return StorageError(self.message, hint=self.hint)


def of_options(error: BaseException) -> bool:
    """Return whether a failure of the first call to a storage is a matter of the options that it was given."""
    if isinstance(error, TypeError | ValueError | AttributeError | LookupError):
        return True
    return bool({cls.__name__ for cls in type(error).__mro__} & _OF_OPTIONS)


def broken(where: str, error: BaseException) -> Broken:
    """Return the cause of a failure.

    Parameters
    ----------
    where
        The URL, as it may be shown.
    error
        What was raised.
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    number = error.errno if isinstance(error, OSError) else None
    said = reason(error)
    if number in (errno.ENOTDIR, errno.EISDIR):
        return Broken(
            f"{where} cannot be written: {said}.", kind="exists", hint="Move it away, then start again."
        )
    if number == errno.ENAMETOOLONG:
        return Broken(f"{where} cannot take the name: {said}.", kind="name")
    if names & _NO_CREDENTIALS:
        return Broken(
            f"{where} cannot be used: there are no credentials.",
            kind="denied",
            hint='Give key and secret in the options of "directory", or where the library looks for them.',
        )
    if "HostKeyNotVerifiable" in names:
        return Broken(
            f"{where} was not used: the host's key is not among the known ones.",
            kind="denied",
            hint='Log in there once with ssh, which asks about the key, or name a file of keys: "known_hosts".',
        )
    if names & {"PermissionError", "PermissionDenied", "SFTPPermissionDenied", "KeyImportError"}:
        return Broken(
            f"{where} does not permit it: {said}.",
            kind="denied",
            hint="Check the key or the password, and what its owner may do there: list, read and write.",
        )
    if "FileNotFoundError" in names:
        return Broken(
            f"{where} is not there: {said}.",
            kind="gone",
            hint="Check the URL. A bucket is not made by argosy: make it first."
            if where.partition("://")[0] in OBJECTS
            else "Check the URL, and whether there can be such a folder.",
        )
    if number in (errno.ENOSPC, errno.EDQUOT) or names & _FULL:
        return Broken(
            f"{where} has no room left: {said}.",
            kind="full",
            hint="Make room there, then start again: everything done so far is kept.",
        )
    if (
        number in _PASSING
        or names & _PASSING_NAMES
        or isinstance(error, ConnectionError | TimeoutError | EOFError)
    ):
        return Broken(
            f"{where} cannot be reached: {said}.",
            kind="connect",
            retryable=True,
            host=where,
            hint="See whether the service is up, then start again: everything done so far is kept.",
        )
    if "SFTPFailure" in names:
        return Broken(
            f"{where} failed, and the server does not say why: {said}.",
            kind="storage",
            retryable=True,
            hint="Often its disk is full, or read-only. Everything done so far is kept: start again when that is mended.",
        )
    return Broken(
        f"{where} failed: {said}.",
        kind="storage",
        retryable=True,
        hint="Everything done so far is kept: start again when the cause is mended.",
    )


def reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
    line, _, more = text.strip().partition("\n")
    if line.endswith(":"):  # what is wrong stands in the next line
        line = f"{line} {more.partition(chr(10))[0].strip()}"
    return line[:_LONGEST].rstrip(". ") or type(error).__name__
