"""Which item may use a file name that a server gave (``Content-Disposition``).

A plan cannot know these names, and two items may get the same one. The first item claims it with a file in
``.argosy/names``, which all runs and processes of a target directory share. The other item's file gets 8 hex digits of
its URL's SHA-256 before the suffix.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

from argosy.interfaces.storage import Storage
from argosy.models.items import Item, Job, Resource, StagedFile
from argosy.state.ledger import PRIVATE
from argosy.toolkit.names import collision_key, with_digest


def renamed(resource: Resource, name: str | None) -> Resource:
    """Return a resource with the last part of its path replaced by a name, if there is one."""
    if name is None:
        return resource
    folder, slash, _ = resource.path.rpartition("/")
    return replace(resource, path=f"{folder}{slash}{name}")


class Names:
    """The claims on names that servers gave, in one target directory."""

    def __init__(self, directory: Path, storage: Storage) -> None:
        self._claims = directory / PRIVATE / "names"
        self._storage = storage

    def settle(self, job: Job, item: Item, file: StagedFile) -> StagedFile:
        """Return a file of an item; if it has the server's name, under one that only this item uses."""
        resource = file.resource
        if not resource.content_disposition:
            return file
        owner = _hash(f"{item.id}\n{resource.identity}")
        folder, slash, last = resource.path.rpartition("/")
        url = resource.url.partition("?")[0] if resource.ignore_query else resource.url
        for part in (last, with_digest(last, url)):
            path = f"{folder}{slash}{part}"
            if self._claim(f"{item.folder}/{path}" if item.folder else path, owner, job):
                break
        return replace(file, resource=replace(resource, path=path))

    def _claim(self, name: str, owner: str, job: Job) -> bool:
        claim = self._claims / _hash(collision_key(name))
        if not claim.exists():
            if not (job.force or name in job.replaces or not self._storage.occupied(name)):
                return False  # the file belongs to an item that named it itself, or is not ours
            self._claims.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError), claim.open("x", encoding="ascii") as file:
                file.write(owner)
        return claim.read_text("ascii", "replace") == owner


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
