"""Staging: where an item's resources are until they are complete, verified, published and recorded.

It is ``.argosy/staging`` of the target directory, on the same file system, so files are published without copying. All
files of an item begin with its key, a digest of its id. They stay until the ledger says that the item is done: a later
run recognizes by them which files of an unrecorded item are its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from argosy.models.items import Item, PublishedFile, Resource, Verification
from argosy.models.response_record import ResponseRecord
from argosy.state.ledger import PRIVATE, Row
from argosy.toolkit.files import digest_of
from argosy.toolkit.names import safe_part
from argosy.toolkit.processes import process_lives

#: The prefix of scratch folders; the suffixes of links to published files and of notes; the bytes of an item's key.
_SCRATCH, _KEPT, _NOTES, _KEY = "scratch-", ".kept", "notes.jsonl", 16


class StagingArea:
    """The staging of a target directory; `prepare` it before use. A worker may keep files, but not notes, in a folder."""

    def __init__(self, directory: Path, folder: Path | None = None) -> None:
        self.path = directory / PRIVATE / "staging"
        self.folder = folder or self.path
        self._scratches: list[Path] = []
        self._numbers = itertools.count()
        self._thread = threading.local()
        self._left: frozenset[str] = frozenset()  # the keys of items that an earlier run left files of

    def prepare(self) -> None:
        """Make the folder, and look for files that earlier runs have left."""
        self.path.mkdir(parents=True, exist_ok=True)
        names = (path.name for path in self.path.iterdir())
        self._left = frozenset(name[: _KEY * 2] for name in names if not name.startswith(_SCRATCH))

    def files(self, id_: str) -> list[Path]:
        """Return all files of an item, which takes a look at the whole folder."""
        return list(self.folder.glob(f"{key_of(id_)}-*"))

    def remove(self, id_: str, names: Iterable[str]) -> None:
        """Remove the files of an item that is recorded: those with these names, and any that an earlier run left."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.path}/{name}")  # noqa: PTH108 - for each item: a Path costs time
        if key_of(id_) in self._left:
            for path in self.files(id_):
                path.unlink(missing_ok=True)

    def scratch(self, number: int = 0) -> Path:
        """Return an empty folder for an output of the item that this thread works on; the next item gets the same."""
        folder: Path | None = getattr(self._thread, "scratch", None)
        if folder is None:
            folder = self._thread.scratch = self.folder / f"{_SCRATCH}{os.getpid()}-{next(self._numbers)}"
            self._scratches.append(folder)
        path = folder / str(number)
        try:
            with os.scandir(path) as entries:
                if next(entries, None) is None:
                    return path
            shutil.rmtree(path)
        except FileNotFoundError:
            pass
        path.mkdir(parents=True)
        return path

    def close(self) -> None:
        """Remove the scratch folders of this process."""
        while self._scratches:
            shutil.rmtree(self._scratches.pop(), ignore_errors=True)

    # -- what dead runs left

    def tidy(self, row: Row) -> None:
        """Remove the links and useless notes that a dead run left of an item; its downloads stay."""
        for path in self.files(row.id):
            if path.name.endswith(_KEPT):
                path.unlink(missing_ok=True)
        # a done item may lack nothing once its outputs are back in place: then no run will remove its notes
        recorded = {(file.name, file.size, file.sha256) for file in row.files}
        notes = Notes(self.path / f"{key_of(row.id)}-{_NOTES}")
        published = {(file.name, file.size, file.sha256) for file in notes.published()}
        if published <= recorded and all(path == notes.path for path in self.files(row.id)):
            notes.path.unlink(missing_ok=True)

    def sweep(self, done: Iterable[str]) -> None:
        """Remove what runs left that died after they had recorded an item, given the ids of all that are done."""
        for folder in self.path.glob(f"{_SCRATCH}[0-9]*-*"):
            if not process_lives(int(folder.name.split("-")[1])):
                shutil.rmtree(folder, ignore_errors=True)
        if self._left:
            for id_ in done:
                self.remove(id_, ())


def key_of(id_: str) -> str:
    """Return the first part of the names of an item's files."""
    return hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=_KEY).hexdigest()


class Staging:
    """The staged files of one item."""

    def __init__(self, area: StagingArea, item: Item) -> None:
        self._area = area
        self._id = item.id
        self._prefix = f"{area.folder}/{key_of(item.id)}"
        self._names: list[str] = []
        self.notes = Notes(f"{area.path}/{key_of(item.id)}-{_NOTES}")

    def clear(self) -> None:
        """Remove everything that earlier attempts left."""
        for path in self._area.files(self._id):
            path.unlink(missing_ok=True)

    def whole(self, number: int, resource: Resource) -> Path:
        """Return the path of a complete resource; while it arrives, it has the suffix ``.part``."""
        # a source may expand its item to other resources the next time
        text = f"{resource.size} {resource.identity}"
        mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        return self._named(f"-{number}-{mark}")

    def kept(self, number: int) -> Path:
        """Return the path of a link to a resource that is already published."""
        return self._named(f"-{number}{_KEPT}")

    def names(self) -> tuple[str, ...]:
        """Return the names to remove once the item is recorded."""
        return (*self._names, self.notes.path.name) if self.notes.is_written else tuple(self._names)

    def let_go(self) -> None:
        """Remove the links to published files."""
        for name in self._names:
            if name.endswith(_KEPT):
                (self._area.folder / name).unlink(missing_ok=True)

    def left(self, name: str, size: int | None) -> Iterator[PublishedFile]:
        """Yield what a killed run may have published under a name, where a file has this size; the ledger lacks it."""
        yield from (file for file in self.notes.published() if file.name == name)
        for path in self._area.files(self._id):
            if path.stat().st_size == size:
                yield PublishedFile(name, size, digest_of(path), Verification.NONE)

    def _named(self, suffix: str) -> Path:
        path = Path(self._prefix + suffix)
        self._names.append(path.name)
        return path


class Notes:
    """What servers said about an item's files and what outputs are publishing, for a later attempt; JSON lines."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self.is_written = False
        self._pending: list[dict[str, Any]] = []
        self._found: dict[str, dict[str, Any]] | None = None  # the notes of an earlier attempt, by file

    @property
    def path(self) -> Path:
        """The file; most items have none, and to make a `Path` for each costs memory: Python interns its parts."""
        return Path(self._path)

    def write(self, path: Path, name: str | None, response: ResponseRecord | None, *, later: bool = False) -> None:
        """Note a staged file's response and its name by the server; sync a name, else `later` waits for `flush`.

        Writing costs more than the rest of a small item, and the last file completes the item a moment later.
        """
        if name is not None or response is not None:
            record = response.to_json() if response else None
            self._pending.append({"of": path.name, "name": name, "response": record})
            if name is not None or not later:
                self.flush(sync=name is not None)

    def publishing(self, files: Iterable[PublishedFile]) -> None:
        """Note which files outputs are about to publish; written data survives a kill, so no sync."""
        notes = [{"put": file.name, "size": file.size, "sha256": file.sha256} for file in files]
        if notes:
            self._pending += notes
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Write the pending notes."""
        if not self._pending:
            return
        self.is_written = True
        with self.path.open("a", encoding="utf-8") as file:
            for note in self._pending:
                file.write(f"\n{json.dumps(note)}\n")  # a kill may have left half a line before it
            file.flush()
            if sync:
                os.fsync(file.fileno())
        self._pending.clear()

    def published(self) -> Iterator[PublishedFile]:
        """Yield the files that were about to be published."""
        for note in self._read():
            if "put" in note:
                yield PublishedFile(note["put"], note["size"], note["sha256"], Verification.DIGEST)

    def read(self, path: Path) -> tuple[str | None, ResponseRecord | None]:
        """Return the name and the response that were noted for a file; None if missing."""
        if self._found is None:
            self._found = {note["of"]: note for note in self._read() if "of" in note}
        note = self._found.get(path.name, {})
        name, response = note.get("name"), note.get("response")
        is_safe = name is not None and safe_part(name, keep_suffix=True) == name
        return name if is_safe else None, None if response is None else ResponseRecord.from_json(response)

    def _read(self) -> Iterator[dict[str, Any]]:
        """Yield the notes; skip a line that a kill cut off."""
        lines = self.path.read_text("utf-8", "replace").splitlines() if self.path.exists() else ()
        for line in lines:
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def staged_bytes(directory: Path) -> int:
    """Return how many bytes are staged in a target directory, of all items."""
    size = 0
    for path in (directory / PRIVATE / "staging").rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # another run has just finished it
            size += path.stat().st_size if path.is_file() else 0
    return size
