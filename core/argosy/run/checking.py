"""Checking a resource against what was promised of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from argosy.errors import VerificationError
from argosy.model import Resource, StagedFile, Verification

#: Bytes read at once; large enough that the interpreter's lock is free most of the time.
CHUNK = 128 * 1024


class Digests:
    """The digests of some bytes, as they grow.

    Parameters
    ----------
    names
        The algorithms, by their names in `hashlib`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0

    def update(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        for digest in self._hashes.values():
            digest.update(piece)

    def take(self, pieces: Iterable[bytes]) -> Digests:
        """Take many pieces."""
        for piece in pieces:
            self.update(piece)
        return self

    def hex(self, name: str) -> str:
        """Return a digest in hex."""
        return self._hashes[name].hexdigest()

    def differing(self, promised: Mapping[str, str]) -> str | None:
        """Return the first algorithm whose digest is not the promised one, or None."""
        for name, value in promised.items():
            if self.hex(name) != value.lower():
                return name
        return None


def digests_of(resource: Resource, path: Path) -> Digests:
    """Return the digests of a file that is to be a resource."""
    digests = Digests({"sha256", *resource.digests})
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digests.update(piece)
    return digests


def checked(
    resource: Resource,
    path: Path,
    digests: Digests,
    *,
    announced: Mapping[str, str] | None = None,
    length_known: bool = False,
) -> StagedFile:
    """Return the staged file if it is what was promised.

    Parameters
    ----------
    resource
        What was promised by the source. Its digests count; the server's are for where there are none.
    path
        Where it lies.
    digests
        Of the whole of it.
    announced
        Digests of the whole that the server announced, in hex by algorithm.
    length_known
        Whether the server said its length, and this many bytes came.

    Raises
    ------
    VerificationError
        If it is something else; the file is as it was.
    """
    if resource.size is not None and digests.size != resource.size:
        raise VerificationError(
            f"It has {digests.size} bytes where {resource.size} are promised.", kind="size", retryable=True
        )
    promises, who = (
        (resource.digests, "is promised") if resource.digests else (announced or {}, "was announced")
    )
    name = digests.differing(promises)
    if name is not None:
        raise VerificationError(
            f"Its {name} is {digests.hex(name)} where {promises[name]} {who}.", kind="digest", retryable=True
        )
    verification = Verification.NONE
    if promises:
        verification = Verification.DIGEST
    elif resource.size is not None or length_known:
        verification = Verification.LENGTH
    return StagedFile(resource, path, digests.size, digests.hex("sha256"), verification)
