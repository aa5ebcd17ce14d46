"""File names that servers give (``Content-Disposition``, RFC 6266), and which item may use one.

A plan cannot know these names, and two items may get the same one. The first item claims it with a file in
``.argosy/names``, which all runs and processes of a target directory share. The other item's file gets 8 hex digits of
its URL's SHA-256 before the suffix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from typing import Any

from argosy.interfaces.storage import Storage
from argosy.models.items import Item, Job, Resource, StagedFile
from argosy.state.ledger import PRIVATE
from argosy.toolkit.names import MAX_PART, collision_key, marked, safe_part

#: Characters of the header that are parsed.
_MAX_HEADER = 4096


def content_disposition(headers: Mapping[str, str]) -> str | None:
    """Return the file name in ``Content-Disposition``, made safe, or None.

    ``filename*`` (RFC 8187) takes precedence over ``filename``, which is read as UTF-8 if it is valid. Folders are
    dropped (RFC 6266 section 4.3), as are leading dots and hyphens: a command would take ``-rf`` for an option.
    """
    value = headers.get("Content-Disposition", "")[:_MAX_HEADER]
    message = Message()
    message["Content-Disposition"] = value.replace("\r", " ").replace("\n", " ")
    plain, encoded = "", ""
    try:
        params: list[Any] = message.get_params([], "content-disposition") or []
        for key, text in params[1:]:
            if key.lower() != "filename":
                continue
            if isinstance(text, tuple):
                encoded = encoded or collapse_rfc2231_value(text)
            else:
                plain = plain or _as_utf8(text)
    except (ValueError, LookupError, TypeError, AttributeError):  # the parser fails in many ways on garbage
        return None
    last = (encoded or plain).replace("\\", "/").rpartition("/")[2].strip().lstrip(".-")
    return safe_part(last, limit=MAX_PART, keep_suffix=True) if last else None


def _as_utf8(text: str) -> str:
    """Decode a header as UTF-8, its usual encoding; `http.client` decoded it as Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


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

    def settle(self, job: Job, item: Item, files: tuple[StagedFile, ...]) -> tuple[StagedFile, ...]:
        """Return the files of an item; those with the server's name get one that only this item uses."""
        return tuple(
            self._named(job, item, file) if file.resource.content_disposition else file for file in files
        )

    def _named(self, job: Job, item: Item, file: StagedFile) -> StagedFile:
        resource = file.resource
        owner = _hash(f"{item.id}\n{resource.identity}")
        folder, slash, last = resource.path.rpartition("/")
        url = resource.url.partition("?")[0] if resource.ignore_query else resource.url
        for part in (last, marked(last, url)):
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
            try:
                with claim.open("x", encoding="ascii") as file:
                    file.write(owner)
            except FileExistsError:  # another thread or process was faster
                return False
            return True
        return claim.read_text("ascii", "replace") == owner


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
