"""Checking a resource against what was promised of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from argosy.errors import VerificationError
from argosy.model import Resource, StagedFile, Verification

#: Bytes read at once; large enough that the interpreter's lock is free most of the time.
CHUNK = 128 * 1024


class Digests:
    """The digests of a resource, as they grow."""

    def __init__(self, resource: Resource) -> None:
        self._hashes = {
            name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *resource.digests}
        }
        self.size = 0

    def update(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        for digest in self._hashes.values():
            digest.update(piece)

    def of_file(self, path: Path) -> Digests:
        """Take a whole file."""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                self.update(piece)
        return self

    def hex(self, name: str) -> str:
        """Return a digest in hex."""
        return self._hashes[name].hexdigest()


def checked(resource: Resource, path: Path, digests: Digests, *, length_known: bool) -> StagedFile:
    """Return the staged file if it is what was promised; else discard it."""
    problem: VerificationError | None = None
    if resource.size is not None and digests.size != resource.size:
        problem = VerificationError(
            f"It has {digests.size} bytes where {resource.size} are promised.", kind="size", retryable=True
        )
    for name, promised in resource.digests.items():
        if digests.hex(name) != promised.lower():
            problem = VerificationError(
                f"Its {name} is {digests.hex(name)} where {promised} is promised.",
                kind="digest",
                retryable=True,
            )
    if problem is not None:
        path.unlink(missing_ok=True)
        raise problem
    verification = Verification.NONE
    if resource.digests:
        verification = Verification.DIGEST
    elif resource.size is not None or length_known:
        verification = Verification.LENGTH
    return StagedFile(resource, path, digests.size, digests.hex("sha256"), verification)
