"""Downloads without a login, side by side with curl, aria2 and wget2.

The same server and the same files, each tool in turn, several rounds; of the rounds the best counts. A tool's start-up
is what it takes for one file of one byte, and is taken off. A tool that has not got every byte fails the benchmark.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from argosy_devkit import LibraryServer, body_of
from benchmarks.table import Cell, Table


@dataclass(frozen=True)
class Case:
    """Some files of one size."""

    files: int
    size: int
    workers: int
    ttfb: float = 0.0

    @property
    def title(self) -> str:
        count = f"{self.files:,} files" if self.files > 1 else "1 file"
        size = f"{self.size // 1000:,} kB" if self.size < 10**6 else f"{self.size // 10**6:,} MB"
        return f"{count} of {size}, {self.workers} at once, {self.ttfb * 1000:.0f} ms to the first byte"


CASES = (
    Case(400, 100_000, 16, 0.02),
    Case(100, 2_000_000, 4),
    Case(2000, 10_000, 16),
    Case(1, 1_000_000_000, 1),
)
QUICK = (Case(100, 100_000, 16, 0.02), Case(20, 2_000_000, 4), Case(200, 10_000, 16), Case(1, 100_000_000, 1))

Urls = dict[str, str]


def argosy(urls: Urls, folder: Path, workers: int) -> list[str]:
    listing = _list(urls, folder)
    options = ["--directory", str(folder / "got"), "--max-workers", str(workers), "--quiet"]
    return [sys.executable, "-m", "argosy", "download", str(_config(folder, listing)), *options]


def curl(urls: Urls, folder: Path, workers: int) -> list[str]:
    lines = [f'url = "{url}"\noutput = "{folder / "got" / name}"\n' for name, url in urls.items()]
    (folder / "curl.cfg").write_text("".join(lines))
    return ["curl", "-sSf", "-Z", "--parallel-max", str(workers), "-K", str(folder / "curl.cfg")]


def aria2(urls: Urls, folder: Path, workers: int) -> list[str]:
    options = ["-q", f"-j{workers}", "-x1", "-s1", "--file-allocation=none", "-d", str(folder / "got")]
    return ["aria2c", *options, "-i", str(_list(urls, folder))]


def wget2(urls: Urls, folder: Path, workers: int) -> list[str]:
    options = ["-q", f"--max-threads={workers}", "-P", str(folder / "got")]
    return ["wget2", *options, "-i", str(_list(urls, folder))]


#: The tools, and the programs they need.
TOOLS: dict[str, tuple[str | None, Callable[[Urls, Path, int], list[str]]]] = {
    "argosy": (None, argosy),
    "curl -Z": ("curl", curl),
    "aria2": ("aria2c", aria2),
    "wget2": ("wget2", wget2),
}


def _list(urls: Urls, folder: Path) -> Path:
    path = folder / "urls.txt"
    path.write_text("\n".join(urls.values()) + "\n")
    return path


def _config(folder: Path, listing: Path) -> Path:
    path = folder / "argosy.toml"
    path.write_text(f'source = {{ use = "urls", file = "{listing}" }}\n')
    return path


def fetch(tool: str, server: LibraryServer, files: int, size: int, workers: int) -> float:
    """Return the seconds that a tool takes for some files, once they are all there."""
    urls = {f"f{n}": server.url_for(f"/files/f{n}?size={size}") for n in range(files)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "got").mkdir()
        command = TOOLS[tool][1](urls, folder, workers)
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        # wget2 keeps the query in the name
        found = {path.name.partition("?")[0]: path for path in (folder / "got").iterdir() if path.is_file()}
        for file in urls:
            got = found[file].stat().st_size if file in found else 0
            assert got == size, f"{tool} got {got} bytes of {file}"
        if size <= 10**7:
            last = f"f{files - 1}"
            assert found[last].read_bytes() == body_of(last, size), f"{tool} damaged {last}"
    return seconds


def measure(case: Case, tools: list[str], rounds: int) -> list[dict[str, Cell]]:
    """Return the figures of each tool."""
    starts: dict[str, list[float]] = {tool: [] for tool in tools}
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    with LibraryServer(lease_mode="open", ttfb=case.ttfb) as server:
        for _ in range(rounds):
            for tool in tools:
                starts[tool].append(fetch(tool, server, 1, 1, 1) - case.ttfb)
                times[tool].append(fetch(tool, server, case.files, case.size, case.workers))
    best = {tool: max(min(times[tool]) - min(starts[tool]), 0.001) for tool in tools}
    return [
        {
            "tool": tool,
            "start-up s": min(starts[tool]),
            "seconds": best[tool],
            "worst round": max(times[tool]) - min(starts[tool]),
            "MB/s": case.files * case.size / 1e6 / best[tool],
            "argosy takes": best["argosy"] / best[tool],
        }
        for tool in tools
    ]


def tables(quick: bool) -> Iterator[Table]:
    """Measure the tools that are there, case by case."""
    tools = [tool for tool, (program, _) in TOOLS.items() if program is None or shutil.which(program)]
    missing = [f"Skipped: {tool}, as it is not installed." for tool in TOOLS if tool not in tools]
    for case in QUICK if quick else CASES:
        bound = max(-(-case.files // case.workers) * case.ttfb, 0.0)
        notes = [f"No client can take less than {bound:.2f} s." if bound else ""]
        rows = measure(case, tools, 1 if quick else 3)
        yield Table(case.title, rows, [note for note in [*notes, *missing] if note])
