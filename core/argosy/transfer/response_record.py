"""What is kept of the response that brought a resource: its head, beside the whole file in staging, without credentials."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import requests

from argosy.models.items import PublishedFile, Verification
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.names import safe_part
from argosy.toolkit.urls import is_secret

#: Bytes of header fields that are kept of one response; a head of more is cut off there.
MOST = 8192

#: Response fields that carry credentials, or speak of them.
_SECRET = frozenset(
    {
        "authentication-info",
        "authorization",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
    }
)

#: Request fields that say nothing of who asks; no others are kept.
_ASKED = frozenset({"accept", "accept-encoding", "accept-language", "connection", "user-agent"})


def record_of(response: requests.Response, redact: Callable[[str], str]) -> ResponseRecord:
    """Return what is kept of a response whose headers are in.

    Parameters
    ----------
    response
        The response, after redirects.
    redact
        Takes the secrets out of a text.
    """
    raw = response.raw
    headers, room = [], MOST
    for name, value in raw.headers.iteritems():
        if name.lower() in _SECRET or is_secret(name):
            continue
        room -= len(name) + len(value) + 4
        if room < 0:
            break
        headers.append((name, redact(value)))
    asked = tuple((name, value) for name, value in response.request.headers.items() if name.lower() in _ASKED)
    version = f"HTTP/{raw.version // 10}.{raw.version % 10}"
    url, reason = redact(response.url), redact(response.reason or "")
    return ResponseRecord(url, response.status_code, reason, version, tuple(headers), asked, time.time())


class Notes:
    """What servers said with the files of one item that are whole, written down beside them: a later try does not ask again.

    It is a file of lines that only grows. An item's last file is done a moment later, mostly, and a file costs more than
    all the rest of a small item; so what was said with that one is written down where something comes between.

    Parameters
    ----------
    folder
        The item's folder in staging.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "heads.jsonl"
        self._later: list[tuple[str, str | None, ResponseRecord | None]] = []
        self._found: dict[str, tuple[str | None, ResponseRecord | None]] | None = None

    def write(
        self, whole: Path, name: str | None, response: ResponseRecord | None, *, later: bool = False
    ) -> None:
        """Write down what a server said, before the file is whole.

        Parameters
        ----------
        whole
            The file.
        name
            What the server calls it, where that is asked for: it is on the disk then before the file is.
        response
            The head.
        later
            Whether it may wait for `flush`.
        """
        if name is None and response is None:
            return
        self._later.append((whole.name, name, response))
        if name is not None or not later:
            self.flush(sync=name is not None)

    def flush(self, *, sync: bool = False) -> None:
        """Write down what had to wait, and return when it is on the disk, where it is to be."""
        if self._later:
            with self._path.open("a", encoding="utf-8") as file:
                for of, name, response in self._later:
                    value = {"of": of, "name": name, "response": response.to_json() if response else None}
                    file.write(f"\n{json.dumps(value)}\n")  # what is before it may be half a line
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            self._later.clear()

    def publishing(self, files: Iterable[PublishedFile]) -> None:
        """Write down which files outputs are about to publish: a run killed before the ledger knows them left its own.

        Nothing is synced: a kill loses nothing that was written.
        """
        lines = [json.dumps({"put": file.name, "size": file.size, "sha256": file.sha256}) for file in files]
        if lines:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"\n{line}\n" for line in lines))

    def published(self, name: str) -> Iterator[PublishedFile]:
        """Yield what was about to be published under a name."""
        for line in self._lines():
            with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
                value = json.loads(line)
                if value["put"] == name:
                    yield PublishedFile(name, int(value["size"]), str(value["sha256"]), Verification.DIGEST)

    def read(self, whole: Path) -> tuple[str | None, ResponseRecord | None]:
        """Return the name and the head that were written down for a file; None for what was not."""
        if self._found is None:
            self._found = dict(filter(None, map(_parsed, self._lines())))
        return self._found.get(whole.name, (None, None))

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []


def _parsed(line: str) -> tuple[str, tuple[str | None, ResponseRecord | None]] | None:
    """Return what a line says; None where it is not whole: a kill came between."""
    try:
        value = json.loads(line)
        of, name, response = str(value["of"]), value["name"], value["response"]
        record = ResponseRecord.from_json(response) if response is not None else None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    good = isinstance(name, str) and name and safe_part(name, keep_suffix=True) == name
    return of, (name if good else None, record)
