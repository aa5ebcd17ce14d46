"""What is to be known of each kind of remote storage: its library, and how a file gets its name there whole."""

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.config.remote import OBJECTS
from argosy.errors import ConfigError, StorageError

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
