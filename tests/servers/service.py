"""The tests' side: a service in a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests

from servers.rules import Rules, book

_TESTS = Path(__file__).resolve().parent.parent


class Tally(NamedTuple):
    """What a service has counted of what must be right after a download."""

    accepted: int
    logins: int
    refused: int
    replaced_tokens_sent: int


class Service:
    """A service that runs.

    Parameters
    ----------
    process
        Its process, which ends when its standard input does.
    url
        Where it is, without a slash at the end.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._process = process
        self._http = requests.Session()
        self._http.trust_env = False

    def counts(self) -> dict[str, int]:
        """Return all that was counted."""
        found: dict[str, int] = self._http.get(f"{self.url}/-/counts", timeout=30).json()
        return found

    def tally(self) -> Tally:
        """Return the counts that a download is judged by."""
        found = self.counts()
        return Tally(*(found.get(name, 0) for name in Tally._fields))

    def expire(self) -> None:
        """End all sessions."""
        self._http.get(f"{self.url}/-/expire", timeout=30).raise_for_status()

    def manifest(self, path: Path, items: int) -> None:
        """Write a manifest of books, with their digests."""
        lines: list[dict[str, Any]] = [
            {
                "id": f"b{number}",
                "resources": [
                    {
                        "url": f"{self.url}/books/{number}.bin",
                        "path": f"{number}.bin",
                        "sha256": hashlib.sha256(book(number)).hexdigest(),
                    }
                ],
            }
            for number in range(items)
        ]
        path.write_text("\n".join(map(json.dumps, lines)), "utf-8")

    def stop(self) -> None:
        """End it; whatever it had to complain about ends the test."""
        self._http.close()
        _, err = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, err
        assert not err, err


@contextlib.contextmanager
def start(module: str, **rules: Any) -> Iterator[Service]:
    """Start the service of a module of this package (``flask_library``), and stop it at the end.

    Parameters
    ----------
    module
        Its name.
    rules
        The fields of `Rules`.
    """
    Rules(**rules)  # a misspelt one is told here
    process = subprocess.Popen(
        [sys.executable, "-m", f"servers.{module}", json.dumps(rules)],
        cwd=_TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    if not port:
        raise AssertionError(process.communicate()[1])
    service = Service(process, f"http://127.0.0.1:{port}")
    try:
        yield service
    finally:
        service.stop()
