"""Where the states of the hosts are kept: in a small file that all programs of this user share.

The file is a table of fixed size: 1024 buckets of four entries, 112 bytes each. A host's entry lies in the
bucket that a keyed digest of its name says; the key is this boot of this machine, so what another boot, or
another machine that shares the folder, has written is never found. An entry has a checksum. Whatever is
wrong with it, or with the file, the host just counts as unknown: it is only politeness, and never worth an
error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from argosy.ratelimit.state import NEVER, HostState
from argosy.toolkit.processes import boot_id

try:
    import fcntl
except ImportError:  # not POSIX: the table says so when it is opened
    fcntl = None  # type: ignore[assignment]  # the name stands for "no such module"

T = TypeVar("T")

_BODY = struct.Struct("<16s10d")
_CHECK = struct.Struct("<I4x")
_SEEN = struct.Struct("<d")
_SEEN_AT = _BODY.size + _CHECK.size
ENTRY = _SEEN_AT + _SEEN.size
WAYS = 4
BUCKETS = 1024

#: Seconds between two looks whether the file is still the one at its path.
_LOOK_AGAIN = 1.0

#: How often the file's lock is tried, with a millisecond between: its holders keep it for microseconds. After
#: that (somebody was stopped in the middle, say) it is done without.
_TRIES = 50


def clock() -> float:
    """Return the time that all processes of this machine agree on, in seconds.

    The monotonic clock, which no correction of the date moves; where the system does not say which boot this
    is, the wall clock, as the other would begin anew unseen.
    """
    return time.monotonic() if boot_id() else time.time()


class Table(Protocol):
    """Keeps a state for each host."""

    def read(self, place: str) -> HostState | None:
        """Return what is known of a host, or None."""

    def note(self, place: str, now: float) -> None:
        """Write down that a request to a known host starts, without a lock."""

    def update(self, place: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host while nobody else does; the function gets it and the time."""


class MemoryTable:
    """A table for the threads of one process."""

    def __init__(self) -> None:
        self._states: dict[str, HostState] = {}
        self._mutex = threading.Lock()

    def read(self, place: str) -> HostState | None:
        """Return what is known of a host, or None."""
        return self._states.get(place)

    def note(self, place: str, now: float) -> None:
        """Write down that a request to a known host starts."""
        state = self._states.get(place)
        if state is not None:
            state.seen = now

    def update(self, place: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host while nobody else does."""
        with self._mutex:
            now = clock()
            if len(self._states) > BUCKETS * WAYS:
                self._states = {p: s for p, s in self._states.items() if not s.quiet(now)}
            return change(self._states.setdefault(place, HostState()), now)


class FileTable:
    """The table that all programs of this user on this machine share.

    Parameters
    ----------
    path
        The file; made with mode 0600, its folder with 0700.

    Raises
    ------
    OSError
        Here or later, if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        if fcntl is None:
            raise OSError("there are no file locks")
        self.path = path
        self._mutex = threading.Lock()
        self._fd = -1
        self._looked = NEVER
        self._pid = 0
        self._key = hashlib.blake2b((boot_id() or socket.gethostname()).encode()).digest()
        self._digests: dict[str, tuple[bytes, int]] = {}
        self._open()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)

    def read(self, place: str) -> HostState | None:
        """Return what is known of a host, or None."""
        now = clock()
        if now - self._looked > _LOOK_AGAIN:
            with self._mutex:
                self._look(now)
        digest, offset = self._place(place)
        data = os.pread(self._fd, ENTRY * WAYS, offset)
        at = data.find(digest)
        return None if at < 0 or at % ENTRY else _unpack(data[at : at + ENTRY], now)

    def note(self, place: str, now: float) -> None:
        """Write down that a request to a known host starts; a torn write is only an odd time."""
        digest, offset = self._place(place)
        at = os.pread(self._fd, ENTRY * WAYS, offset).find(digest)
        if at >= 0 and at % ENTRY == 0:
            os.pwrite(self._fd, _SEEN.pack(now), offset + at + _SEEN_AT)

    def update(self, place: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host while no other thread or process does."""
        digest, offset = self._place(place)
        with self._mutex:
            self._look(clock())
            with self._locked():
                now = clock()
                data = os.pread(self._fd, ENTRY * WAYS, offset).ljust(ENTRY * WAYS, b"\0")
                entries = [data[way : way + ENTRY] for way in range(0, len(data), ENTRY)]
                number = next((n for n, e in enumerate(entries) if e.startswith(digest)), None)
                known = None if number is None else _unpack(entries[number], now)
                if number is None:
                    number = min(range(WAYS), key=lambda n: _value(entries[n], now))
                state = known or HostState()
                result = change(state, now)
                os.pwrite(self._fd, _pack(digest, state), offset + number * ENTRY)
        return result

    # -- the file

    def _place(self, place: str) -> tuple[bytes, int]:
        """Return the digest of a host's name, and where its bucket begins."""
        found = self._digests.get(place)
        if found is None:
            digest = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key)
            raw = digest.digest()
            if len(self._digests) > BUCKETS * WAYS:
                self._digests = {}
            found = self._digests[place] = raw, int.from_bytes(raw[:4]) % BUCKETS * ENTRY * WAYS
        return found

    def _open(self) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = folder.stat()
        if info.st_uid != os.geteuid() or info.st_mode & 0o022:
            raise PermissionError(0, "its folder belongs to others or can be written by them", str(folder))
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self.path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(0, "it is not a file", str(self.path))
            os.fchmod(fd, 0o600)
        except OSError:
            os.close(fd)
            raise
        self._pid = os.getpid()
        if self._fd >= 0:
            # in place: other threads read from the number without a lock
            os.dup2(fd, self._fd, inheritable=False)
            os.close(fd)
        else:
            self._fd = fd

    def _look(self, now: float) -> None:
        """Open the file again if the one at its path is another, or if a fork has made two of this table."""
        if now - self._looked <= _LOOK_AGAIN and self._pid == os.getpid():
            return
        self._looked = now
        if self._pid != os.getpid():
            self._open()
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._fd), self.path.lstat()):
                return
        self._open()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            for _ in range(_TRIES):
                try:
                    fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.001)
                else:
                    break
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # nothing happens where it was not had


def _pack(digest: bytes, state: HostState) -> bytes:
    body = _BODY.pack(
        digest,
        state.reserved,
        state.due,
        state.clear,
        state.hold,
        state.spacing,
        state.raised,
        state.failures,
        state.failed_at,
        state.probe,
        state.known,
    )
    return body + _CHECK.pack(zlib.crc32(body)) + _SEEN.pack(state.seen)


def _unpack(entry: bytes, now: float) -> HostState | None:
    """Return the state of an entry; None where it is damaged or cannot be."""
    if len(entry) < ENTRY or _CHECK.unpack_from(entry, _BODY.size)[0] != zlib.crc32(entry[: _BODY.size]):
        return None
    _, *values = _BODY.unpack_from(entry)
    seen = _SEEN.unpack_from(entry, _SEEN_AT)[0]
    state = HostState(*values)
    state.seen = seen if seen <= now + 1 else NEVER  # a torn write is no reason to forget the rest
    return state if state.sane(now) else None


def _value(entry: bytes, now: float) -> float:
    """Return how much would be lost if an entry made room for another: until when it matters."""
    state = _unpack(entry, now)
    if state is None:
        return NEVER
    return max(state.due, state.clear, state.hold, state.raised, state.probe, state.seen)
