"""Several sessions where bodies are short and answers slow: how many times the requests of one session.

A library server whose every response replaces the token: 20 ms to the first byte, 2 kB. On one session the headers of
one request after the other are the bound; N sessions can do N times as much. Four workers for each session, in
threads, with the sessions in a json-file store. The start (logging in) is taken off, as the difference of two runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argosy
from argosy_devkit import Fault, LibraryServer, ServerStats
from benchmarks.table import Cell, Table
from voyage import set_out

TTFB = 0.02
SIZE = 2000
WORKERS = 4

#: How much later the answers on the slow session come, in seconds.
LATE = 0.18


def download(sessions: int, items: int, **server_options: Any) -> tuple[float, ServerStats]:
    """Return the seconds of a download, and what the server counted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LibraryServer(lease_mode="strict", ttfb=TTFB, **server_options) as server,
    ):
        voyage = set_out(
            Path(folder), server, items=items, size=SIZE, sessions=sessions, max_workers=WORKERS * sessions
        )
        seconds = argosy.download(voyage.file).seconds
        assert not voyage.wrong(), voyage.wrong()
        return seconds, server.stats()


def measure(sessions: int, each: int, one: float | None) -> dict[str, Cell]:
    """Return the figures of so many requests for each session."""
    short, long = each // 4 * sessions, each * sessions
    less, before = download(sessions, short)
    seconds, stats = download(sessions, long)
    rate = (long - short) / (seconds - less)
    return {
        "sessions": sessions,
        "workers": WORKERS * sessions,
        "requests": long - short,
        "requests/s": rate,
        "times one session": rate / one if one else 1.0,
        "of the bound": rate * TTFB / sessions,
        "refusals": before.refused + stats.refused,
        "logins": stats.logins,
    }


def tables(quick: bool) -> Iterator[Table]:
    """Measure pools of equal sessions, and one with a slow session in it."""
    each = 40 if quick else 200
    rows: list[dict[str, Cell]] = []
    for sessions in (1, 2, 4) if quick else (1, 2, 4, 8):
        one = float(rows[0]["requests/s"] or 0) if rows else None
        rows.append(measure(sessions, each, one))
    yield Table(
        "N sessions, 20 ms to the first byte, 2 kB",
        rows,
        ["Aim: N times one session; no refusal. Where the processor is the limit, more sessions do no more."],
    )
    late = [Fault("late", session=1, seconds=LATE, path="/files/")]
    seconds, stats = download(2, 2 * each, faults=late)
    done = {login: count - 1 for login, count in stats.accepted_by_login.items()}  # without the page of the login
    slow: dict[str, Cell] = {
        "requests": 2 * each,
        "on the slow session": done["1"],
        "on the other one": done["2"],
        "seconds": seconds,
        "seconds if each got half": each * (TTFB + LATE),
        "refusals": stats.refused,
    }
    yield Table("Two sessions, one of them ten times slower", [slow])
