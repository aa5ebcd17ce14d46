"""The base of remote storages: an fsspec file system, with retries, and uploads that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import inspect
import posixpath
import random
import socket
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from argosy.errors import ArgosyError, ConfigError, StorageError, TransferError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import OBJECT_STORES, Existing, Storage, foreign
from argosy.models.items import Product, PublishedFile
from argosy_plugins.storages._errors import Broken, broken, of_options, reason

T = TypeVar("T")

#: Bytes per read while computing a digest.
CHUNK = 8 * 1024 * 1024

#: Seconds of the longest pause between two attempts.
LONGEST_BACKOFF = 60.0

#: Characters of a file name to show: a key given in the place of its file's name is longer.
_LONGEST_NAME = 200


class _CheckFirst(Exception):
    """The storage cannot create a file exclusively: check its name right before the upload."""


class RemoteStorage(Storage):
    """A folder of an fsspec file system."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.url = str(options["url"])
        self.protocol = self.url.partition("://")[0]
        self._objects = self.protocol in OBJECT_STORES
        self._root = ""
        self._mutex = threading.Lock()
        self._fs: Any = None
        self._reached = self._told = False
        self._known: dict[str, int] = {}
        #: Whether the service can create files exclusively; unknown before the first upload.
        self._exclusive = True

    # -- what differs between protocols

    @abstractmethod
    def file_system(self) -> Any:
        """Import the library, and return the class of the file system; raise ConfigError if it is not installed."""

    def defaults(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with argosy's defaults."""
        return options

    def upload_options(self, file: Path, name: str) -> dict[str, Any]:
        """Return options for the upload of one object."""
        return {}

    def rename_new(self, fs: Any, old: str, new: str) -> None:
        """Rename a file unless the new name exists (FileExistsError)."""
        if fs.exists(new):  # not atomic, but fsspec has nothing better
            raise FileExistsError(errno.EEXIST, "the name exists", new)
        fs.mv(old, new)

    # -- the interface

    def check(self) -> None:
        """Import the library, and resolve the secrets."""
        self.connection()

    def prepare(self) -> None:
        """Check that the storage is reachable and grants access."""

        def look(fs: Any) -> None:
            if self._objects:  # a refused listing has a message, unlike a refused HEAD
                fs.find(f"{self._root}/.argosy-is-here")
            else:
                fs.makedirs(self._root or "/", exist_ok=True)

        self._repeat(look)

    def survey(self) -> None:
        """List all files."""

        def find(fs: Any) -> dict[str, int]:
            start = len(self._root) + 1 if self._root else 0
            return {
                str(info["name"])[start:]: int(info["size"])
                for info in self._below(fs, self._root or "/")
                if info.get("type") == "file"
            }

        self._known = self._repeat(find)

    def learn(self, files: Iterable[PublishedFile]) -> None:
        """Note files that another process has put."""
        self._known.update((file.name, file.size) for file in files)

    def size(self, name: str) -> int | None:
        """Return the size of a file; the answer for a known name is cached."""
        if name in self._known:
            return self._known[name]
        info = self._info(name)
        return int(info["size"]) if info is not None and info["type"] == "file" else None

    def occupied(self, name: str) -> bool:
        """Return whether anything has a name."""
        return name in self._known or self._info(name) is not None

    def existing(self, file: PublishedFile, *, replace: bool) -> Existing:
        """Return what has the name of a file."""
        return self._repeat(lambda fs: self._existing(fs, file, replace=replace), file.name)

    def put(self, product: Product, file: PublishedFile, existing: Existing, *, replace: bool) -> None:
        """Upload a product."""
        first = [existing]

        def upload(fs: Any) -> None:
            # a repeated attempt may find the file of an earlier one whose response was lost
            found = first.pop() if first else self._existing(fs, file, replace=replace)
            if found is Existing.NOTHING and not self._exclusive:
                found = self._existing(fs, file, replace=replace)
            if found is Existing.IT:
                return
            try:
                self._upload(fs, product.file, file.name, new=found is Existing.NOTHING)
            except _CheckFirst:
                upload(fs)
            except FileExistsError:
                if replace or self._existing(fs, file, replace=False) is not Existing.IT:
                    raise TransferError(
                        f"Something else creates or removes {self.url}/{file.name}.",
                        kind="exists",
                        hint="Move it away, then start again.",
                    ) from None

        self._repeat(upload, file.name)
        self._known[file.name] = file.size

    def take(self, file: PublishedFile, path: Path) -> bool:
        """Download an intact file."""
        intact = super().take(file, path)
        if not intact:
            self._known.pop(file.name, None)
        return intact

    def fetch(self, name: str, path: Path) -> None:
        """Download a file."""

        def fetch(fs: Any) -> None:
            try:
                fs.get_file(self._path(name), str(path))
            except FileNotFoundError:
                raise TransferError(f"{self.url}/{name} no longer exists.", kind="missing") from None

        self._repeat(fetch, name)

    def problem(self, file: PublishedFile) -> str | None:
        """Read a whole file, and return what is wrong with it."""

        def look(fs: Any) -> str | None:
            info = _info(fs, self._path(file.name))
            if info is None or info["type"] != "file":
                return "is missing"
            if info["size"] != file.size:
                return f"has {info['size']} bytes instead of {file.size}"
            same = self._digest(fs, file.name) == file.sha256
            return None if same else "has different content than was downloaded"

        return self._repeat(look, file.name)

    def close(self) -> None:
        """Drop the connections."""
        with self._mutex:
            self._fs = None

    # -- looking

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root else name

    def _info(self, name: str) -> Any:
        return self._repeat(lambda fs: _info(fs, self._path(name)), name)

    def _below(self, fs: Any, root: str) -> Iterable[Any]:
        """Yield the information about each file below a folder."""
        if self._objects:  # one listing
            with contextlib.suppress(FileNotFoundError):
                yield from fs.find(root, detail=True).values()
            return
        folders = [root]
        while folders:
            self.patience.stop.check()
            folder = folders.pop()
            try:
                listed = fs.ls(folder, detail=True)
            except FileNotFoundError:
                continue
            except Exception as error:  # each library has its own
                if broken(folder, error).kind != "denied":
                    raise
                continue  # such as lost+found; names in it are looked up one by one
            for info in listed:
                if info["type"] != "directory":
                    yield info
                elif info["name"].rstrip("/") != folder.rstrip("/"):
                    folders.append(info["name"])

    def _existing(self, fs: Any, file: PublishedFile, *, replace: bool) -> Existing:
        info = _info(fs, self._path(file.name))
        if info is None:
            return Existing.NOTHING
        is_file = info["type"] == "file"
        if is_file and replace:
            return Existing.OLD  # to upload it again costs less than to read it
        if is_file and info["size"] == file.size and self._digest(fs, file.name) == file.sha256:
            return Existing.IT
        raise foreign(f"{self.url}/{file.name}", is_file=is_file)

    def _digest(self, fs: Any, name: str) -> str:
        digest = hashlib.sha256()
        with fs.open(self._path(name), "rb", block_size=CHUNK) as file:
            while chunk := file.read(CHUNK):
                self.patience.stop.check()
                digest.update(chunk)
        return digest.hexdigest()

    # -- uploads

    def _upload(self, fs: Any, file: Path, name: str, *, new: bool) -> None:
        """Upload a file; raise FileExistsError if it must be new and is not."""
        path = self._path(name)
        if not self._objects:
            self._upload_and_rename(fs, file, path, new=new)
            return
        options = self.upload_options(file, name)
        if new and self._exclusive and "mode" in _parameters(getattr(fs, "_put_file", fs.put_file)):
            try:
                fs.put_file(str(file), path, mode="create", **options)
            except FileExistsError:
                raise
            except (OSError, NotImplementedError) as error:
                # "not implemented", an unknown header, or 412 without a message: services differ
                if isinstance(error, OSError) and error.errno not in (errno.ENOSYS, errno.EINVAL):
                    raise
                self._exclusive = False
                raise _CheckFirst from None
        else:
            fs.put_file(str(file), path, **options)
        _check_size(fs, file, path)

    def _upload_and_rename(self, fs: Any, file: Path, path: str, *, new: bool) -> None:
        folder = posixpath.dirname(path)
        temporary = self.temporary(path)
        _make_folder(fs, folder)
        try:
            fs.put_file(str(file), temporary)  # replaces the file of an interrupted upload
            _check_size(fs, file, temporary)
            if new:
                self.rename_new(fs, temporary, path)
            else:
                fs.mv(temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                fs.rm_file(temporary)
            raise

    def temporary(self, path: str) -> str:
        """Return the path for an unfinished upload; two machines or two ledgers never use the same one."""
        text = f"{socket.gethostname()}\n{self.context.directory}\n{path}".encode("utf-8", "surrogatepass")
        mark = hashlib.blake2b(text, digest_size=8).hexdigest()
        return posixpath.join(posixpath.dirname(path), f".argosy-{mark}.part")

    # -- connections and attempts

    def connection(self) -> tuple[Any, dict[str, Any]]:
        """Return the class of the file system and its options, with secrets; raise ConfigError if one is missing."""
        cls = self.file_system()
        options = self.defaults(self._resolved(self.options.get("options", {})))
        return cls, {**_options_of_url(cls, self.url), **options}

    def _resolved(self, value: Any) -> Any:
        """Return options with secrets instead of references."""
        if isinstance(value, Mapping):
            if value.keys() & {"env", "file", "keyring", "prompt"}:
                return self.context.secret(value).reveal()
            return {key: self._resolved(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolved(inner) for inner in value]
        return value

    def _connect(self) -> Any:
        with self._mutex:
            if self._fs is None:
                cls, options = self.connection()
                # no shared instances or cached listings: other programs may change the folder
                fs = made(self.protocol, cls, {**options, "skip_instance_cache": True})
                fs.dircache.use_listings_cache = False
                self._fs, self._root = fs, str(cls._strip_protocol(self.url)).rstrip("/")
            return self._fs

    def _drop(self, fs: Any) -> None:
        """Drop a file system whose connection may be broken, unless another thread has replaced it."""
        with self._mutex:
            if fs is self._fs and not self._objects:
                self._fs = None

    def _repeat(self, call: Callable[[Any], T], name: str = "") -> T:
        """Return the result of a call; repeat it after errors that may pass."""
        begun, retries, outages = time.monotonic(), 0, 0
        where = f"{self.url}/{name}" if name else self.url
        while True:
            self.patience.stop.check()
            fs = None
            try:
                fs = self._connect()
                result = call(fs)
            except ArgosyError:
                raise
            except Exception as error:  # each library has its own
                if not self._reached and of_options(error):
                    raise self._misconfigured(error) from None
                cause = broken(where, error)
                self._drop(fs)
            else:
                self._reached, self._told = True, False
                return result
            if self._is_outage(cause) and time.monotonic() - begun < self.patience.outage:
                outages += 1
            elif cause.retryable and retries < self.patience.retries:
                retries += 1
            else:
                raise cause.final()
            longest = min(self.patience.delay * 2.0 ** min(retries + outages - 1, 20), LONGEST_BACKOFF)
            self.patience.stop.sleep(random.uniform(0, longest))  # noqa: S311 - not a secret

    def _is_outage(self, cause: Broken) -> bool:
        if cause.kind != "connect" or not self._reached:
            return False
        if not self._told:
            self._told = True
            self.context.notice(f"{cause.message} Waiting for it.")
        return True

    def _misconfigured(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"The library for {self.protocol} rejected the options of {self.url}: {reason(error)}.",
            hint="argosy passes directory.options to it unchanged.",
        )


def made(protocol: str, cls: Any, options: Mapping[str, Any]) -> Any:
    """Return a file system; raise ConfigError if a library or a file that the options name is missing."""
    try:
        return cls(**options)
    except ImportError as error:  # some import their library only now
        raise not_installed(protocol, error) from None
    except OSError as error:
        if not isinstance(error.filename, str | Path):
            raise  # a network error
        name = str(error.filename)
        shown = f": {name}" if name.isprintable() and len(name) < _LONGEST_NAME else ""  # it may be a key
        raise ConfigError(
            f"The options of the directory name an unreadable file ({error.strerror}){shown}.",
            hint="A relative path is relative to the folder in which argosy is started.",
        ) from None


def not_installed(protocol: str, error: ImportError) -> ConfigError:
    """Return the error for a protocol whose library is missing."""
    return ConfigError(
        f"The directory is a {protocol} URL, but the library for it is not installed.",
        hint=f"fsspec says: {error}.",
    )


def extra_missing(protocol: str, library: str, extra: str) -> ConfigError:
    """Return the error for a protocol whose extra is not installed."""
    return ConfigError(
        f"The directory is a {protocol} URL, but the library {library} is not installed.",
        hint=f"Install it: pip install 'argosy[{extra}]'.",
    )


def _options_of_url(cls: Any, url: str) -> dict[str, Any]:
    """Return the options in a URL: host, port, user."""
    found = {key: value for key, value in cls._get_kwargs_from_urls(url).items() if key != "path"}
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if "host" in found and host.startswith("["):  # fsspec keeps the brackets, or cuts at the first colon
        found["host"] = host[1:].partition("]")[0]
    return found


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    return inspect.signature(function).parameters


def _info(fs: Any, path: str) -> Any:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return fs.info(path)
    return None


def _make_folder(fs: Any, folder: str) -> None:
    """Make a folder and its parents; raise NotADirectoryError if one of them is a file."""
    try:
        fs.makedirs(folder, exist_ok=True)
    except Exception:  # each library has its own
        while folder not in ("", "/"):
            if _is_file(fs, folder):
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the place of a folder") from None
            folder = posixpath.dirname(folder)
        raise


def _is_file(fs: Any, path: str) -> bool:
    try:
        return bool(fs.info(path)["type"] == "file")
    except Exception:  # each library has its own for a missing file
        return False


def _check_size(fs: Any, file: Path, path: str) -> None:
    size, stored = file.stat().st_size, fs.info(path)["size"]
    if size != stored:
        with contextlib.suppress(Exception):
            fs.rm_file(path)
        raise StorageError(
            f"The storage stored {stored} of the {size} bytes that were uploaded, so they were removed.",
            hint="Fix the storage, then start again: finished files are kept.",
        )
