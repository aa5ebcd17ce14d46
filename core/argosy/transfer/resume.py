"""Ranges and the conditions on them: RFC 9110 sections 13 and 14, as far as a download that goes on needs them.

The part of a resource that is there, and what is known of it: what it takes to go on after any end.

Beside the bytes (``0-1c2d.part``) lies a side file (``0-1c2d.part.json``). It says which representation the bytes are
of. The rules that hold at every moment, so that a kill or a power loss at any of them does no harm:

- Bytes without a side file are worth nothing. They are removed before the next ones are written.
- The side file is removed, and that is on the disk, before the first byte of another representation is written.
- It is replaced by a rename, and never claims more bytes to be on the disk than were synced before it was written.
- A killed process takes nothing with it that was written: within one boot of the machine all bytes of the file
  count. After another boot only those count that are claimed to have been synced.
- What a failed ``fsync`` leaves is removed: the system may take it for written from then on (and it is not).

Small files have no side file while all goes well: it is made when a transfer fails, or after the first `WORTH` bytes.
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
from typing import Any

from argosy.errors import TransferError
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.dates import seconds_of
from argosy.toolkit.files import sync_file
from argosy.toolkit.processes import boot_id
from argosy.transfer.verify import CHUNK

#: Digits of a position that are read; 10^18 bytes are more than any file has.
_DIGITS = 18

_POSITION = rf"[0-9]{{1,{_DIGITS}}}"
_SATISFIED = re.compile(
    rf"bytes (?P<first>{_POSITION})-(?P<last>{_POSITION})/(?P<length>{_POSITION}|\*)", re.IGNORECASE
)
_UNSATISFIED = re.compile(rf"bytes \*/(?P<length>{_POSITION})", re.IGNORECASE)

#: A strong entity tag (RFC 9110 section 8.8.3); a weak one begins with ``W/``.
_STRONG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')

#: Seconds by which a response must be younger than its ``Last-Modified`` before that is a strong validator. Two
#: changes within one second have one date, and the server's clocks may differ (RFC 9110 section 8.8.2.2; RFC 7232 named 60).
_SETTLED = 60.0


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Which bytes of a representation a response has.

    Parameters
    ----------
    first, last
        Positions of the first and the last byte, counted from 0.
    length
        The length of the whole representation; None where the server does not say.
    """

    first: int
    last: int
    length: int | None

    @property
    def size(self) -> int:
        """How many bytes that are."""
        return self.last - self.first + 1


def content_range(value: str | None) -> ContentRange | None:
    """Return what a ``Content-Range`` says; None where it is missing, malformed or impossible.

    Parameters
    ----------
    value
        The field's value: ``bytes 100-199/1000`` or ``bytes 100-199/*`` (RFC 9110 section 14.4).
    """
    match = _SATISFIED.fullmatch(value.strip(" \t")) if value is not None else None
    if match is None:
        return None
    length = None if match["length"] == "*" else int(match["length"])
    found = ContentRange(int(match["first"]), int(match["last"]), length)
    if found.first > found.last or (length is not None and found.last >= length):
        return None
    return found


def unsatisfied_length(value: str | None) -> int | None:
    """Return the length that the ``Content-Range`` of a 416 names (``bytes */1000``); None where it names none."""
    match = _UNSATISFIED.fullmatch(value.strip(" \t")) if value is not None else None
    return int(match["length"]) if match is not None else None


def strong_etag(value: str | None) -> str | None:
    """Return an entity tag if it is a strong one (RFC 9110 section 8.8.3)."""
    if value is None:
        return None
    value = value.strip(" \t")
    return value if _STRONG.fullmatch(value) else None


def strong_date(modified: str | None, date: str | None) -> str | None:
    """Return a ``Last-Modified`` if it is a strong validator: well older than its response (RFC 9110 section 8.8.2.2).

    Parameters
    ----------
    modified
        The ``Last-Modified`` of a response.
    date
        Its ``Date``.
    """
    if not modified or not date:
        return None
    then, now = seconds_of(modified), seconds_of(date)
    if then is None or now is None:
        return None
    settled = now - then >= _SETTLED and modified.isascii() and modified.isprintable()
    return modified.strip(" ") if settled else None


#: Bytes that are worth a side file even while all goes well.
WORTH = 1 << 20

#: Bytes after which what is there is synced, so that a power loss costs no more than that.
SYNC_EVERY = 64 << 20


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What is known of a representation that has come in part.

    Parameters
    ----------
    etag
        Its strong entity tag, or None.
    modified
        Its ``Last-Modified``, where that is a strong validator and there is no entity tag at all; or None.
    place
        A digest of the URL that it came from, after redirects and without its query: validators are one resource's.
    length
        Its whole length, where the server said it.
    digests
        Digests of the whole that the server promised, in hex by algorithm.
    name
        What the server calls it, where that is asked for.
    response
        The head of the response that its bytes began with.
    synced
        Bytes that are on the disk for certain.
    boot
        The boot of the machine in which this was written.
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
        """What ``If-Range`` may name (RFC 9110 section 13.1.5)."""
        return self.etag or self.modified


class Partial:
    """A resource in staging that is not whole; one attempt opens it, and closes it.

    Parameters
    ----------
    path
        Where its bytes are.

    Attributes
    ----------
    size
        Bytes that can be gone on from; with `begin` and `write` it grows.
    known
        What is known of them; None where nothing is, and then `size` is 0.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.side = path.with_name(f"{path.name}.json")
        self.known: ResumeState | None = None
        self.size = 0
        self._fd = -1
        self._aside = False  # whether there is a side file
        self._told = False  # whether it speaks of what is there
        self._worth = True

    @contextlib.contextmanager
    def opened(self) -> Iterator[Partial]:
        """Hold it open, and to ourselves; at the end of the block, it is closed as it is.

        Raises
        ------
        TransferError
            If another process still writes to it: one whose run is gone.
        """
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _busy() from None
            self._look()
            yield self
        finally:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_whole(self) -> bool:
        """Whether everything has come, though nobody has checked it yet."""
        return self.known is not None and self.known.length == self.size

    def conditions(self, *, provable: bool) -> dict[str, str]:
        """Return the headers that ask for the rest; none where it must be asked for from the start.

        Parameters
        ----------
        provable
            Whether a digest is promised that proves the result, so that no validator is needed.
        """
        if self.known is None or not self.size:
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        if self.known.validator is not None:
            headers["If-Range"] = self.known.validator
        elif not provable:
            return {}
        return headers

    def begin(self, known: ResumeState, *, worth: bool) -> None:
        """Start again, with another representation or the same.

        Parameters
        ----------
        known
            What is known of it.
        worth
            Whether a part of it is worth anything: whether a later attempt could go on from there.
        """
        self.empty()
        self.known, self._worth = known, worth

    def resume(self, known: ResumeState) -> None:
        """Go on behind what is there; what lies behind that in the file is cut off."""
        os.ftruncate(self._fd, self.size)
        os.lseek(self._fd, self.size, os.SEEK_SET)
        self._told = self._told and known == self.known
        self.known = known

    def iter_body(self) -> Iterator[bytes]:
        """Yield what is there."""
        offset = 0
        while offset < self.size:
            piece = os.pread(self._fd, min(CHUNK, self.size - offset), offset)
            if not piece:
                raise OSError(errno.EIO, "The file has become shorter")
            offset += len(piece)
            yield piece

    def write(self, piece: bytes | memoryview) -> None:
        """Put the next piece behind what is there."""
        view = memoryview(piece)
        while view:
            written = os.write(self._fd, view)
            view = view[written:]
            self.size += written
        if self.size >= WORTH and self._worth and self.known is not None:
            if not self._told:
                self._tell(self.known)
            elif self.size - self.known.synced >= SYNC_EVERY:
                self.sync()
                self._tell(replace(self.known, synced=self.size))

    def keep(self) -> None:
        """Leave it so that the next attempt can go on; where the disk does not allow that, as it was before."""
        if self.known is None or not self.size:
            return
        with contextlib.suppress(OSError):
            if not self._worth:
                self.discard()
            elif self.size - self.known.synced >= WORTH:
                self.sync()
                self._tell(replace(self.known, synced=self.size))
            elif not self._told:
                self._tell(self.known)

    def sync(self) -> None:
        """Return when all bytes are on the disk.

        Raises
        ------
        OSError
            If they are not. They are removed then, as nobody can say what is left of them.
        """
        try:
            os.fsync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self.discard()
            raise

    def empty(self) -> None:
        """Forget what is there, before other bytes take its place."""
        self._forget()
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)

    def discard(self) -> None:
        """Remove it, with what is known of it."""
        self.path.unlink(missing_ok=True)
        self._forget()

    def finish(self, whole: Path) -> None:
        """Give the file the name of a whole one; it is synced and checked."""
        self.path.replace(whole)
        if self._aside:
            self.side.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.size, self.known, self._told = 0, None, False
        if self._aside:
            self.side.unlink(missing_ok=True)
            self._aside = False
            sync_file(self.side.parent)

    def _look(self) -> None:
        """Find out how many bytes can be gone on from."""
        opened = os.fstat(self._fd)
        try:
            renamed = self.path.stat().st_ino != opened.st_ino
        except FileNotFoundError:
            renamed = True
        if renamed:
            raise _busy()  # whoever held it has just given it another name
        try:
            data = self.side.read_bytes()
        except FileNotFoundError:
            return
        self._aside = True
        known, there = _parsed(data), opened.st_size
        if known is None:
            return
        size = there if known.boot and known.boot == boot_id() else known.synced
        if size > there or known.synced > there or (known.length is not None and size > known.length):
            return  # they do not belong together
        self.size, self.known, self._told = size, known, True

    def _tell(self, known: ResumeState) -> None:
        """Write the side file: whole or not at all."""
        known = replace(known, boot=boot_id())
        temporary = self.side.with_name(f"{self.side.name}.new")
        try:
            with temporary.open("wb") as file:
                file.write(json.dumps(asdict(known), ensure_ascii=True).encode())
                file.flush()
                if known.synced:
                    os.fsync(file.fileno())
            temporary.replace(self.side)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self.known, self._told, self._aside = known, True, True


def _busy() -> TransferError:
    return TransferError("Another process is still writing this file.", kind="busy", retryable=True)


def _parsed(data: bytes) -> ResumeState | None:
    """Return what a side file says; None where it is not one that was written here."""
    try:
        value = json.loads(data)
        head = value.pop("response", None)
        response = ResponseRecord.from_json(head) if head is not None else None
        return ResumeState(**value, response=response) if _is_sound(value) else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _is_sound(value: Any) -> bool:
    texts = all(
        value.get(name) is None or isinstance(value[name], str) for name in ("etag", "modified", "name")
    )
    length, synced = value["length"], value["synced"]
    return (
        texts
        and isinstance(value["place"], str)
        and isinstance(value["boot"], str)
        and (length is None or (type(length) is int and length >= 0))
        and type(synced) is int
        and synced >= 0
        and all(isinstance(text, str) for pair in value["digests"].items() for text in pair)
    )
