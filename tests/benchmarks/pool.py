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
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import TRANSPORTS
from voyage import set_out

TTFB = 0.02
SIZE = 2000
WORKERS = 4

#: The least that 8 sessions should do, relative to one session.
LIMITS = {"requests": 7.0, "curl": 7.5}

#: How much later the answers on the slow session come, in seconds.
LATE = 0.18


def download(
    sessions: int, items: int, transport: str = "requests", **server_options: Any
) -> tuple[float, ServerStats]:
    """Return the seconds of a download, and what the server counted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LibraryServer(lease_mode="strict", ttfb=TTFB, **server_options) as server,
    ):
        options = {"sessions": sessions, "max_workers": WORKERS * sessions, **TRANSPORTS[transport]}
        voyage = set_out(Path(folder), server, items=items, size=SIZE, **options)
        seconds = argosy.download(voyage.file).seconds
        assert not voyage.wrong(), voyage.wrong()
        return seconds, server.stats()


def measure(transport: str, sessions: int, each: int, one: float | None) -> dict[str, Cell]:
    """Return the figures of so many requests for each session."""
    short, long = each // 4 * sessions, each * sessions
    less, before = download(sessions, short, transport)
    seconds, stats = download(sessions, long, transport)
    rate = (long - short) / (seconds - less)
    return {
        "transport": transport,
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
    goals: list[Goal] = []
    for transport, limit in LIMITS.items():
        one: float | None = None
        for sessions in (1, 2, 4) if quick else (1, 2, 4, 8):
            rows.append(measure(transport, sessions, each, one))
            one = one or float(rows[-1]["requests/s"] or 0)
        what = f"8 sessions, transport {transport}, requests/s relative to one session"
        goals.append(Goal(what, float(rows[-1]["times one session"] or 0), limit, at_least=True))
    notes = ["Where the processor is the limit, more sessions do no more."]
    yield Table("N sessions, 20 ms to the first byte, 2 kB", rows, notes, [] if quick else goals)
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
