"""Staging: the folder of an item's resources until they are complete, verified and published.

It is in ``.argosy/staging`` of the target directory, on the same file system, so files are published without copying.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from argosy.interfaces.storage import digest_of
from argosy.models.items import Item, PublishedFile, Resource, Verification
from argosy.models.response_record import ResponseRecord
from argosy.state.ledger import PRIVATE, Row
from argosy.toolkit.names import safe_part
from argosy.toolkit.processes import process_lives

#: The prefixes of spare and scratch folders (item folders have hexadecimal names); the suffix of links to published files;
#: the notes of an item.
_SPARE, _SCRATCH, _KEPT, _NOTES = "spare-", "output-", ".kept", "notes.jsonl"

_MOST_SPARE = 64


class StagingArea:
    """The staging folders of a target directory.

    Making and removing a folder is the most expensive disk operation of a small file, and a rename is cheap. So the
    next item reuses the empty folder of a finished one.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / PRIVATE / "staging"
        self._numbers = itertools.count()
        self._spare: list[Path] = []  # used by all threads: append and pop are atomic

    def folder(self, id_: str) -> Path:
        """Return the path of an item's folder."""
        return self.path / hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def make(self, folder: Path) -> None:
        """Make an item's folder, or keep it as an earlier attempt left it."""
        if not folder.exists():
            try:
                self._spare.pop().rename(folder)
            except (IndexError, FileNotFoundError):  # there is no spare folder, or someone removed it
                folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def finishing(self, id_: str) -> Iterator[None]:
        """Remove everything staged for an item at the end of the block; keep its folder for another item.

        The block records in the ledger that the item is done. Until then, the staged files prove that published files
        are the item's own. So the folder is set aside first: after a kill, `tidy` brings it back if the item is not
        recorded, and else the next run removes it.
        """
        folder = self.folder(id_)
        aside = self._new_path(f"-{folder.name}")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            yield
            return
        try:
            yield
        except BaseException:
            aside.rename(folder)
            raise
        if len(self._spare) < _MOST_SPARE:  # worker processes have spare folders of their own
            with contextlib.suppress(OSError):
                _remove_files(aside)
                self._spare.append(aside)
                return
        shutil.rmtree(aside, ignore_errors=True)

    def spare(self) -> Path:
        """Return a new empty folder, which the caller removes."""
        path = self._new_path()
        path.mkdir(parents=True)
        return path

    def _new_path(self, suffix: str = "") -> Path:
        return self.path / f"{_SPARE}{os.getpid()}-{next(self._numbers)}{suffix}"

    def tidy(self, row: Row) -> None:
        """Remove the scratch folders, links and useless notes that a dead run left of an item; its downloads stay."""
        folder = self.folder(row.id)
        for aside in self.path.glob(f"{_SPARE}*-{folder.name}"):
            if any(path.is_file() for path in aside.iterdir()):  # set aside, but not recorded in the ledger
                with contextlib.suppress(OSError):
                    aside.rename(folder)
        for path in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in folder.glob(f"*{_KEPT}"):
            path.unlink(missing_ok=True)
        # a done item may lack nothing once its outputs are back in place: then no run will remove its folder
        recorded = {(file.name, file.size, file.sha256) for file in row.files}
        published = {(file.name, file.size, file.sha256) for file in Notes(folder).published()}
        if published <= recorded and all(path.name == _NOTES for path in folder.glob("*")):
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the spare folders of this process."""
        while self._spare:
            shutil.rmtree(self._spare.pop(), ignore_errors=True)

    def dead(self) -> list[Path]:
        """Return the spare folders of processes that died, and those that they had set aside."""
        folders = self.path.glob(f"{_SPARE}[0-9]*-*")
        return [path for path in folders if not process_lives(int(path.name.split("-")[1]))]


class Staging:
    """The staging folder of one item."""

    def __init__(self, area: StagingArea, item: Item) -> None:
        self._area = area
        self._id = item.id
        self.folder = area.folder(item.id)
        self.notes = Notes(self.folder)

    def prepare(self, *, anew: bool = False) -> None:
        """Make the folder, or keep the one of an earlier attempt, unless everything is downloaded `anew`."""
        if anew:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._area.make(self.folder)

    def whole(self, number: int, resource: Resource) -> Path:
        """Return the path of a complete resource."""
        # a source may expand its item to other resources the next time
        text = json.dumps([resource.identity, resource.size])
        mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        return self.folder / f"{number}-{mark}"

    def partial(self, number: int, resource: Resource) -> Path:
        """Return the path of a resource while it arrives."""
        return self.whole(number, resource).with_suffix(".part")

    def kept(self, number: int) -> Path:
        """Return the path of a link to a resource that is already published."""
        return self.folder / f"{number}{_KEPT}"

    def let_go(self) -> None:
        """Remove the links to published files; and the folder, if nothing else is staged."""
        for path in self.folder.glob(f"*{_KEPT}"):
            path.unlink(missing_ok=True)
        if not any(path.is_file() for path in self.folder.iterdir()):
            with self._area.finishing(self._id):
                pass

    def scratch(self, number: int) -> Path:
        """Return an empty folder for an output."""
        path = self.folder / f"{_SCRATCH}{number}"
        path.mkdir(exist_ok=True)
        if any(path.iterdir()):
            shutil.rmtree(path)
            path.mkdir()
        return path

    def left(self, name: str, size: int | None) -> Iterator[PublishedFile]:
        """Yield what a killed run may have published under a name, where a file has this size; the ledger lacks it."""
        yield from (file for file in self.notes.published() if file.name == name)
        for path in self.folder.iterdir():
            if path.is_file() and path.stat().st_size == size:
                yield PublishedFile(name, size, digest_of(path), Verification.NONE)


class Notes:
    """What servers said about an item's files and what outputs are publishing, for a later attempt; JSON lines."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NOTES
        self._pending: list[dict[str, Any]] = []
        self._found: dict[str, dict[str, Any]] | None = None  # the notes of an earlier attempt, by file

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
        with self._path.open("a", encoding="utf-8") as file:
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
        lines = self._path.read_text("utf-8", "replace").splitlines() if self._path.exists() else ()
        for line in lines:
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _remove_files(folder: Path) -> None:
    """Remove everything in a folder except empty folders."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 - for each item: a Path costs time
            elif any(Path(entry).iterdir()):
                shutil.rmtree(entry.path)


def staged_bytes(directory: Path) -> int:
    """Return how many bytes are staged in a target directory, of all items."""
    size = 0
    for path in (directory / PRIVATE / "staging").rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # another run has just finished it
            size += path.stat().st_size if path.is_file() else 0
    return size
