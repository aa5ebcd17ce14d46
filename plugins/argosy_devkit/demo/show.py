"""The demo: downloads the same library serially and in parallel, with one session."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

import argosy
from argosy_devkit import LibraryServer, ServerStats
from argosy_devkit.demo.library import Book, build_library

#: The pages about the serial download and the parallel one, in the target directory.
PAGES = ("serial.html", "parallel.html")

#: Seconds to the first byte, and bytes per second and connection: a distant service.
TTFB = 0.02
RATE = 120_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the downloads, with the server's counters."""

    name: str
    report: argosy.Report
    stats: ServerStats


def show(directory: Path, max_workers: int, outputs: Sequence[str] = ("files",), *, quiet: bool) -> int:
    """Run the demo and print the result; return 0 if both downloads were complete and the server refused nothing."""
    with tempfile.TemporaryDirectory(prefix="argosy-demo-") as name:
        scratch = Path(name)
        books = build_library(scratch / "server")
        _say(
            f"A library of {len(books)} books contains the documentation of Python's standard library. It is served "
            "from this machine, behind a login; every response replaces the session's token, and an old one is refused."
        )
        with LibraryServer(lease_mode="strict", root=scratch / "server", ttfb=TTFB, rate=RATE) as server:
            _write_manifest(scratch / "books.jsonl", books, server)
            shown = [] if quiet else [{"use": "progress" if sys.stderr.isatty() else "log"}]
            base = {**_configuration(scratch, server), "output": list(outputs)}
            directory.mkdir(parents=True, exist_ok=True)
            legs: list[Leg] = []
            for title, workers, target in (
                ("serial", 1, scratch / "serial"),
                (f"{max_workers} threads", max_workers, directory),
            ):
                print(f"\n{title}:", file=sys.stderr)
                page = {"use": "html-report", "path": str(directory / PAGES[workers > 1])}
                run = {"max_workers": workers, "directory": str(target), "observers": [*shown, page]}
                report = argosy.download({**base, **run})
                legs.append(Leg(title, report, server.stats()))
                server.reset_stats()
    _print(legs, directory, books)
    refused = sum(leg.stats.refused for leg in legs)
    failed = sum(leg.report.counts.failed for leg in legs)
    return 1 if refused or failed else 0


def _say(text: str, file: TextIO | None = None) -> None:
    width = min(shutil.get_terminal_size().columns - 1, 100)
    print(textwrap.fill(text, max(width, 20)), file=file or sys.stderr)


def _write_manifest(path: Path, books: Sequence[Book], server: LibraryServer) -> None:
    with path.open("w", encoding="utf-8") as file:
        # the thickest first, so no worker is left with a long one at the end
        for book in sorted(books, key=lambda book: -int(book.metadata["words"])):
            resources = [
                {"url": server.url_for(f"/library/{quote(book.id)}/{quote(chapter)}"), "path": chapter}
                for chapter in book.files
            ]
            line = {
                "id": book.id,
                "title": book.title,
                "tags": list(book.tags),
                "metadata": dict(book.metadata),
                "resources": resources,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _configuration(scratch: Path, server: LibraryServer) -> Mapping[str, Any]:
    secret = scratch / "password"
    secret.touch(0o600)
    secret.write_text(server.password, "utf-8")
    return {
        "source": {"use": "manifest", "path": str(scratch / "books.jsonl")},
        "auth": {
            "use": "form-login",
            "url": server.login_url,
            "fields": {"user": server.user, "password": {"file": str(secret)}},
        },
        "cookie_store": {"use": "json-file", "path": str(scratch / "cookies.json")},
        "force_redownload": True,  # each demo downloads again
    }


def _print(legs: Sequence[Leg], directory: Path, books: Sequence[Book]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("run", "books", "requests", "time", "speed-up", "logins", "refusals"):
        table.add_column(heading, justify="left" if heading == "run" else "right", no_wrap=True)
    first = legs[0].report.seconds
    for leg in legs:
        table.add_row(
            leg.name,
            str(leg.report.counts.done),
            str(leg.report.requests),
            f"{leg.report.seconds:.1f} s",
            f"{first / leg.report.seconds:.1f}x",
            str(leg.stats.logins),
            str(leg.stats.refused),
        )
    console.print()
    console.print(table)
    print()
    _say(
        f"Logins and refusals are the server's own count. Both runs shared one session: "
        f"{sum(leg.stats.logins for leg in legs)} login, {sum(leg.stats.rotations for leg in legs)} tokens, each used once.",
        sys.stdout,
    )
    index = directory / books[0].id / "index.html"
    begin = f"; begin with {index}" if index.exists() else ""
    console.print(f"The books are in {directory}{begin}", markup=False)
    pages = " and ".join(str(directory / page) for page in PAGES)
    console.print(f"To see the token go from worker to worker, open {pages}", markup=False)
