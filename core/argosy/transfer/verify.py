"""Digests that a server sends along: RFC 9530, and what came before it.

Checking a resource against what was promised of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from argosy.errors import VerificationError
from argosy.models.items import Resource, StagedFile, Verification

#: The algorithms that are looked at, by their names in the registry of RFC 9530 (and RFC 3230), best first, with
#: their names in `hashlib`. SHA-256 comes first, as it is computed in any case. The last two find accidents alone.
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}

#: Length of a digest in bytes.
_LENGTHS = {"sha256": 32, "sha512": 64, "sha1": 20, "md5": 16}

#: A member of a dictionary whose value is a byte sequence (RFC 8941 sections 3.2 and 3.3.5), and its parameters.
_MEMBER = re.compile(r"\A(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):(?:;[^,]*)?")
#: The older form (RFC 3230 section 4.3.2): ``SHA-256=<base64>``.
_OLDER = re.compile(r"\A(?P<key>[A-Za-z0-9-]+)=(?P<value>[A-Za-z0-9+/]+={0,2})")


def representation_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best digest of the whole file that a response carries, in hex by algorithm; empty where it has none.

    ``Repr-Digest`` (RFC 9530 section 3) and ``Digest`` (RFC 3230) speak of the whole representation, whatever part of
    it the response has. What cannot be read is passed over.
    """
    return _best(headers.get("Repr-Digest"), _MEMBER) or _best(headers.get("Digest"), _OLDER)


def content_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best digest of what this response alone brings, in hex by algorithm; empty where it has none.

    That is ``Content-Digest`` (RFC 9530 section 2): of a part, where the response is a part.
    """
    return _best(headers.get("Content-Digest"), _MEMBER)


def content_md5(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the ``Content-MD5`` of a response (RFC 2616 section 14.15), as `content_digest` does.

    Of a part it must not be asked: servers never agreed what it means there, and so RFC 7231 took it away.
    """
    value = _decoded(headers.get("Content-MD5", "").strip(" \t"), "md5")
    return {"md5": value} if value else {}


def _best(field: str | None, form: re.Pattern[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for member in (field or "").split(","):
        match = form.fullmatch(member.strip(" \t"))
        if match is not None:
            found[match["key"].lower()] = match["value"]
    for key, name in _ALGORITHMS.items():
        value = _decoded(found.get(key, ""), name)
        if value:
            return {name: value}
    return {}


def _decoded(text: str, name: str) -> str | None:
    """Return a base64 digest in hex; None where it is no digest of that kind."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == _LENGTHS[name] else None


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

    def take(self, iter_body: Iterable[bytes]) -> Digests:
        """Take many pieces."""
        for piece in iter_body:
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
