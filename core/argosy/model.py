"""What a run is about: items and their resources on the way in, outcomes on the way out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from argosy.errors import ArgosyError

#: The digests a manifest may promise, by their names in :mod:`hashlib`.
DIGESTS = ("sha256", "sha512", "blake2b", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Resource:
    """One URL to fetch for an item.

    Parameters
    ----------
    url
        An ``http`` or ``https`` URL without credentials in it.
    path
        Where it goes, relative to the item's folder, with ``/`` between the parts.
    size
        Length in bytes, where known.
    digests
        Promised digests in lower-case hex, by algorithm (one of `DIGESTS`).
    content_disposition
        Whether the server's name for it takes the place of the last part of its path (RFC 6266); nobody asked
        for that part then.
    """

    url: str
    path: str
    size: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    content_disposition: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value, from which it can be made again by its keys."""
        value = {"url": self.url, "path": self.path, "size": self.size, "digests": dict(self.digests)}
        return {**value, "content_disposition": True} if self.content_disposition else value


@dataclass(frozen=True, slots=True)
class Item:
    """What a person wants: a book, a granule, a course.

    Parameters
    ----------
    id
        Unique within its source.
    title
        For people.
    resources
        What to fetch; may be empty where the source expands the item later.
    tags
        For choosing (``--tags``).
    metadata
        Anything else the source knows; JSON values only.
    folder
        The folder below the target directory that its paths are relative to; empty for the target itself.
    origin
        Where the item was written, for messages: ``books.jsonl:3``.
    """

    id: str
    title: str
    resources: tuple[Resource, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    origin: str = ""

    def names(self) -> tuple[str, ...]:
        """Return the names its resources ask for, relative to the target directory."""
        return tuple(f"{self.folder}/{r.path}" if self.folder else r.path for r in self.resources)

    def to_json(self) -> str:
        """Return the item as one canonical JSON text (without its origin)."""
        value: dict[str, Any] = {"id": self.id, "title": self.title, "folder": self.folder}
        value["resources"] = [resource.to_json() for resource in self.resources]
        value["tags"] = list(self.tags)
        value["metadata"] = dict(self.metadata)
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, origin: str = "") -> Item:
        """Return the item that `to_json` wrote."""
        value = json.loads(text)
        resources = tuple(Resource(**r) for r in value.pop("resources"))
        tags = tuple(value.pop("tags"))
        return cls(resources=resources, tags=tags, origin=origin, **value)

    def fingerprint(self, text: str | None = None) -> str:
        """Return a digest of all that defines the item, to see whether its manifest line changed.

        Parameters
        ----------
        text
            What `to_json` returned, where the caller has it already.
        """
        data = (self.to_json() if text is None else text).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One item to be done, as a strategy hands it to a worker.

    Parameters
    ----------
    item
        The item.
    replaces
        Final names that the item itself put into place earlier and may replace.
    force
        Whether it may replace files that argosy knows nothing of.
    """

    item: Item
    replaces: frozenset[str] = frozenset()
    force: bool = False


class Verification(StrEnum):
    """How far a resource was checked against what was promised."""

    DIGEST = "verified"
    LENGTH = "length only"
    NONE = "unverified"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A resource that lies whole and checked in staging.

    Parameters
    ----------
    resource
        What it is.
    path
        Where it lies now.
    size
        Bytes.
    sha256
        Its digest in hex, always computed.
    verification
        What it was checked against.
    """

    resource: Resource
    path: Path
    size: int
    sha256: str
    verification: Verification


@dataclass(frozen=True, slots=True)
class StagedItem:
    """An item whose resources are all whole and checked, ready for the outputs."""

    item: Item
    files: tuple[StagedFile, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A file that an output made, and the final name it asks for.

    Parameters
    ----------
    name
        Relative to the target directory, with ``/`` between the parts.
    file
        The whole file: a staged one, or one written below the output's scratch folder.
    """

    name: str
    file: Path


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that stands under its final name."""

    name: str
    size: int
    sha256: str
    verification: Verification


class State(StrEnum):
    """What became of an item."""

    DONE = "done"
    FAILED = "failed"
    REQUEUED = "requeued"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item failed, without secrets.

    Parameters
    ----------
    kind
        The typed cause, one word.
    message
        For people: what happened, what follows, what to do.
    url
        The resource concerned, where there is one.
    plugin
        The plugin that broke its contract, where it was one.
    """

    kind: str
    message: str
    url: str | None = None
    plugin: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item in one run.

    Parameters
    ----------
    item
        The item's id.
    state
        Done, failed, or back in the queue (the run was stopped).
    files
        What stands under final names.
    bytes
        Body bytes received for it in this run.
    seconds
        Time the worker spent on it.
    failure
        The cause, for a failed item.
    fatal
        An error that ends the run: the session is lost, the disk is full.
    """

    item: str
    state: State
    files: tuple[KeptFile, ...] = ()
    bytes: int = 0
    seconds: float = 0.0
    failure: Failure | None = None
    fatal: ArgosyError | None = None
