"""Other programs through a gateway: eight requests at once next to one at a time, and one large body.

The library server of the first table replaces the token with every response, takes 50 ms to the first byte, and sends
bodies of 1 MB at 2 MB/s for each connection. One at a time, a file takes 0.55 s; eight connections on one session can
be 8 times as fast at most. The second table has one body from nginx, with curl alone and through a gateway.
"""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argosy_devkit import LibraryServer
from argosy_devkit.bodies import body_of
from benchmarks import nginx, programs, tools
from benchmarks.table import Cell, Goal, Table

TTFB, SIZE, RATE = 0.05, 1_000_000, 2_000_000
AT_ONCE = 8
FASTER, MEGABYTES = 6.0, 200.0

PROGRAMS = (tools.CURL, tools.ARIA2, tools.WGET2)


@contextlib.contextmanager
def running(config: dict[str, Any], *options: str) -> Iterator[str]:
    """Start a gateway in a process of its own; yield its URL."""
    path = tools.folder() / "gateway.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "argosy", "gateway", *options, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def fetch(tool: tools.Tool, base: str, files: int, at_once: int) -> float:
    """Return the seconds for some files of the library through a gateway."""
    place = tools.folder()
    (place / "got").mkdir()
    # nothing after the name: wget2 would make it part of the file's name
    urls = [f"{base}/library/f{number}" for number in range(files)]
    seconds = programs.run(tool.command(urls, place, at_once)).seconds
    for number in range(files):
        got = (place / "got" / f"f{number}").read_bytes()
        assert got == body_of(f"f{number}", SIZE), f"{tool.name} damaged f{number}"
    return seconds


def in_parallel(quick: bool) -> Table:
    """Compare one connection with several, through a gateway."""
    files, single = (16, 4) if quick else (64, 16)
    rows: list[dict[str, Cell]] = []
    goals = []
    root = tools.folder()
    for number in range(files):
        (root / f"f{number}").write_bytes(body_of(f"f{number}", SIZE))
    with LibraryServer(lease_mode="revoke", ttfb=TTFB, rate=RATE, root=root) as server:
        place = tools.folder()
        (place / "password").write_text(server.password)
        fields = {"user": server.user, "password": {"file": str(place / "password")}}
        auth = {"use": "form-login", "url": server.login_url, "fields": fields}
        store = {"use": "json-file", "path": str(place / "cookies.json")}
        with running({"auth": auth, "cookie_store": store}) as base:
            for tool in (tool for tool in PROGRAMS if tool.path is not None):
                server.reset_stats()
                alone = fetch(tool, base, single, 1) / single
                together = fetch(tool, base, files, AT_ONCE) / files
                stats = server.stats()
                rows.append(
                    {
                        "program": tool.name,
                        "ms for a file, one at a time": alone * 1000,
                        f"ms for a file, {AT_ONCE} at once": together * 1000,
                        "times as fast": alone / together,
                        "replaced tokens sent": stats.replaced_tokens_sent,
                    }
                )
                goals.append(Goal(f"{tool.name} through a gateway, times as fast", alone / together, FASTER, True))
    title = (
        f"Programs on one session through a gateway: {files} x 1 MB at 2 MB/s, {TTFB * 1000:.0f} ms to the first byte"
    )
    missing = [f"Left out: {tool.name} ({tool.install})." for tool in PROGRAMS if tool.path is None]
    return Table(title, rows, missing, goals)


def one_body(quick: bool) -> Table:
    """Measure how fast one large body passes."""
    size, rounds = (50_000_000, 1) if quick else (1_000_000_000, 5)
    with nginx.nginx() as server:
        server.make(1, size)
        origin = server.url("").rstrip("/")
        with running({"auth": "none"}, "--origin", origin) as base:
            taken: dict[str, list[float]] = {"curl alone": [], "through a gateway": []}
            for _ in range(rounds):
                for name, url in zip(taken, (origin, base), strict=True):
                    command = ["curl", "-q", "-sSf", "-o", "/dev/null", "-K", str(_given(f"{url}/f0"))]
                    taken[name].append(programs.run(command).seconds)
    rates = {name: size / 1e6 / statistics.median(seconds) for name, seconds in taken.items()}
    rows: list[dict[str, Cell]] = [{"way": name, "MB/s": rate} for name, rate in rates.items()]
    goal = Goal("one body through a gateway, MB/s", rates["through a gateway"], MEGABYTES, at_least=True)
    return Table(f"One body of {size // 10**6:,} MB, curl", rows, goals=[goal])


def _given(url: str) -> Path:
    """Return a configuration of curl with a URL."""
    path = tools.folder() / "curl.cfg"
    path.write_text(f'url = "{url}"\n')
    return path


def tables(quick: bool) -> Iterator[Table]:
    """Measure programs through a gateway."""
    yield in_parallel(quick)
    yield one_body(quick)
