"""Verifying a resource: its size and digests."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from argosy.errors import VerificationError
from argosy.models.items import Resource, StagedFile, Verification
from argosy.transfer.resume import ResumeState

#: Bytes per read; large enough that the GIL is free most of the time.
CHUNK = 128 * 1024


class Digests:
    """Running digests of the same bytes, and their count."""

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self.size += len(data)
        for digest in self._hashes.values():
            digest.update(data)

    def update_from(self, path: Path, size: int) -> None:
        """Add the first bytes of a file."""
        with path.open("rb") as file:
            while self.size < size:
                data = file.read(min(CHUNK, size - self.size))
                if not data:
                    raise OSError(errno.EIO, "The file has become shorter")
                self.update(data)

    def hex(self, name: str) -> str:
        """Return the digest of an algorithm in hex."""
        return self._hashes[name].hexdigest()

    def mismatch(self, expected: Mapping[str, str]) -> str | None:
        """Return the first algorithm whose digest differs from the expected one, or None."""
        return next((name for name, value in expected.items() if self.hex(name) != value.lower()), None)


def verify_file(resource: Resource, path: Path, digests: Digests, state: ResumeState) -> StagedFile:
    """Return a complete file; raise VerificationError if it breaks the source's promises, or else the server's."""
    if resource.size not in (None, digests.size):
        text = f"Wrong size: {digests.size} bytes instead of {resource.size}."
        raise VerificationError(text, kind="size", retryable=True)
    expected = resource.digests or state.digests
    name = digests.mismatch(expected)
    if name is not None:
        text = f"Wrong {name}: {digests.hex(name)} instead of {expected[name]}."
        raise VerificationError(text, kind="digest", retryable=True)
    verification = Verification.NONE
    if expected:
        verification = Verification.DIGEST
    elif resource.size is not None or state.length is not None:
        verification = Verification.LENGTH
    return StagedFile(resource, path, digests.size, digests.hex("sha256"), verification)
