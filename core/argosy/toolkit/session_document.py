"""Session records as one JSON document, for stores that keep them in a file.

The document has a format, a version and a checksum, and every record in it was parsed back before it replaces
anything: a store never puts a file in place that it could not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from argosy.errors import StoreDamaged
from argosy.models.session import SessionRecord
from argosy.toolkit.encryption import PLAIN, Sealing

FORMAT = "argosy-sessions"
VERSION = 1

#: The largest document that is read: no store of sessions comes near it, and its values take many times the memory.
MAX_BYTES = 64 * 1024 * 1024


#: What a store that writes again and again need not make again: the texts of records, by session.
Texts = dict[str, tuple[SessionRecord, str]]

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def dump(records: Mapping[str, SessionRecord], texts: Texts | None = None, sealing: Sealing = PLAIN) -> bytes:
    """Return the document of some sessions.

    Parameters
    ----------
    records
        The sessions by name.
    texts
        Remembers the texts of the records; a record that is the same object as the last time has the same.
    sealing
        Encrypts them, or does not.

    Raises
    ------
    StoreDamaged
        If a record does not come back as it was.
    """
    known: Texts = {} if texts is None else texts
    parts: list[str] = []
    for name, record in sorted(records.items()):
        found = known.get(name)
        if found is None or found[0] is not record:
            found = known[name] = record, _checked_text(record, sealing)
        parts.append(f"{_canonical(name)}:{found[1]}")
    body = f"{{{','.join(parts)}}}"  # the canonical text of them all
    checksum = hashlib.sha256(body.encode()).hexdigest()
    text = f'{{"format":"{FORMAT}","version":{VERSION},"checksum":"{checksum}",\n"sessions":{body}}}\n'
    return text.encode()


def _checked_text(record: SessionRecord, sealing: Sealing) -> str:
    text = _canonical(sealing.to_value(record))
    if sealing.from_value(json.loads(text), record.session) != record:
        raise StoreDamaged("A session record does not come back as it was written; nothing was replaced.")
    return text


def parse(data: bytes, where: str, sealing: Sealing = PLAIN) -> dict[str, SessionRecord]:
    """Return the sessions of a document.

    Parameters
    ----------
    data
        The document.
    where
        Its place, for messages.
    sealing
        Opens its records.

    Raises
    ------
    StoreDamaged
        If it is no such document, is of a newer version, or was changed since it was written.
    StoreSealed
        If it is encrypted in another way than `sealing` says.
    """
    if len(data) > MAX_BYTES:
        raise _damaged(where, "it is larger than 64 MiB")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _damaged(where, "it is not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoreDamaged(
            f"{where} is not a session file of argosy, so it is left as it is.",
            hint='If it is a cookie export, name it under "auth" ({"use": "cookies", "path": ...}) and give the '
            "cookie store a path of its own.",
        )
    if document.get("version") != VERSION:
        raise StoreDamaged(
            f"{where} has version {document.get('version')!r}, and this argosy reads version {VERSION}.",
            hint="Use the argosy that wrote it, or log in to a new file.",
        )
    sessions = document.get("sessions")
    if not isinstance(sessions, dict):
        raise _damaged(where, "it has no sessions")
    if document.get("checksum") != hashlib.sha256(_canonical(sessions).encode()).hexdigest():
        raise _damaged(where, "its checksum does not fit")
    try:
        return {name: sealing.from_value(record, name) for name, record in sessions.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(where, "a record in it is not complete") from None


def _damaged(where: str, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"{where} is damaged ({why}), so it is left as it is.",
        hint="Restore it from a backup, or move it away and log in again: argosy login CONFIG",
    )
