"""The rate limit of one host: all programs of this user share the states in a small file.

The file is a table of fixed size: 1024 buckets of four entries, 112 bytes each. A keyed digest of a host's name selects its
bucket. The key is this boot of this machine, so entries of another boot, or of another machine that shares the
folder, are never found. An entry has a checksum. If it is wrong, or the file is damaged, the host counts as unknown: only
politeness is lost.
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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from argosy import hookimpl
from argosy.interfaces.base import PluginContext
from argosy.interfaces.ratelimit import RateLimit
from argosy.models.host_state import LONGEST_RETRY_AFTER, MOST_SPACING, NEVER, HostState
from argosy.toolkit.processes import boot_id, clock

try:
    import fcntl
except ImportError:  # not POSIX: reported when the file is opened
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")

_BODY = struct.Struct("<16s10d")
_CHECK = struct.Struct("<I4x")
_SEEN = struct.Struct("<d")
_SEEN_AT = _BODY.size + _CHECK.size
ENTRY = _SEEN_AT + _SEEN.size
WAYS = 4
BUCKETS = 1024

#: Seconds between two checks whether the path still leads to the open file.
_LOOK_AGAIN = 1.0

#: Limits of a sane state: reservations ahead of a request (one per process), and the delay in seconds.
_MOST_AHEAD, _MOST_DELAY = 64, 86401.0

#: How often to try the file's lock, a millisecond apart. Processes hold it for microseconds; if one was stopped
#: while it did, the others go on without it.
_TRIES = 50


class HostRateLimit(RateLimit):
    """Limits the requests of all programs of this user on this machine together.

    The file is made with mode 0600, its folder with 0700. Methods raise OSError if it cannot be used.
    """

    name = "host"
    summary = "Limits the requests of all your programs on this machine together"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "description": "The file that they share; by default one in your state folder.",
            }
        },
    }

    _fd = -1

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._mutex = threading.Lock()
        self._looked = NEVER
        self._pid = 0
        self._key = hashlib.blake2b((boot_id() or socket.gethostname()).encode()).digest()
        self._digests: dict[str, tuple[bytes, int]] = {}

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def path(self) -> Path:
        """The file."""
        if "path" in self.options:
            return self.context.path(self.options["path"])
        import platformdirs

        folder = platformdirs.user_state_path("argosy")
        if not folder.is_absolute():
            raise OSError("this user has no home folder")
        return folder / "rate-limits"

    def read(self, host: str) -> HostState | None:
        """Return the state of a host, or None."""
        now = clock()
        if now - self._looked > _LOOK_AGAIN or self._fd < 0:
            with self._mutex:
                self._look(now)
        digest, offset = self._entry(host)
        data = os.pread(self._fd, ENTRY * WAYS, offset)
        at = data.find(digest)
        return None if at < 0 or at % ENTRY else _unpack(data[at : at + ENTRY], now)

    def started(self, host: str, now: float) -> None:
        """Record that a request starts; a torn write is only a wrong time."""
        digest, offset = self._entry(host)
        at = os.pread(self._fd, ENTRY * WAYS, offset).find(digest)
        if at >= 0 and at % ENTRY == 0:
            os.pwrite(self._fd, _SEEN.pack(now), offset + at + _SEEN_AT)

    def update(self, host: str, change: Callable[[HostState, float], T]) -> T:
        """Change the state of a host."""
        digest, offset = self._entry(host)
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

    def _entry(self, host: str) -> tuple[bytes, int]:
        """Return the digest of a host's name and the offset of its bucket."""
        found = self._digests.get(host)
        if found is None:
            digest = hashlib.blake2b(host.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key)
            raw = digest.digest()
            if len(self._digests) > BUCKETS * WAYS:
                self._digests = {}
            found = self._digests[host] = raw, int.from_bytes(raw[:4]) % BUCKETS * ENTRY * WAYS
        return found

    def _open(self) -> None:
        if fcntl is None:
            raise OSError("this system has no file locks")
        path = self.path
        folder = path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = folder.stat()
        if info.st_uid != os.geteuid() or info.st_mode & 0o022:
            raise PermissionError(0, f"other users own {folder} or can write to it")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(0, f"{path} is not a file")
            os.fchmod(fd, 0o600)
        except OSError:
            os.close(fd)
            raise
        self._pid = os.getpid()
        if self._fd >= 0:
            # in place: other threads read from this descriptor without a lock
            os.dup2(fd, self._fd, inheritable=False)
            os.close(fd)
        else:
            self._fd = fd

    def _look(self, now: float) -> None:
        """Open the file, if it is not open, was replaced, or belongs to the parent of this process."""
        foreign = self._fd < 0 or self._pid != os.getpid()
        if now - self._looked <= _LOOK_AGAIN and not foreign:
            return
        self._looked = now
        if foreign:
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
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # no effect if it was not taken


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
    """Return the state of an entry; None if it is damaged or impossible."""
    if len(entry) < ENTRY or _CHECK.unpack_from(entry, _BODY.size)[0] != zlib.crc32(entry[: _BODY.size]):
        return None
    _, *values = _BODY.unpack_from(entry)
    seen = _SEEN.unpack_from(entry, _SEEN_AT)[0]
    state = HostState(*values)
    state.seen = seen if seen <= now + 1 else NEVER  # after a torn write, the rest is still good
    return state if is_sane(state, now) else None


def is_sane(state: HostState, now: float) -> bool:
    """Return whether a state is possible; another clock, or a damaged entry, leads to one that is not."""
    soon = now + LONGEST_RETRY_AFTER
    pace = state.due - state.reserved if state.due > now else 0.0
    ahead = soon + _MOST_AHEAD * max(pace, state.spacing, 1.0)
    return (  # NaN fails every comparison
        pace <= _MOST_DELAY
        and state.hold <= soon
        and all(past <= now + 1 for past in (state.raised, state.failed_at, state.known, state.seen))
        and all(time <= ahead for time in (state.reserved, state.due, state.clear, state.probe))
        and 0 <= state.spacing <= MOST_SPACING
        and state.failures >= 0
    )


def _value(entry: bytes, now: float) -> float:
    """Return until when an entry matters: the lowest makes room for another."""
    state = _unpack(entry, now)
    if state is None:
        return NEVER
    return max(state.due, state.clear, state.hold, state.raised, state.probe, state.seen)


@hookimpl
def argosy_ratelimit() -> type[RateLimit]:
    """Register the rate limit."""
    return HostRateLimit
