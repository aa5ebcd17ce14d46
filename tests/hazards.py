"""What the tests of the torture table look at: causes of failures, and secrets where they must not be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from argosy.run.report import Report
from argosy.testing import Fault

#: What a token of the library server looks like, whichever it is.
TOKEN = re.compile(rb"[0-9a-f]{12}\.\d+\.[0-9a-f]{24}")


def fault(kind: str, **options: Any) -> Fault:
    """Return a fault that strikes the library's files, and not the page that a login leads to."""
    return Fault(kind, **{"path": "/files/", **options})


def failures(report: Report) -> dict[str, str]:
    """Return the causes of the items that failed."""
    return {item: failure.kind for item, _, failure in report.failures}


def files_with(root: Path, *secrets: bytes, but: str = "cookies.json") -> list[str]:
    """Return the files below a folder (and what is found in them) that hold a secret or a server's token."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != but):
        data = path.read_bytes()
        found += [f"{path.relative_to(root)}: {s!r}" for s in secrets if s in data]
        found += [f"{path.relative_to(root)}: {match[0]!r}" for match in TOKEN.finditer(data)]
    return found
