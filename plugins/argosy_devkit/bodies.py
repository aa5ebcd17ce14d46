"""The made-up bodies that the library server sends: a pure function of their name and size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

#: Bytes after which a body repeats. A prime, so that a client that resumes at a wrong offset (which is
#: off by a power of two, as a rule) gets other bytes than it should.
BLOCK = 65_521
_STRIP_BLOCKS = 8


def block_of(name: str, size: int, version: int = 0) -> bytes:
    """Return the block that a body consists of: the whole body, where that is shorter."""
    seed = f"{version}\0{size}\0{name}".encode("utf-8", "surrogateescape")
    return hashlib.shake_128(seed).digest(min(size, BLOCK))


@lru_cache(maxsize=64)
def strip_of(name: str, size: int, version: int = 0) -> bytes:
    """Return some blocks in a row, so that a slice of several hundred kB can be taken from any offset."""
    block = block_of(name, size, version)
    return block if size <= BLOCK else block * _STRIP_BLOCKS


def slice_of(name: str, size: int, offset: int, length: int, version: int = 0) -> memoryview:
    """Return up to `length` bytes of a body from `offset` on, without copying; fewer where it is long."""
    strip = strip_of(name, size, version)
    start = offset % BLOCK
    return memoryview(strip)[start : start + min(length, size - offset)]


def pieces_of(name: str, size: int, version: int = 0) -> Iterator[memoryview]:
    """Yield a body piece by piece."""
    offset = 0
    while offset < size:
        piece = slice_of(name, size, offset, size - offset, version)
        yield piece
        offset += len(piece)


def body_of(name: str, size: int, version: int = 0) -> bytes:
    """Return the body of ``/files/<name>?size=<size>``.

    Parameters
    ----------
    name
        What stands behind ``/files/`` in the URL, not percent-encoded.
    size
        Its length in bytes.
    version
        How often the fault ``etag_change`` has changed it.
    """
    return b"".join(pieces_of(name, size, version))


def sha256_of(name: str, size: int, version: int = 0) -> str:
    """Return the SHA-256 of what `body_of` returns, in lower-case hex, in flat memory."""
    digest = hashlib.sha256()
    for piece in pieces_of(name, size, version):
        digest.update(piece)
    return digest.hexdigest()


def etag_of(name: str, size: int, version: int = 0) -> str:
    """Return the strong entity tag of a body, with its quotes (RFC 9110 section 8.8.3)."""
    seed = f"{version}\0{size}\0{name}".encode("utf-8", "surrogateescape")
    return f'"{hashlib.blake2b(seed, digest_size=8).hexdigest()}"'
