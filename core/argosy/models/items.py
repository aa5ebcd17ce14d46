"""Items and their resources, the files made of them, and the outcomes of jobs."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from argosy.errors import ArgosyError
from argosy.models.header_fields import problem_of
from argosy.models.response_record import ResponseRecord

#: The digests a manifest may promise, by their names in :mod:`hashlib`.
DIGESTS = ("sha256", "sha512", "blake2b", "sha1", "md5")

_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Resource:
    """One URL to fetch for an item."""

    url: str  # http or https, without credentials
    path: str  # relative to the item's folder, with "/" between the parts
    size: int | None = None  # in bytes, if known
    digests: Mapping[str, str] = field(default_factory=dict)  # lower-case hex, by name in `DIGESTS`
    content_disposition: bool = False  # whether the server names the last part of its path (RFC 6266)
    ignore_query: bool = False  # whether the query is not part of its identity, such as a changing signature
    headers: Mapping[str, str] = field(default_factory=dict)  # more header fields of its requests, at the URL's origin
    referer: str = ""  # the URL of the page that links to it; "self" for its own host
    body: str | None = None  # if not None, the file is the response to a POST of this
    content_type: str = ""  # of the body
    repeatable: bool = False  # whether sending its POST again does no harm

    def __post_init__(self) -> None:
        """Raise ValueError if its requests could not be sent."""
        if (self.headers or self.referer) and (problem := problem_of(self.headers, self.referer)) is not None:
            raise ValueError(problem)

    @property
    def identity(self) -> str:
        """What identifies it even if its URL changes: a promised digest, or else the URL; and the body of its POST."""
        url = self.url.partition("?")[0] if self.ignore_query else self.url
        what = ":".join(min(self.digests.items())) if self.digests else url
        return what if self.body is None else f"{what}\n{self.body}"

    @property
    def once(self) -> bool:
        """Whether a request whose fate is unknown must not be sent again by itself (RFC 9110 section 9.2.2)."""
        return self.body is not None and not self.repeatable

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON value; its keys are the constructor's parameters."""
        value: dict[str, Any] = {"url": self.url, "path": self.path, "size": self.size, "digests": dict(self.digests)}
        value |= {"content_disposition": self.content_disposition, "ignore_query": self.ignore_query}
        if self.headers or self.referer:  # a million items need not name them
            value |= {"headers": dict(self.headers), "referer": self.referer}
        if self.body is not None:
            value |= {"body": self.body, "content_type": self.content_type, "repeatable": self.repeatable}
        return value


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to download: a book, a granule, a course."""

    id: str  # unique within its source
    title: str  # for people
    resources: tuple[Resource, ...] = ()  # may be empty if the source expands the item later
    tags: tuple[str, ...] = ()  # for selection (--tags)
    metadata: Mapping[str, Any] = field(default_factory=dict)  # anything else, as JSON values
    folder: str = ""  # the folder below the target directory that its paths are relative to
    origin: str = ""  # the line that defines it, for messages: books.jsonl:3

    def names(self) -> tuple[str, ...]:
        """Return the names of its resources, relative to the target directory."""
        return tuple(f"{self.folder}/{r.path}" if self.folder else r.path for r in self.resources)

    def to_json(self) -> str:
        """Return the item as canonical JSON, without its origin."""
        value = {name: getattr(self, name) for name in ("id", "title", "folder", "tags")}
        value["resources"] = [resource.to_json() for resource in self.resources]
        value["metadata"] = dict(self.metadata)
        return _canonical(value)

    @classmethod
    def from_json(cls, text: str, origin: str = "") -> Item:
        """Return the item that `to_json` wrote."""
        value = json.loads(text)
        resources = tuple(Resource(**r) for r in value.pop("resources"))
        tags = tuple(value.pop("tags"))
        return cls(resources=resources, tags=tags, origin=origin, **value)

    def fingerprint(self, text: str | None = None) -> str:
        """Return a digest of the item's definition (of `text`, the result of `to_json`), to detect a changed manifest line.

        A new URL does not count if a digest is promised, nor a new query with `Resource.ignore_query`, nor header fields.
        """
        if any(resource.headers or resource.referer or resource.repeatable for resource in self.resources):
            plain = tuple(replace(resource, headers={}, referer="", repeatable=False) for resource in self.resources)
            return replace(self, resources=plain).fingerprint()
        text = self.to_json() if text is None else text
        for resource in self.resources:
            if resource.digests or resource.ignore_query:
                # replace it in the text: serializing again takes as long as the first time
                url, identity = (json.dumps(t, ensure_ascii=False) for t in (resource.url, resource.identity))
                text = text.replace(url, identity)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


#: Bytes of a record that are worth compressing.
LONG = 2048

Packed = bytes  # `Outcome.bytes` hides the built-in name


class Verification(StrEnum):
    """How a resource was checked against what was promised."""

    DIGEST = "verified"
    LENGTH = "length only"
    NONE = "unverified"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A whole, verified resource in the staging area."""

    resource: Resource
    path: Path
    size: int
    sha256: str
    verification: Verification
    response: ResponseRecord | None = None  # the head of its response, if known


@dataclass(frozen=True, slots=True)
class StagedItem:
    """An item whose resources are all staged, ready for the outputs."""

    item: Item
    files: tuple[StagedFile, ...]


@dataclass(frozen=True, slots=True)
class DownloadRecord:
    """What the ledger keeps to stage an item again, with size, SHA-256, check and response of each resource."""

    item: Item
    files: tuple[tuple[int, str, Verification, ResponseRecord | None], ...]

    @classmethod
    def of(cls, staged: StagedItem) -> DownloadRecord:
        """Return the record of a staged item."""
        return cls(staged.item, tuple((f.size, f.sha256, f.verification, f.response) for f in staged.files))

    def digests(self) -> list[str]:
        """Return the SHA-256 of each resource, in order."""
        return [digest for _, digest, _, _ in self.files]

    def pack(self) -> bytes:
        """Return it, compressed if it is long: the responses of one item share most of their text."""
        files = [[size, digest, check, head and head.to_json()] for size, digest, check, head in self.files]
        text = _canonical({"item": self.item.to_json(), "files": files})
        data = text.encode("utf-8", "surrogatepass")
        return data if len(data) < LONG else zlib.compress(data)

    @classmethod
    def unpack(cls, data: bytes) -> DownloadRecord:
        """Return what `pack` wrote; raise ValueError, TypeError or LookupError if it is something else."""
        try:
            value = json.loads(data if data.startswith(b"{") else zlib.decompress(data))
        except zlib.error as error:
            raise ValueError(str(error)) from None
        files = tuple(
            (size, digest, Verification(check), head and ResponseRecord.from_json(head))
            for size, digest, check, head in value["files"]
        )
        return cls(Item.from_json(value["item"]), files)


@dataclass(frozen=True, slots=True)
class Product:
    """A file that an output made, and its final name. Products that are the same staged file share one time."""

    name: str  # relative to the target directory, with "/" between the parts
    file: Path  # the whole file: a staged one, or one in the output's scratch folder
    modified: float | None = None  # its modification time, in seconds since the epoch; None for now


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file under its final name."""

    name: str  # relative to the target directory
    size: int
    sha256: str
    verification: Verification
    output: str = ""  # the output that made it; one with options has a suffix (zip#1f3a09c2)


@dataclass(frozen=True, slots=True)
class FinishedItem:
    """An item that is done."""

    item: Item
    files: tuple[PublishedFile, ...]  # of all outputs
    finished: float  # in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Job:
    """One item for a worker to process."""

    item: Item
    replaces: frozenset[str] = frozenset()  # final names that the item published earlier and may replace
    force: bool = False  # whether it may replace files that argosy did not create
    known: DownloadRecord | None = None  # as fetched before; unchanged resources are not fetched again
    kept: tuple[PublishedFile, ...] = ()  # its published files
    outputs: frozenset[str] | None = None  # the outputs to make, with suffix; None for all outputs of the run
    fetch: bool = True  # whether missing resources may be fetched


class State(StrEnum):
    """The state of an item after a job; it is queued again if the run was stopped."""

    DONE = "done"
    FAILED = "failed"
    REQUEUED = "requeued"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item failed, without secrets."""

    kind: str  # the typed cause, one word
    message: str  # what happened and what to do, for people
    url: str | None = None
    plugin: str | None = None
    path: str | None = None  # of the resource, relative to the target directory
    hint: str | None = None  # the part of the message that says what to do, if it is known
    id: str = ""  # of the item; empty in an `Outcome`
    title: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one job."""

    item: str  # its id
    state: State
    files: tuple[PublishedFile, ...] = ()
    bytes: int = 0  # received for it in this run
    seconds: float = 0.0  # spent by the worker
    failure: Failure | None = None
    fatal: ArgosyError | None = None  # an error that ends the run, such as a lost session or a full disk
    outputs: tuple[str, ...] = ()  # the outputs that were made, with suffix
    known: Packed | None = None  # as `DownloadRecord.pack` returns it, if the item is done
    fresh: bool = True  # whether its resources are new, so that files of other outputs are outdated
    staged: tuple[str, ...] = ()  # the staged files to remove once it is recorded
