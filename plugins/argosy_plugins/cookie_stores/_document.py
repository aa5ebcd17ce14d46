"""Session records as one JSON document with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from argosy.errors import StoreDamaged
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores._encryption import Sealing, canonical

_FORMAT = "argosy-sessions-1"

#: The largest document to read; parsing it takes many times the memory.
MAX_BYTES = 64 * 1024 * 1024

#: The texts of records by session, so that a write encodes only the record that changed.
Texts = dict[str, tuple[SessionRecord, str]]


def dump(records: Mapping[str, SessionRecord], sealing: Sealing, texts: Texts) -> bytes:
    """Return the document of some sessions; `texts` keeps what the next call can use."""
    parts: list[str] = []
    for name, record in sorted(records.items()):
        found = texts.get(name)
        if found is None or found[0] is not record:
            found = texts[name] = record, canonical(sealing.to_value(record))
        parts.append(f"{canonical(name)}:{found[1]}")
    body = f"{{{','.join(parts)}}}"
    return f'{{"format":"{_FORMAT}","checksum":"{_checksum(body)}",\n"sessions":{body}}}\n'.encode()


def parse(data: bytes, where: str, sealing: Sealing) -> dict[str, SessionRecord]:
    """Return the sessions of a document; `where` is its path, for messages.

    Raises
    ------
    StoreDamaged
        If it is not such a document, or was changed since it was written.
    StoreSealed
        If its encryption does not fit `sealing`.
    """
    try:
        document = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        document = None
    if document is None:
        raise _damaged(where, "it is not JSON, or too large")
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise StoreDamaged(
            f"{where} is not a session file of argosy. It was not changed.",
            hint='If it is a cookie export, name it under "auth" ({"use": "cookies", "path": ...}) and give the '
            "cookie store a path of its own.",
        )
    try:
        sessions = document["sessions"]
        if document["checksum"] != _checksum(canonical(sessions)):
            raise _damaged(where, "its checksum does not fit")
        return {name: sealing.from_value(record, name) for name, record in sessions.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(where, "a record in it is not complete") from None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(where: str, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"{where} is damaged ({why}). It was not changed.",
        hint="Restore it from a backup, or move it away and log in again: argosy login CONFIG",
    )
