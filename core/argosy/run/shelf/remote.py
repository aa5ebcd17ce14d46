"""A shelf in a remote storage, through fsspec: S3, SFTP, whatever has a file system there.

Every call may fail because the service is down or far away; so each of them is tried again, with pauses, as the
requests of a download are.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from argosy.config.remote import OBJECTS
from argosy.errors import ArgosyError, ConfigError, TransferError
from argosy.model import KeptFile, Product
from argosy.run.retrying import Retries
from argosy.run.shelf.contract import Patience, Standing, digest_of, foreign
from argosy.run.shelf.failures import Broken, broken, of_options, reason
from argosy.run.shelf.storages import LookAgain, Uploader

T = TypeVar("T")

#: Bytes that are read at once where a file is compared.
CHUNK = 8 * 1024 * 1024


class RemoteShelf:
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

    def learn(self, files: Iterable[KeptFile]) -> None:
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

    def standing(self, file: KeptFile, *, replace: bool) -> Standing:
        """Return what stands under a name; refuse to replace what is not ours."""
        return self._tried(lambda fs: self._standing(fs, file, replace=replace), file.name)

    def put(self, product: Product, file: KeptFile, standing: Standing, *, replace: bool) -> None:
        """Upload the product's file."""
        seen: list[Standing] = [standing]

        def upload(fs: Any) -> None:
            # a second try may find what the first one brought there before it lost its answer
            found = seen.pop() if seen else self._standing(fs, file, replace=replace)
            if found is Standing.IT:
                return
            new = found is Standing.NOTHING
            if new and not self._uploader.exclusive:
                found = self._standing(fs, file, replace=replace)
                if found is Standing.IT:
                    return
            try:
                self._uploader.put(fs, product.file, self._path(file.name), file.name, new=new)
            except LookAgain:
                upload(fs)
            except FileExistsError:
                self._come_meanwhile(fs, file, replace=replace)

        self._tried(upload, file.name)
        self._known[file.name] = file.size

    def _come_meanwhile(self, fs: Any, file: KeptFile, *, replace: bool) -> None:
        """Raise where what has come under a name since somebody looked is not the very file."""
        found = self._standing(fs, file, replace=False) if not replace else Standing.NOTHING
        if found is not Standing.IT:
            raise TransferError(
                f"Something is in the way of {self._shown}/{file.name}, or comes and goes there.",
                kind="exists",
                hint="Move it away, then start again.",
            )

    def settle(self, names: Sequence[str]) -> None:
        """Do nothing: what the storage has said is there is its care."""

    def take(self, file: KeptFile, path: Path) -> bool:
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

    def problem(self, file: KeptFile) -> str | None:
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

    def _standing(self, fs: Any, file: KeptFile, *, replace: bool) -> Standing:
        info = _info(fs, self._path(file.name))
        if info is None:
            return Standing.NOTHING
        is_file = info["type"] == "file"
        if is_file and replace:
            return Standing.OLD  # it costs less to upload it again than to read it
        if is_file and info["size"] == file.size and self._digest(fs, file.name) == file.sha256:
            return Standing.IT
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
