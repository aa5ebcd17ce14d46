"""What a remote storage raises, as a typed cause in plain words.

What is to be known of each kind of remote storage: its library, and how a file gets its name there whole.

A shelf in a remote storage, through fsspec: S3, SFTP, whatever has a file system there.

Every call may fail because the service is down or far away; so each of them is tried again, with pauses, as the
requests of a download are.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import inspect
import math
import mimetypes
import posixpath
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from argosy.errors import ArgosyError, ConfigError, StorageError, TransferError
from argosy.interfaces.storage import Existing, Patience, digest_of, foreign
from argosy.models.items import Product, PublishedFile
from argosy.storage.location import OBJECTS
from argosy.transfer.download import Retries

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


#: Protocols that an extra of argosy's is for: the extra, its library, and the class in it.
EXTRAS = {
    "s3": ("s3", "s3fs", "S3FileSystem"),
    "s3a": ("s3", "s3fs", "S3FileSystem"),
    # not fsspec's own, which takes any host for the one that is meant
    "sftp": ("sftp", "sshfs", "SSHFileSystem"),
    "ssh": ("sftp", "sshfs", "SSHFileSystem"),
}

#: Bytes of one part of an upload to S3, and how many are under way at once for one file: they lie in memory.
PART = 16 * 1024 * 1024
PARTS_AT_ONCE = 2
MOST_PARTS = 10_000

#: Seconds after which an SSH server that is silent is asked whether it is there; three times without an answer, and
#: the connection is given up. Without, nobody would ever hear of a network that has gone.
KEEPALIVE = 30

#: Characters of a name that is shown: a key that stands where its file's name should is longer.
_LONGEST_NAME = 200


def file_system(protocol: str) -> Any:
    """Return the class of the file systems of a protocol.

    Raises
    ------
    ConfigError
        If there is none, or what it needs is not installed.
    """
    import importlib

    if protocol in EXTRAS:
        extra, module, name = EXTRAS[protocol]
        try:
            return getattr(importlib.import_module(module), name)
        except ImportError:
            raise ConfigError(
                f"The directory is a URL of {protocol}, but the library {module} is not installed.",
                hint=f"Install it: pip install 'argosy[{extra}]'.",
            ) from None
    try:
        import fsspec
    except ImportError:
        raise ConfigError(
            f"The directory is a URL of {protocol}, but the library fsspec is not installed.",
            hint="Install it with what it needs for this protocol: pip install fsspec.",
        ) from None
    try:
        return fsspec.get_filesystem_class(protocol)
    except ValueError:
        raise ConfigError(
            f"The directory is a URL of {protocol!r}, a protocol that fsspec does not know.",
            hint="It looks like s3://bucket/folder or sftp://host/folder.",
        ) from None
    except ImportError as error:
        raise _not_installed(protocol, error) from None


def made(protocol: str, cls: Any, options: Mapping[str, Any]) -> Any:
    """Return a file system.

    Raises
    ------
    ConfigError
        If what it needs is not installed, or its options name a file that cannot be read.
    """
    try:
        return cls(**options)
    except ImportError as error:  # some look for their library no sooner
        raise _not_installed(protocol, error) from None
    except OSError as error:
        if not isinstance(error.filename, str | Path):
            raise  # of the network
        name = str(error.filename)
        shown = f": {name}" if name.isprintable() and len(name) < _LONGEST_NAME else ""  # a key is no name
        raise ConfigError(
            f"The options of the directory name a file that cannot be read ({error.strerror}){shown}.",
            hint="Where such a path is relative, it is so to the folder in which argosy is started.",
        ) from None


def _not_installed(protocol: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"The directory is a URL of {protocol}, and what fsspec needs for it is not installed.",
        hint=f"fsspec says: {error}.",
    )


def defaults(protocol: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with what argosy sets where the configuration does not."""
    filled = dict(options)
    if protocol in ("s3", "s3a"):
        config: dict[str, Any] = {
            "retries": {"max_attempts": 0}
        }  # argosy's own count, and tell what they wait for
        client = filled.get("client_kwargs")
        if filled.get("endpoint_url") or (isinstance(client, Mapping) and client.get("endpoint_url")):
            # many a service that is not Amazon's cannot take these; Content-MD5 says the same
            config["request_checksum_calculation"] = "when_required"
            config["response_checksum_validation"] = "when_required"
        filled["config_kwargs"] = {**config, **filled.get("config_kwargs", {})}
    if protocol in ("sftp", "ssh"):
        # asyncssh's default, and not that of sshfs: the host's key is checked
        filled.setdefault("known_hosts", ())
        filled.setdefault("keepalive_interval", KEEPALIVE)
    return filled


class LookAgain(Exception):
    """The storage cannot say whether a name is new: somebody has to look, right before the upload."""


class Uploader:
    """Gives files their names in one kind of storage, whole or not at all; any number of threads may use it.

    Parameters
    ----------
    protocol
        The protocol.
    mark
        What tells this target directory on this machine from others: two machines may write to one place.
    """

    def __init__(self, protocol: str, mark: str) -> None:
        self._objects = protocol in OBJECTS
        self._s3 = protocol in ("s3", "s3a")
        self._mark = f"{socket.gethostname()}\n{mark}"
        #: Whether a new name can be asked for that nobody else has: not known before the first try.
        self.exclusive = True

    def put(self, fs: Any, file: Path, path: str, name: str, *, new: bool) -> None:
        """Upload a file.

        Parameters
        ----------
        fs
            The file system.
        file, path, name
            The local file, its path there, and its name for what depends on its ending.
        new
            Whether there must be nothing of that name.

        Raises
        ------
        FileExistsError
            If there is something, and the storage says so.
        """
        if self._objects:
            self._put_object(fs, file, path, name, new=new)
        else:
            self._put_and_rename(fs, file, path, new=new)

    def _put_object(self, fs: Any, file: Path, path: str, name: str, *, new: bool) -> None:
        options = self._s3_options(file, name) if self._s3 else {}
        able = "mode" in inspect.signature(getattr(fs, "_put_file", fs.put_file)).parameters
        if new and able and self.exclusive:
            try:
                fs.put_file(str(file), path, mode="create", **options)
            except FileExistsError:
                raise
            except (OSError, NotImplementedError) as error:
                # "not implemented", or whatever a service calls a header that it does not know, or 412 without a word
                if isinstance(error, OSError) and error.errno not in (errno.ENOSYS, errno.EINVAL):
                    raise
                self.exclusive = False
                raise LookAgain from None
        else:
            fs.put_file(str(file), path, **options)
        _check_size(fs, file, path)

    def _s3_options(self, file: Path, name: str) -> dict[str, Any]:
        size = file.stat().st_size
        part = max(PART, math.ceil(size / MOST_PARTS))
        options: dict[str, Any] = {"chunksize": part, "max_concurrency": PARTS_AT_ONCE}
        if size < 2 * part:  # one request: the service itself compares what came
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).digest()
            options["ContentMD5"] = base64.b64encode(digest).decode()
        kind, encoding = mimetypes.guess_type(name)
        options["ContentType"] = (kind if encoding is None else None) or "application/octet-stream"
        return options

    def _put_and_rename(self, fs: Any, file: Path, path: str, *, new: bool) -> None:
        folder = posixpath.dirname(path)
        temporary = posixpath.join(folder, f".argosy-{self._short(path)}.part")
        _make_folder(fs, folder)
        try:
            fs.put_file(str(file), temporary)  # over what an upload left that was cut off
            _check_size(fs, file, temporary)
            if new:
                _rename_new(fs, temporary, path)
            else:
                fs.mv(temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                fs.rm_file(temporary)
            raise

    def _short(self, path: str) -> str:
        text = f"{self._mark}\n{path}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=8).hexdigest()


def _make_folder(fs: Any, folder: str) -> None:
    """Make a folder and those above it.

    Raises
    ------
    NotADirectoryError
        If there is something else in the place of one of them.
    """
    try:
        fs.makedirs(folder, exist_ok=True)
    except Exception:  # each library has its own
        while folder not in ("", "/"):
            if _is_file(fs, folder):
                raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder should be") from None
            folder = posixpath.dirname(folder)
        raise


def _is_file(fs: Any, path: str) -> bool:
    try:
        return bool(fs.info(path)["type"] == "file")
    except Exception:  # each library has its own for what is not there
        return False


def _check_size(fs: Any, file: Path, path: str) -> None:
    size, there = file.stat().st_size, fs.info(path)["size"]
    if size != there:
        with contextlib.suppress(Exception):
            fs.rm_file(path)
        raise StorageError(
            f"The storage says that it has {there} of the {size} bytes that were uploaded, so they are not kept.",
            hint="See what is wrong with the storage, then start again: everything done so far is kept.",
        )


def _rename_new(fs: Any, old: str, new: str) -> None:
    """Rename a file where nothing has the new name.

    Raises
    ------
    FileExistsError
        If something has.
    """
    if type(fs).__name__ == "SSHFileSystem":
        _rename_over_ssh(fs, old, new)
        return
    if fs.exists(new):  # somebody may come between: such a file system has no better way
        raise FileExistsError(errno.EEXIST, "there is a file of that name", new)
    fs.mv(old, new)


def _rename_over_ssh(fs: Any, old: str, new: str) -> None:
    import asyncssh
    from fsspec.asyn import sync

    async def rename() -> bool:
        """Return whether the name was free."""
        # SSH_FXP_RENAME does not replace a file; what sshfs calls mv does
        async with fs.client.start_sftp_client() as sftp:
            try:
                await sftp.rename(old, new)
            except asyncssh.SFTPError:
                if await _is_there(sftp, new):  # a link to nowhere, too
                    return False
                raise
            return True

    if not sync(fs.loop, rename):
        raise FileExistsError(errno.EEXIST, "there is a file of that name", new)


async def _is_there(sftp: Any, path: str) -> bool:
    import asyncssh

    with contextlib.suppress(asyncssh.SFTPNoSuchFile):
        await sftp.lstat(path)
        return True
    return False


T = TypeVar("T")

#: Bytes that are read at once where a file is compared.
CHUNK = 8 * 1024 * 1024


class FsspecStorage:
    """A folder in a remote storage.

    Parameters
    ----------
    shown
        Its URL, as it may be shown.
    protocol
        Its protocol.
    connect
        Makes the file system, and says what the folder's path is in it; called when it is needed, and again after a
        failure, as a connection may be of no more use.
    mark
        What tells this target directory on this machine from others.
    patience
        How calls are tried again.
    scrub
        Takes secrets out of what a library says.
    """

    def __init__(
        self,
        shown: str,
        protocol: str,
        connect: Callable[[], tuple[Any, str]],
        mark: str,
        patience: Patience,
        scrub: Callable[[str], str],
    ) -> None:
        self._shown = shown
        self._protocol = protocol
        self._root = ""
        self._connect = connect
        self._patience = patience
        self._scrub = scrub
        self._uploader = Uploader(protocol, mark)
        self._mutex = threading.Lock()
        self._fs: Any = None
        self._reached = self._told = False
        self._known: dict[str, int] = {}

    def prepare(self) -> None:
        """See that the storage is there and lets us in."""

        def look(fs: Any) -> None:
            if self._protocol in OBJECTS:
                fs.find(
                    f"{self._root}/.argosy-is-here"
                )  # asked as a list: its refusal has words, that of a look none
            else:
                fs.makedirs(self._root or "/", exist_ok=True)

        self._tried(look)

    def survey(self) -> None:
        """Learn at once what stands there."""

        def find(fs: Any) -> dict[str, int]:
            start = len(self._root) + 1 if self._root else 0
            return {
                str(info["name"])[start:]: int(info["size"])
                for info in self._below(fs, self._root or "/")
                if info.get("type") == "file"
            }

        self._known = self._tried(find)

    def learn(self, files: Iterable[PublishedFile]) -> None:
        """Hear of files that another process put there."""
        self._known.update((file.name, file.size) for file in files)

    def size(self, name: str) -> int | None:
        """Return the bytes of the file of a name; what was seen in this run is not asked for again."""
        if name in self._known:
            return self._known[name]
        info = self._info(name)
        return int(info["size"]) if info is not None and info["type"] == "file" else None

    def occupied(self, name: str) -> bool:
        """Return whether anything stands under a name."""
        return name in self._known or self._info(name) is not None

    def standing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what stands under a name; refuse to replace what is not ours."""
        return self._tried(lambda fs: self._standing(fs, file, replace=replace), file.name)

    def put(self, product: Product, file: PublishedFile, standing: Existing, *, replace: bool) -> None:
        """Upload the product's file."""
        seen: list[Existing] = [standing]

        def upload(fs: Any) -> None:
            # a second try may find what the first one brought there before it lost its answer
            found = seen.pop() if seen else self._standing(fs, file, replace=replace)
            if found is Existing.IT:
                return
            new = found is Existing.NOTHING
            if new and not self._uploader.exclusive:
                found = self._standing(fs, file, replace=replace)
                if found is Existing.IT:
                    return
            try:
                self._uploader.put(fs, product.file, self._path(file.name), file.name, new=new)
            except LookAgain:
                upload(fs)
            except FileExistsError:
                self._come_meanwhile(fs, file, replace=replace)

        self._tried(upload, file.name)
        self._known[file.name] = file.size

    def _come_meanwhile(self, fs: Any, file: PublishedFile, *, replace: bool) -> None:
        """Raise where what has come under a name since somebody looked is not the very file."""
        found = self._standing(fs, file, replace=False) if not replace else Existing.NOTHING
        if found is not Existing.IT:
            raise TransferError(
                f"Something is in the way of {self._shown}/{file.name}, or comes and goes there.",
                kind="exists",
                hint="Move it away, then start again.",
            )

    def settle(self, names: Sequence[str]) -> None:
        """Do nothing: what the storage has said is there is its care."""

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Fetch a file, and return whether it is what it should be; else there is none."""
        if self.size(file.name) != file.size:
            return False
        try:
            self._fetch(file.name, path)
        except TransferError:
            return False
        if path.stat().st_size == file.size and digest_of(path) == file.sha256:
            return True
        path.unlink()
        self._known.pop(file.name, None)
        return False

    def at_hand(self, name: str, folder: Path) -> Path:
        """Fetch a file into a folder."""
        mark = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        path = folder / f"{mark}-{name.rpartition('/')[2]}"  # its ending may say what it is
        self._fetch(name, path)
        return path

    def problem(self, file: PublishedFile) -> str | None:
        """Read a file, and return what is wrong with it."""

        def look(fs: Any) -> str | None:
            info = _info(fs, self._path(file.name))
            if info is None or info["type"] != "file":
                return "is missing"
            if info["size"] != file.size:
                return f"has {info['size']} bytes instead of {file.size}"
            same = self._digest(fs, file.name) == file.sha256
            return None if same else "has another content than was downloaded"

        return self._tried(look, file.name)

    def close(self) -> None:
        """Let the connections go."""
        with self._mutex:
            self._fs = None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root else name

    def _info(self, name: str) -> Any:
        return self._tried(lambda fs: _info(fs, self._path(name)), name)

    def _below(self, fs: Any, root: str) -> Iterable[Any]:
        """Yield what is known of each file below a folder."""
        if self._protocol in OBJECTS:  # in one list
            with contextlib.suppress(FileNotFoundError):
                yield from fs.find(root, detail=True).values()
            return
        folders = [root]
        while folders:
            self._patience.stop.check()
            folder = folders.pop()
            try:
                listed = fs.ls(folder, detail=True)
            except FileNotFoundError:
                continue
            except Exception as error:  # each library has its own
                if broken(folder, error).kind != "denied":
                    raise
                continue  # such as lost+found; a name in it that matters is asked for by itself
            for info in listed:
                if info["type"] != "directory":
                    yield info
                elif info["name"].rstrip("/") != folder.rstrip("/"):
                    folders.append(info["name"])

    def _standing(self, fs: Any, file: PublishedFile, *, replace: bool) -> Existing:
        info = _info(fs, self._path(file.name))
        if info is None:
            return Existing.NOTHING
        is_file = info["type"] == "file"
        if is_file and replace:
            return Existing.OLD  # it costs less to upload it again than to read it
        if is_file and info["size"] == file.size and self._digest(fs, file.name) == file.sha256:
            return Existing.IT
        raise foreign(f"{self._shown}/{file.name}", is_file=is_file)

    def _digest(self, fs: Any, name: str) -> str:
        digest = hashlib.sha256()
        with fs.open(self._path(name), "rb", block_size=CHUNK) as file:
            while piece := file.read(CHUNK):
                self._patience.stop.check()
                digest.update(piece)
        return digest.hexdigest()

    def _fetch(self, name: str, path: Path) -> None:
        def fetch(fs: Any) -> None:
            try:
                fs.get_file(self._path(name), str(path))
            except FileNotFoundError:
                raise TransferError(f"{self._shown}/{name} is not there any more.", kind="missing") from None

        self._tried(fetch, name)

    def _tried(self, call: Callable[[Any], T], name: str = "") -> T:
        """Return what a call returns, tried again while that makes sense."""
        patience, begun = self._patience, time.monotonic()
        retries = Retries(
            patience.retries,
            patience.delay,
            lambda host: self._reached and time.monotonic() - begun < patience.outage,
        )
        where = f"{self._shown}/{name}" if name else self._shown
        while True:
            patience.stop.check()
            fs = None
            try:
                fs = self._storage()
                result = call(fs)
            except ArgosyError:
                raise
            except Exception as error:  # of a library that may raise anything
                if not self._reached and of_options(error):
                    raise self._misconfigured(error) from None
                cause = broken(where, error)
                self._drop(fs)
            else:
                self._reached, self._told = True, False
                return result
            cause.message, cause.args = self._scrub(cause.message), (self._scrub(cause.message),)
            self._wait(retries, cause)

    def _misconfigured(self, error: Exception) -> ConfigError:
        said = self._scrub(reason(error))
        return ConfigError(
            f"The options of {self._shown} are not what the library for {self._protocol} takes: {said}.",
            hint="They stand under its own names in directory.options of the configuration.",
        )

    def _wait(self, retries: Retries, cause: Broken) -> None:
        try:
            seconds = retries.after(cause)
        except TransferError:
            raise cause.final() from None
        if cause.kind == "connect" and self._reached and not self._told:
            self._told = True
            self._patience.notice(f"{cause.message} Waiting for it.")
        self._patience.stop.sleep(seconds)

    def _storage(self) -> Any:
        with self._mutex:
            if self._fs is None:
                self._fs, root = self._connect()
                self._root = root.rstrip("/")
            return self._fs

    def _drop(self, fs: Any) -> None:
        """Let a file system go whose connection may be broken; others may have made a new one since."""
        with self._mutex:
            if fs is self._fs and self._protocol not in OBJECTS:
                self._fs = None


def _info(fs: Any, path: str) -> Any:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return fs.info(path)
    return None
