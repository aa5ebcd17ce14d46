"""What a run is about: items and their resources on the way in, outcomes on the way out."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from argosy.errors import ArgosyError
from argosy.models.response_record import ResponseRecord

#: The digests a manifest may promise, by their names in :mod:`hashlib`.
DIGESTS = ("sha256", "sha512", "blake2b", "sha1", "md5")

#: A `DownloadRecord`, as the ledger keeps it.
Packed = bytes


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
    ignore_query
        Whether the URL's query says nothing of which file it is: a signature that is another one each time.
    """

    url: str
    path: str
    size: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    content_disposition: bool = False
    ignore_query: bool = False

    @property
    def identity(self) -> str:
        """What tells it from another resource, whatever its URL is today: a promised digest, or else the URL."""
        if self.digests:
            return ":".join(min(self.digests.items()))
        return self.url.partition("?")[0] if self.ignore_query else self.url

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value, from which it can be made again by its keys."""
        value = {"url": self.url, "path": self.path, "size": self.size, "digests": dict(self.digests)}
        if self.content_disposition:
            value["content_disposition"] = True
        if self.ignore_query:
            value["ignore_query"] = True
        return value


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

        Another URL is no change where a digest is promised, nor another query where the source says to ignore it.

        Parameters
        ----------
        text
            What `to_json` returned, where the caller has it already.
        """
        text = self.to_json() if text is None else text
        for resource in self.resources:
            if resource.digests or resource.ignore_query:
                # put in its place in the text: another one made of all values takes as long as the first
                text = text.replace(_quoted(resource.url), _quoted(resource.identity))
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16).hexdigest()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


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
    response
        What the server said with it; None where that is not known.
    """

    resource: Resource
    path: Path
    size: int
    sha256: str
    verification: Verification
    response: ResponseRecord | None = None


@dataclass(frozen=True, slots=True)
class StagedItem:
    """An item whose resources are all whole and checked, ready for the outputs."""

    item: Item
    files: tuple[StagedFile, ...]


@dataclass(frozen=True, slots=True)
class DownloadRecord:
    """What the ledger keeps of an item's resources, so that it can be staged again from what stands on the disk.

    Parameters
    ----------
    item
        The item with its resources, under the names they got.
    files
        Of each resource its size, its SHA-256, what it was checked against, and what the server said.
    """

    item: Item
    files: tuple[tuple[int, str, Verification, ResponseRecord | None], ...]

    @classmethod
    def of(cls, staged: StagedItem) -> DownloadRecord:
        """Return what is to be kept of a staged item."""
        return cls(staged.item, tuple((f.size, f.sha256, f.verification, f.response) for f in staged.files))

    def digests(self) -> list[str]:
        """Return the SHA-256 of each resource, in their order."""
        return [digest for _, digest, _, _ in self.files]

    def pack(self) -> Packed:
        """Return it as few bytes: the responses of one item have most of their text in common."""
        files = [[s, d, v.value, r.to_json() if r else None] for s, d, v, r in self.files]
        text = json.dumps({"item": self.item.to_json(), "files": files}, separators=(",", ":"))
        return zlib.compress(text.encode(), 6)

    @classmethod
    def unpack(cls, data: Packed) -> DownloadRecord:
        """Return what `pack` wrote.

        Raises
        ------
        ValueError, TypeError, LookupError
            If it is something else.
        """
        try:
            value = json.loads(zlib.decompress(data))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        files = tuple(
            (int(s), str(d), Verification(v), ResponseRecord.from_json(r) if r else None)
            for s, d, v, r in value["files"]
        )
        return cls(Item.from_json(value["item"]), files)


@dataclass(frozen=True, slots=True)
class Product:
    """A file that an output made, and the final name it asks for.

    Parameters
    ----------
    name
        Relative to the target directory, with ``/`` between the parts.
    file
        The whole file: a staged one, or one written below the output's scratch folder.
    modified
        The time of its last modification, in seconds since the epoch; None for now. Products that are the same
        staged file are one file under several names, with one time.
    """

    name: str
    file: Path
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that stands under its final name.

    Parameters
    ----------
    name
        Relative to the target directory.
    size, sha256
        Bytes, and their digest in hex.
    verification
        What it was checked against.
    output
        The output that made it, by its name; one with options of its own has a mark behind it (``zip#1f3a09c2``).
    """

    name: str
    size: int
    sha256: str
    verification: Verification
    output: str = ""


@dataclass(frozen=True, slots=True)
class FinishedItem:
    """An item that is done.

    Parameters
    ----------
    item
        The item.
    files
        What stands under final names, of all outputs.
    finished
        When it was done, in seconds since the epoch.
    """

    item: Item
    files: tuple[PublishedFile, ...]
    finished: float


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
    known
        What was remembered of an item whose resources were fetched before: those that still stand there as they
        were need not be fetched again.
    kept
        The files of it that stand under final names.
    outputs
        The outputs that are to be made, by name and mark; None for all of the run.
    fetch
        Whether what is not there may be fetched.
    """

    item: Item
    replaces: frozenset[str] = frozenset()
    force: bool = False
    known: DownloadRecord | None = None
    kept: tuple[PublishedFile, ...] = ()
    outputs: frozenset[str] | None = None
    fetch: bool = True


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
    outputs
        The outputs that were made, by name and mark.
    known
        What is to be remembered of a done item, as `DownloadRecord.pack` writes it.
    fresh
        Whether its resources are new, so that what other outputs made of it before is not of them.
    """

    item: str
    state: State
    files: tuple[PublishedFile, ...] = ()
    bytes: int = 0
    seconds: float = 0.0
    failure: Failure | None = None
    fatal: ArgosyError | None = None
    outputs: tuple[str, ...] = ()
    known: Packed | None = None
    fresh: bool = True
