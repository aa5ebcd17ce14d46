"""Verifying a resource: sizes, promised digests, and digests that servers announce (RFC 9530 and older fields)."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from argosy.errors import VerificationError
from argosy.models.items import Resource, StagedFile, Verification

#: Bytes per read; large enough that the GIL is free most of the time.
CHUNK = 128 * 1024

#: The supported algorithms by their names in the registry of RFC 9530 (and RFC 3230), best first, with their names in
#: `hashlib` and their lengths in bytes. SHA-256 comes first because it is computed anyway. The last two only detect
#: accidental damage.
_ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64), "sha": ("sha1", 20), "md5": ("md5", 16)}

#: A dictionary member whose value is a byte sequence (RFC 8941 sections 3.2 and 3.3.5), and its parameters.
_MEMBER = re.compile(r"(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):(?:;[^,]*)?")
#: The older form (RFC 3230 section 4.3.2): ``SHA-256=<base64>``.
_OLDER = re.compile(r"(?P<key>[A-Za-z0-9-]+)=(?P<value>[A-Za-z0-9+/]+={0,2})")


def representation_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best announced digest of the whole file, as ``{algorithm: hex}``, or ``{}``.

    ``Repr-Digest`` (RFC 9530 section 3) and ``Digest`` (RFC 3230) cover the whole file even in a partial response.
    """
    return _best(headers.get("Repr-Digest"), _MEMBER) or _best(headers.get("Digest"), _OLDER)


def content_digest(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the best ``Content-Digest`` (RFC 9530 section 2): of the bytes of this response only."""
    return _best(headers.get("Content-Digest"), _MEMBER)


def content_md5(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the ``Content-MD5`` (RFC 2616 section 14.15).

    Do not use it in partial responses: servers never agreed on its meaning there, so RFC 7231 removed it.
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
    """Return a base64 digest in hex; None if it is invalid or has another length."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == length else None


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


def verify_file(
    resource: Resource,
    path: Path,
    digests: Digests,
    announced: Mapping[str, str] = MappingProxyType({}),
    *,
    length_known: bool = False,
) -> StagedFile:
    """Return a complete file as a `StagedFile`; raise VerificationError if it is not what was promised.

    Its announced digests count if the source promises none; `length_known` means that it has its announced length.
    """
    if resource.size is not None and digests.size != resource.size:
        text = f"Wrong size: {digests.size} bytes instead of {resource.size}."
        raise VerificationError(text, kind="size", retryable=True)
    expected = resource.digests or announced
    name = digests.mismatch(expected)
    if name is not None:
        text = f"Wrong {name}: {digests.hex(name)} instead of {expected[name]}."
        raise VerificationError(text, kind="digest", retryable=True)
    verification = Verification.NONE
    if expected:
        verification = Verification.DIGEST
    elif resource.size is not None or length_known:
        verification = Verification.LENGTH
    return StagedFile(resource, path, digests.size, digests.hex("sha256"), verification)
