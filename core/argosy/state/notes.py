"""What servers said with an item's complete files, and what outputs are publishing: notes beside the files in staging."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from argosy.models.items import PublishedFile, Verification
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.names import safe_part


class Notes:
    """The notes of one item, in a file of JSON lines that only grows, so that a later attempt does not ask again.

    A file costs more than everything else about a small item, and an item's last file usually completes the item a
    moment later. So the note of the last file is only written if something comes between.

    Parameters
    ----------
    folder
        The item's folder in staging.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "heads.jsonl"
        self._pending: list[dict[str, object]] = []
        self._found: dict[str, tuple[str | None, ResponseRecord | None]] | None = None

    def write(
        self, path: Path, name: str | None, response: ResponseRecord | None, *, later: bool = False
    ) -> None:
        """Note what a server said, before the file is complete.

        Parameters
        ----------
        path
            The file.
        name
            The name that the server gave it, if it was asked for; it is synced.
        response
            The response.
        later
            Whether the note may wait for `flush`.
        """
        if name is None and response is None:
            return
        said = response.to_json() if response else None
        self._pending.append({"of": path.name, "name": name, "response": said})
        if name is not None or not later:
            self.flush(sync=name is not None)

    def flush(self, *, sync: bool = False) -> None:
        """Write the pending notes, and sync them if asked."""
        if self._pending:
            self._append(self._pending, sync=sync)
            self._pending.clear()

    def publishing(self, files: Iterable[PublishedFile]) -> None:
        """Note which files outputs are about to publish: after a kill, they can be told from the user's own.

        They are not synced: a kill does not lose what was written.
        """
        lines = [{"put": file.name, "size": file.size, "sha256": file.sha256} for file in files]
        if lines:
            self._append(lines, sync=False)

    def published(self, name: str) -> Iterator[PublishedFile]:
        """Yield the files that were about to be published under a name."""
        for line in self._lines():
            with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
                value = json.loads(line)
                if value["put"] == name:
                    yield PublishedFile(name, int(value["size"]), str(value["sha256"]), Verification.DIGEST)

    def read(self, path: Path) -> tuple[str | None, ResponseRecord | None]:
        """Return the name and the response that were noted for a file; None for what was not."""
        if self._found is None:
            self._found = dict(filter(None, map(_parse, self._lines())))
        return self._found.get(path.name, (None, None))

    def _append(self, values: Iterable[object], *, sync: bool) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            for value in values:
                file.write(f"\n{json.dumps(value)}\n")  # a kill may have left half a line before it
            file.flush()
            if sync:
                os.fsync(file.fileno())

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []


def _parse(line: str) -> tuple[str, tuple[str | None, ResponseRecord | None]] | None:
    """Return what a line says; None if a kill cut it off."""
    try:
        value = json.loads(line)
        of, name, response = str(value["of"]), value["name"], value["response"]
        record = ResponseRecord.from_json(response) if response is not None else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    good = isinstance(name, str) and name and safe_part(name, keep_suffix=True) == name
    return of, (name if good else None, record)
