"""Verifying a resource: the digests that servers announce (RFC 9530 and older fields), sizes, and promised digests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from argosy.errors import VerificationError
from argosy.models.items import Resource, StagedFile, Verification

#: Bytes per read; large enough that the GIL is free most of the time.
CHUNK = 128 * 1024

#: The supported algorithms by their names in the registry of RFC 9530 (and RFC 3230), best first, with their names in
#: `hashlib` and their lengths in bytes. SHA-256 comes first because it is computed anyway. The last two only detect
#: accidental damage.
_ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64), "sha": ("sha1", 20), "md5": ("md5", 16)}

#: A dictionary member whose value is a byte sequence (RFC 8941 sections 3.2 and 3.3.5), and its parameters.
_MEMBER = re.compile(r"\A(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):(?:;[^,]*)?")
#: The older form (RFC 3230 section 4.3.2): ``SHA-256=<base64>``.
_OLDER = re.compile(r"\A(?P<key>[A-Za-z0-9-]+)=(?P<value>[A-Za-z0-9+/]+={0,2})")


def representation_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best digest of the whole file that a response announces, as ``{algorithm: hex}``, or ``{}``.

    ``Repr-Digest`` (RFC 9530 section 3) and ``Digest`` (RFC 3230) cover the whole representation, even in a partial
    response. Malformed members are ignored.
    """
    return _best(headers.get("Repr-Digest"), _MEMBER) or _best(headers.get("Digest"), _OLDER)


def content_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best ``Content-Digest`` (RFC 9530 section 2), as ``{algorithm: hex}``, or ``{}``.

    It covers only the content of this response: of a partial response, the part.
    """
    return _best(headers.get("Content-Digest"), _MEMBER)


def content_md5(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the ``Content-MD5`` (RFC 2616 section 14.15), as `content_digest` does.

    Ignore it in partial responses: servers never agreed on its meaning there, so RFC 7231 removed it.
    """
    value = _decode(headers.get("Content-MD5", "").strip(" \t"), 16)
    return {"md5": value} if value else {}


def _best(field: str | None, form: re.Pattern[str]) -> dict[str, str]:
    members = [form.fullmatch(member.strip(" \t")) for member in (field or "").split(",")]
    found = {match["key"].lower(): match["value"] for match in members if match is not None}
    for key, (name, length) in _ALGORITHMS.items():
        if value := _decode(found.get(key, ""), length):
            return {name: value}
    return {}


def _decode(text: str, length: int) -> str | None:
    """Return a base64 digest in hex; None if it is not valid or has another length."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == length else None


class Digests:
    """Several running digests of the same bytes, and their count.

    Parameters
    ----------
    names
        The algorithms, by their names in `hashlib`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self.size = 0

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self.size += len(data)
        for digest in self._hashes.values():
            digest.update(data)

    def hex(self, name: str) -> str:
        """Return the digest of an algorithm in hex."""
        return self._hashes[name].hexdigest()

    def mismatch(self, expected: Mapping[str, str]) -> str | None:
        """Return the first algorithm whose digest differs from the expected one, or None."""
        return next((name for name, value in expected.items() if self.hex(name) != value.lower()), None)


def hash_file(resource: Resource, path: Path) -> Digests:
    """Return the SHA-256 of a file and the digests that the resource promises."""
    digests = Digests({"sha256", *resource.digests})
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digests.update(data)
    return digests


def verify_file(
    resource: Resource,
    path: Path,
    digests: Digests,
    *,
    announced: Mapping[str, str] | None = None,
    length_known: bool = False,
) -> StagedFile:
    """Return a complete file as a `StagedFile` if it matches what was promised.

    Parameters
    ----------
    resource
        Its size and digests are the source's promises.
    path
        The file.
    digests
        Its digests.
    announced
        The digests that the server announced; used if the source promises none.
    length_known
        Whether the server announced the length, and the file has it.

    Raises
    ------
    VerificationError
        If it does not match.
    """
    if resource.size is not None and digests.size != resource.size:
        raise VerificationError(
            f"Wrong size: {digests.size} bytes instead of {resource.size}.", kind="size", retryable=True
        )
    expected = resource.digests or announced or {}
    name = digests.mismatch(expected)
    if name is not None:
        raise VerificationError(
            f"Wrong {name}: {digests.hex(name)} instead of {expected[name]}.", kind="digest", retryable=True
        )
    verification = Verification.NONE
    if expected:
        verification = Verification.DIGEST
    elif resource.size is not None or length_known:
        verification = Verification.LENGTH
    return StagedFile(resource, path, digests.size, digests.hex("sha256"), verification)
