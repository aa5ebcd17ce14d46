"""What a server calls a file (RFC 6266), where the source asks for that, and whose name it becomes.

No plan knows such names beforehand: two items may be called the same. So a name is claimed by whoever comes first,
in a file below ``.argosy/names`` that all runs and processes of a target directory see, and stays that item's. The
other one has 8 hex digits of its URL's SHA-256 before its suffix.
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

#: Characters of the header that are looked at.
_MOST = 4096


def content_disposition(headers: Mapping[str, str]) -> str | None:
    """Return what ``Content-Disposition`` calls a file, made safe; None where it does not say.

    ``filename*`` (RFC 8187) counts before ``filename``, whose bytes are taken for UTF-8 where they are. Folders in
    it are left out (RFC 6266 section 4.3), and in front dots and hyphens: a command would take ``-rf`` for an option.
    """
    value = headers.get("Content-Disposition", "")[:_MOST]
    if "filename" not in value.lower():
        return None
    message = Message()
    message["Content-Disposition"] = value.replace("\r", " ").replace("\n", " ")
    plain, encoded = "", ""
    try:
        given: list[Any] = message.get_params([], "content-disposition") or []
        for key, text in given[1:]:
            if key.lower() != "filename":
                continue
            if isinstance(text, tuple):
                encoded = encoded or collapse_rfc2231_value(text)
            else:
                plain = plain or _as_utf8(text)
    except (ValueError, LookupError, TypeError, AttributeError):  # the parser's own, on rubbish
        return None
    name = encoded or plain
    last = name.replace("\\", "/").rpartition("/")[2].strip().lstrip(".-")
    return safe_part(last, limit=MAX_PART, keep_suffix=True) if last else None


def _as_utf8(text: str) -> str:
    """Return a header's text, whose bytes were taken for Latin-1, as the UTF-8 that it most often is."""
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
    """The names in a target directory that servers have given.

    Parameters
    ----------
    directory
        The target directory; the local folder of a remote one.
    shelf
        Its final names.
    """

    def __init__(self, directory: Path, storage: Storage) -> None:
        self._shelf = storage
        self._claims = directory / PRIVATE / "names"

    def settle(self, job: Job, item: Item, files: tuple[StagedFile, ...]) -> tuple[StagedFile, ...]:
        """Return the files under names that are theirs."""
        return tuple(
            self._settled(job, item, file) if file.resource.content_disposition else file for file in files
        )

    def _settled(self, job: Job, item: Item, file: StagedFile) -> StagedFile:
        resource = file.resource
        owner = hashlib.blake2b(
            f"{item.id}\n{resource.identity}".encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()
        folder, slash, last = resource.path.rpartition("/")
        url = resource.url.partition("?")[0] if resource.ignore_query else resource.url
        for part in (last, marked(last, url)):
            path = f"{folder}{slash}{part}"
            name = f"{item.folder}/{path}" if item.folder else path
            if self._claim(name, owner, job):
                break
        return replace(file, resource=replace(resource, path=path))

    def _claim(self, name: str, owner: str, job: Job) -> bool:
        key = hashlib.blake2b(
            collision_key(name).encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()
        claim = self._claims / key
        try:
            return claim.read_text("ascii", "replace") == owner
        except FileNotFoundError:
            pass
        # what stands there is of somebody who asked for the name, or no file of ours at all
        free = job.force or name in job.replaces or not self._shelf.occupied(name)
        if not free:
            return False
        self._claims.mkdir(exist_ok=True)
        try:
            with claim.open("x", encoding="ascii") as file:
                file.write(owner)
        except FileExistsError:  # somebody was faster
            return False
        return True
