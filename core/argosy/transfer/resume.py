"""Resuming a download: what a partial file holds, and how to ask for the rest (RFC 9110 sections 13 and 14).

Beside the bytes (``0-1c2d.part``), a side file (``0-1c2d.part.json``) says which representation they belong to. These
rules hold at every moment, so that a kill or a power loss does no harm:

- Bytes without a side file are worthless and are removed before the next ones are written.
- The side file is removed, durably, before the first byte of another representation is written.
- It is replaced by a rename, and never claims more synced bytes than were synced before it was written.
- After a kill, all written bytes count, as the machine did not reboot. After a reboot, only the synced ones count.
- After a failed ``fsync`` the bytes are removed: the kernel may report them as written from then on.

A small file gets a side file only if its transfer fails: it is written then, or after the first `RESUME_MIN` bytes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from argosy.errors import TransferError
from argosy.models.response_record import ResponseRecord, seconds_of
from argosy.toolkit.files import sync_file
from argosy.toolkit.processes import boot_id
from argosy.transfer.verify import CHUNK

#: Bytes that are worth a side file while the transfer goes well, and that count as progress between two attempts.
RESUME_MIN = 1 << 20

#: Bytes between two syncs: a power loss costs no more.
SYNC_EVERY = 64 << 20

# no file has 10^18 bytes, and int() takes quadratic time
_POSITION = r"[0-9]{1,18}"
_SATISFIED = re.compile(
    rf"bytes (?P<first>{_POSITION})-(?P<last>{_POSITION})/(?P<length>{_POSITION}|\*)", re.IGNORECASE
)
_UNSATISFIED = re.compile(rf"bytes \*/(?P<length>{_POSITION})", re.IGNORECASE)

#: A strong entity tag (RFC 9110 section 8.8.3); a weak one begins with ``W/``.
_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')

#: A ``Last-Modified`` is a strong validator once the response is so many seconds younger: two changes within one second
#: have one date, and clocks may differ (RFC 9110 section 8.8.2.2; RFC 7232 named 60).
_SETTLED = 60.0


class ContentRange(NamedTuple):
    """A ``Content-Range``: the positions of the first and last byte, and the whole length, if known."""

    first: int
    last: int
    length: int | None

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.last - self.first + 1


def content_range(value: str | None) -> ContentRange | None:
    """Return a parsed ``Content-Range``; None if it is missing, malformed or impossible.

    Parameters
    ----------
    value
        ``bytes 100-199/1000`` or ``bytes 100-199/*`` (RFC 9110 section 14.4).
    """
    match = _SATISFIED.fullmatch((value or "").strip(" \t"))
    if match is None:
        return None
    length = None if match["length"] == "*" else int(match["length"])
    found = ContentRange(int(match["first"]), int(match["last"]), length)
    if found.first > found.last or (length is not None and found.last >= length):
        return None
    return found


def unsatisfied_length(value: str | None) -> int | None:
    """Return the length in the ``Content-Range`` of a 416 (``bytes */1000``), or None."""
    match = _UNSATISFIED.fullmatch((value or "").strip(" \t"))
    return int(match["length"]) if match is not None else None


def strong_etag(value: str | None) -> str | None:
    """Return an entity tag if it is strong (RFC 9110 section 8.8.3)."""
    value = (value or "").strip(" \t")
    return value if _STRONG.fullmatch(value) else None


def strong_date(modified: str | None, date: str | None) -> str | None:
    """Return a ``Last-Modified`` if it is a strong validator: well older than its response (RFC 9110 section 8.8.2.2).

    Parameters
    ----------
    modified, date
        The ``Last-Modified`` and the ``Date`` of a response.
    """
    then, now = seconds_of(modified or ""), seconds_of(date or "")
    if modified is None or then is None or now is None or now - then < _SETTLED:
        return None
    return modified.strip(" ") if modified.isascii() and modified.isprintable() else None


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What is known about the representation that a partial file belongs to.

    Parameters
    ----------
    etag
        Its strong entity tag, or None.
    modified
        Its ``Last-Modified``, if that is a strong validator and there is no entity tag at all; or None.
    place
        A digest of its URL, after redirects and without the query: a validator is only valid for one resource.
    length
        Its whole length, if the server announced it.
    digests
        The digests of the whole that the server announced, as ``{algorithm: hex}``.
    name
        The file name that the server gave, if it was asked for.
    response
        The response that its first bytes came with.
    synced
        How many bytes are certainly on the disk.
    boot
        The machine's boot in which this was written.
    """

    etag: str | None = None
    modified: str | None = None
    place: str = ""
    length: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    response: ResponseRecord | None = None
    synced: int = 0
    boot: str = ""

    @property
    def validator(self) -> str | None:
        """The validator for ``If-Range`` (RFC 9110 section 13.1.5)."""
        return self.etag or self.modified

    @classmethod
    def parse(cls, data: bytes) -> ResumeState | None:
        """Return what a side file says; None if it is damaged."""
        try:
            value = json.loads(data)
            response = value.pop("response")
            texts = (
                value["place"],
                value["boot"],
                *(value[key] or "" for key in ("etag", "modified", "name")),
            )
            texts += tuple(text for pair in value["digests"].items() for text in pair)
            sizes = (value["synced"], value["length"] or 0)
            if not all(isinstance(text, str) for text in texts):
                return None
            if not all(type(size) is int and size >= 0 for size in sizes):
                return None
            return cls(**value, response=ResponseRecord.from_json(response) if response is not None else None)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None


class Partial:
    """A partial file in staging. Each attempt locks it.

    Parameters
    ----------
    path
        Where its bytes are.

    Attributes
    ----------
    size
        How many bytes are usable.
    state
        What is known about them; None if nothing is, and `size` is 0 then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.state: ResumeState | None = None
        self._side = path.with_name(f"{path.name}.json")
        self._resumable = True
        self._saved = False  # whether the side file says what `state` does, but for the bytes synced since
        self._has_side = False
        self._fd = -1

    @contextlib.contextmanager
    def lock(self) -> Iterator[Partial]:
        """Open and lock it; at the end of the block, close it as it is.

        Raises
        ------
        TransferError
            If another process is writing it: one that survived its run.
        """
        self.size, self.state, self._saved, self._has_side = 0, None, False, False
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _busy() from None
            self._load()
            yield self
        finally:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there, not yet verified."""
        return self.state is not None and self.state.length == self.size

    def conditions(self, *, provable: bool) -> dict[str, str]:
        """Return the headers that ask for the rest; none if the file cannot be resumed.

        Parameters
        ----------
        provable
            Whether an expected digest will verify the result, so that no validator is needed.
        """
        if self.state is None or not self.size:
            return {}
        if self.state.validator is not None:
            return {"Range": f"bytes={self.size}-", "If-Range": self.state.validator}
        return {"Range": f"bytes={self.size}-"} if provable else {}

    def begin(self, state: ResumeState, *, resumable: bool) -> None:
        """Start over, with the same or another representation.

        Parameters
        ----------
        state
            What is known about it.
        resumable
            Whether a later attempt could resume it.
        """
        self.empty()
        self.state, self._resumable = state, resumable

    def resume(self, state: ResumeState) -> None:
        """Append to the usable bytes; cut off what follows them."""
        os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)
        self._saved = self._saved and state == self.state
        self.state = state

    def read(self) -> Iterator[bytes]:
        """Yield the usable bytes."""
        offset = 0
        while offset < self.size:
            data = os.pread(self._fd, min(CHUNK, self.size - offset), offset)
            if not data:
                raise OSError(errno.EIO, "The file has become shorter")
            offset += len(data)
            yield data

    def write(self, data: bytes) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            view = view[written:]
            self.size += written
        if self.size >= RESUME_MIN and self._resumable and self.state is not None:
            if not self._saved:
                self._save(self.state)
            elif self.size - self.state.synced >= SYNC_EVERY:
                self._sync_and_save(self.state)

    def keep(self) -> None:
        """Leave it for the next attempt; if the disk fails, leave it as it was before."""
        if self.state is None or not self.size:
            return
        with contextlib.suppress(OSError):
            if not self._resumable:
                self.discard()
            elif self.size - self.state.synced >= RESUME_MIN:
                self._sync_and_save(self.state)
            elif not self._saved:
                self._save(self.state)

    def sync(self) -> None:
        """Sync all bytes to the disk.

        Raises
        ------
        OSError
            If that fails. The bytes are removed then: nobody can say which of them were written.
        """
        try:
            os.fsync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self.discard()
            raise

    def empty(self) -> None:
        """Drop the bytes before others take their place."""
        self._forget()
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)

    def discard(self) -> None:
        """Remove the file and its side file."""
        self.path.unlink(missing_ok=True)
        self._forget()

    def finish(self, final: Path) -> None:
        """Rename it to its name as a complete file, after it was verified and synced."""
        self.path.replace(final)
        if self._has_side:
            self._side.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.size, self.state, self._saved = 0, None, False
        if self._has_side:
            self._side.unlink(missing_ok=True)
            self._has_side = False
            sync_file(self._side.parent)

    def _load(self) -> None:
        """Find out how many bytes are usable."""
        opened = os.fstat(self._fd)
        try:
            same = self.path.stat().st_ino == opened.st_ino
        except FileNotFoundError:
            same = False
        if not same:
            raise _busy()  # the process that held the lock has just renamed it
        try:
            data = self._side.read_bytes()
        except FileNotFoundError:
            return
        self._has_side = True
        state = ResumeState.parse(data)
        if state is None:
            return
        size = opened.st_size if state.boot and state.boot == boot_id() else state.synced
        if max(size, state.synced) > opened.st_size or (state.length is not None and size > state.length):
            return  # the two files do not belong together
        self.size, self.state, self._saved = size, state, True

    def _sync_and_save(self, state: ResumeState) -> None:
        self.sync()
        self._save(replace(state, synced=self.size))

    def _save(self, state: ResumeState) -> None:
        """Write the side file atomically."""
        state = replace(state, boot=boot_id())
        temporary = self._side.with_name(f"{self._side.name}.new")
        try:
            with temporary.open("wb") as file:
                file.write(json.dumps(asdict(state)).encode())
                file.flush()
                if state.synced:
                    os.fsync(file.fileno())
            temporary.replace(self._side)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self.state, self._saved, self._has_side = state, True, True


def _busy() -> TransferError:
    return TransferError("Another process is still writing this file.", kind="busy", retryable=True)
