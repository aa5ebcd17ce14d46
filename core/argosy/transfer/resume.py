"""Resuming a download: the state of a partial file, and the request for the rest (RFC 9110 sections 13 and 14).

A state file (``0-1c2d.part.state``) beside the bytes (``0-1c2d.part``) says which representation they belong to. These
rules hold at every moment, so a kill or a power loss does no harm:

- Bytes without a state file are worthless. They are removed before new ones are written.
- The state file is removed, durably, before the first byte of another representation is written. One without bytes (of
  a process that died between two steps) does no harm: ``If-Range`` and the digests decide about what it asks for.
- The state file is replaced atomically, and never claims more synced bytes than were synced before it was written.
- After a kill, all written bytes count, because the machine did not reboot. After a reboot, only synced bytes count.
- If ``fsync`` fails, the bytes are removed, because the kernel may report them as written from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from argosy.errors import TransferError
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.files import sync_file
from argosy.toolkit.processes import boot_id
from argosy.transfer.headers import digest_in, strong_date, strong_etag

#: Bytes from which a file has a state file before its transfer fails, and that count as progress of an attempt.
RESUME_MIN = 1 << 20

#: Bytes between two syncs: the most that a power loss costs.
SYNC_EVERY = 64 << 20

#: Bytes after which the kernel starts to write them to the disk.
START_EVERY = 8 << 20


@dataclass(frozen=True, slots=True)
class ResumeState:
    """The representation that a partial file belongs to."""

    validator: str | None = None  # for ``If-Range``: a strong entity tag, or else a date (RFC 9110 section 13.1.5)
    place: str = ""  # a digest of the URL that answered: a validator is valid for one resource only
    length: int | None = None  # as announced by the server
    digests: Mapping[str, str] = field(default_factory=dict)  # of the whole file, as announced by the server
    name: str | None = None  # the server's name for it, if the resource wants it
    response: ResponseRecord | None = None  # the response with its first bytes
    synced: int = 0  # bytes
    boot: str = ""  # the boot of the machine in which this was written

    @classmethod
    def of(cls, response: requests.Response, /, **more: Any) -> ResumeState:
        """Return the validator, place and digests in the headers of a response, and more fields."""
        headers = response.headers
        date = strong_date(headers.get("Last-Modified"), headers.get("Date"))
        validator = strong_etag(headers["ETag"]) if "ETag" in headers else date
        url = response.url.partition("#")[0].partition("?")[0]
        place = hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        digests = digest_in(headers, "Repr-Digest", "Digest")
        return cls(validator, place, **{"digests": digests, **more})

    def to_bytes(self) -> bytes:
        """Return the content of the state file: a checksum and a JSON value."""
        text = json.dumps(asdict(self)).encode()
        return b"%08x %b" % (zlib.crc32(text), text)

    @classmethod
    def from_bytes(cls, data: bytes) -> ResumeState:
        """Return the state that `to_bytes` wrote; an empty one if it cannot be used."""
        checksum, _, text = data.partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return cls()
        try:
            value = json.loads(text)
            if value["response"] is not None:
                value["response"] = ResponseRecord.from_json(value["response"])
            return cls(**value)
        except (ValueError, TypeError, LookupError):  # another version of argosy wrote it
            return cls()


class Partial:
    """A partial file in staging; each attempt locks it, and can use its first `size` bytes."""

    def __init__(self, whole: Path) -> None:
        self.whole = whole  # its path once it is complete
        self.path = f"{whole}.part"
        self.size = 0
        self.state = ResumeState()
        self._state_file = f"{self.path}.state"
        self._is_saved = False  # whether the state file is current, except for the number of synced bytes
        self._is_resumable = True
        self._is_new = False
        self._started = 0  # bytes that the kernel was told to write
        self._fd = -1

    @contextlib.contextmanager
    def lock(self) -> Iterator[Partial]:
        """Open and lock it; raise TransferError if another process has it."""
        self.size, self.state, self._is_saved = 0, ResumeState(), False
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._fd, self._is_new = os.open(self.path, flags | os.O_EXCL, 0o666), True
        except FileExistsError:
            self._fd, self._is_new = os.open(self.path, flags, 0o666), False
        try:
            self._lock()
            if not self._is_new:
                self._load()
            yield self
        finally:
            os.close(self._fd)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = os.stat(self.path)  # noqa: PTH116 - for each file: a Path costs time
            is_ours = os.path.samestat(path, os.fstat(self._fd))
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:  # a process that survived its run writes it, or has just renamed it
            raise TransferError("Another process is still writing this file.", kind="busy", retryable=True)

    def _load(self) -> None:
        try:
            state = ResumeState.from_bytes(Path(self._state_file).read_bytes())
        except FileNotFoundError:
            return
        written = os.fstat(self._fd).st_size
        size = written if state.boot and state.boot == boot_id() else state.synced
        largest = written if state.length is None else min(written, state.length)
        if state.synced <= size <= largest:  # else the two files do not belong together
            self.size, self.state, self._is_saved = size, state, True

    def conditions(self, *, provable: bool) -> dict[str, str]:
        """Return the headers that request the rest; without a validator, only if a digest will prove the result."""
        if not self.size or not (provable or self.state.validator):
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        return {**headers, "If-Range": self.state.validator} if self.state.validator else headers

    def begin(self, state: ResumeState, *, resumable: bool) -> None:
        """Remove the bytes, and start with another representation."""
        if not self._is_new:
            self._forget()
        self.state, self._is_resumable = state, resumable
        self.resume(state.length)

    def resume(self, length: int | None) -> None:
        """Get ready to append to the usable bytes, and remove any others; the whole length may be known now."""
        if self.state.length != length:
            self.state = replace(self.state, length=length)
        if not self._is_new:
            os.ftruncate(self._fd, self.size)
            os.lseek(self._fd, self.size, os.SEEK_SET)
        self._is_new, self._started = False, self.size

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            view = view[written:]
            self.size += written
        if self.size - self._started >= START_EVERY:
            self._start_writing()
        if self.size >= RESUME_MIN and self._is_resumable:
            self._save(sync_from=SYNC_EVERY)

    def _start_writing(self) -> None:
        """Have the kernel start to write the new bytes to the disk, so that a sync stops the transfer for less time."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # a file system that takes no advice
                os.posix_fadvise(self._fd, self._started, self.size - self._started, os.POSIX_FADV_DONTNEED)
        self._started = self.size

    def keep(self) -> None:
        """Keep it for the next attempt; if the disk fails, leave it unchanged."""
        with contextlib.suppress(OSError):
            if self._is_resumable and self.size:
                self._save(sync_from=RESUME_MIN)
            elif self.size:
                self.discard()

    def _save(self, *, sync_from: int) -> None:
        """Save the state unless it is current; first sync the bytes, if this many are unsynced."""
        synced = self.state.synced
        if self.size - synced >= sync_from:
            self.sync()
            synced = self.size
        elif self._is_saved:
            return
        self.state = replace(self.state, synced=synced, boot=boot_id())
        temporary = Path(f"{self.path}.new")
        temporary.write_bytes(self.state.to_bytes())
        if self.state.synced:
            sync_file(temporary)
        temporary.replace(self._state_file)
        self._is_saved = True

    def sync(self) -> None:
        """Sync all bytes to the disk; if that fails, remove them: they may be damaged."""
        try:
            os.fsync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self.discard()
            raise

    def discard(self) -> None:
        """Remove the file and its state."""
        self._forget()
        Path(self.path).unlink(missing_ok=True)

    def finish(self) -> None:
        """Give it the name of a complete file, after it was verified and synced."""
        os.rename(self.path, self.whole)  # noqa: PTH104 - for each file: a Path costs time
        if self._is_saved:
            Path(self._state_file).unlink(missing_ok=True)

    def _forget(self) -> None:
        self.size, self.state, self._is_saved = 0, ResumeState(), False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state_file)  # noqa: PTH108 - for each file: a Path costs time
            sync_file(self.whole.parent)
