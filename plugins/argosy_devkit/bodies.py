"""Generated file contents: a pure function of name and size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

#: The period of a body in bytes. A prime: a client that resumes at a wrong offset, usually off by a power of two,
#: then gets the wrong bytes.
BLOCK = 65_521
_STRIP_BLOCKS = 8


def block_of(name: str, size: int, version: int = 0) -> bytes:
    """Return the block that a body repeats, or the whole body if it is shorter."""
    seed = f"{version}\0{size}\0{name}".encode("utf-8", "surrogateescape")
    return hashlib.shake_128(seed).digest(min(size, BLOCK))


@lru_cache(maxsize=64)
def strip_of(name: str, size: int, version: int = 0) -> bytes:
    """Return several blocks in a row, so that a slice of several hundred kB can start anywhere."""
    block = block_of(name, size, version)
    return block if size <= BLOCK else block * _STRIP_BLOCKS


def slice_of(name: str, size: int, offset: int, length: int, version: int = 0) -> memoryview:
    """Return up to `length` bytes of a body from `offset` on, without copying; fewer if the body is long."""
    strip = strip_of(name, size, version)
    start = offset % BLOCK
    return memoryview(strip)[start : start + min(length, size - offset)]


def pieces_of(name: str, size: int, version: int = 0) -> Iterator[memoryview]:
    """Yield a body in chunks."""
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
        The part of the URL after ``/files/``, not percent-encoded.
    size
        Its length in bytes.
    version
        How often the fault ``etag_change`` has changed it.
    """
    return b"".join(pieces_of(name, size, version))


def sha256_of(name: str, size: int, version: int = 0) -> str:
    """Return the SHA-256 of `body_of` in lower-case hex, using constant memory."""
    digest = hashlib.sha256()
    for piece in pieces_of(name, size, version):
        digest.update(piece)
    return digest.hexdigest()


def etag_of(name: str, size: int, version: int = 0) -> str:
    """Return the strong entity tag of a body, with its quotes (RFC 9110 section 8.8.3)."""
    seed = f"{version}\0{size}\0{name}".encode("utf-8", "surrogateescape")
    return f'"{hashlib.blake2b(seed, digest_size=8).hexdigest()}"'
