"""Session records as one JSON document, for stores that keep them in a file.

The document has a format, a version and a checksum, and what was written is parsed back before it replaces
anything: a store never puts a file in place that it could not read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from argosy.errors import StoreDamaged
from argosy.session.record import SessionRecord

FORMAT = "argosy-sessions"
VERSION = 1


def _canonical(sessions: Mapping[str, Any]) -> str:
    return json.dumps(sessions, sort_keys=True, separators=(",", ":"))


def dump(records: Mapping[str, SessionRecord]) -> bytes:
    """Return the document of some sessions.

    Raises
    ------
    StoreDamaged
        If it does not come back as it was.
    """
    body = _canonical({name: record.to_dict() for name, record in records.items()})
    checksum = hashlib.sha256(body.encode()).hexdigest()
    text = f'{{"format":"{FORMAT}","version":{VERSION},"checksum":"{checksum}",\n"sessions":{body}}}\n'
    data = text.encode()
    if parse(data, "what was to be written") != records:
        raise StoreDamaged("A session record does not come back as it was written; nothing was replaced.")
    return data


def parse(data: bytes, where: str) -> dict[str, SessionRecord]:
    """Return the sessions of a document.

    Parameters
    ----------
    data
        The document.
    where
        Its place, for messages.

    Raises
    ------
    StoreDamaged
        If it is no such document, is of a newer version, or was changed since it was written.
    """
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
        return {name: SessionRecord.from_dict(record) for name, record in sessions.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(where, "a record in it is not complete") from None


def _damaged(where: str, why: str) -> StoreDamaged:
    return StoreDamaged(
        f"{where} is damaged ({why}), so it is left as it is.",
        hint="Restore it from a backup, or move it away and log in again: argosy login CONFIG",
    )
