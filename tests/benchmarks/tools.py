"""The tools that people could use instead of argosy, and argosy itself, on some files of nginx."""

from __future__ import annotations

import filecmp
import functools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import programs
from benchmarks.nginx import DELAY, Nginx
from benchmarks.programs import Usage


@dataclass(frozen=True)
class Workload:
    """Some files of one size."""

    files: int
    size: int
    workers: int
    delay: bool = False  # whether the first byte comes late

    @property
    def title(self) -> str:
        size = f"{self.size // 1000:,} kB" if self.size < 10**6 else f"{self.size // 10**6:,} MB"
        title = f"{self.files:,} x {size}, {self.workers} connection{'s' if self.workers > 1 else ''}"
        return f"{title}, {DELAY * 1000:.0f} ms to the first byte" if self.delay else title

    @property
    def bound(self) -> float:
        """The seconds that no client can beat."""
        return -(-self.files // self.workers) * DELAY if self.delay else 0.0

    def url(self, server: Nginx, number: int) -> str:
        return server.url(f"/late/f{number}" if self.delay else f"/f{number}")


SMALL = Workload(2000, 10_000, 16)
SMALL_QUICK = Workload(60, 10_000, 16)

Command = Callable[[list[str], Path, int], list[str]]


@dataclass(frozen=True)
class Tool:
    """A program that downloads URLs to the folder `got` below another one."""

    name: str
    command: Command
    program: str | None = None  # looked for beside Python, too
    install: str = ""

    @property
    def path(self) -> str | None:
        return program(self.program) if self.program else sys.executable


def program(name: str) -> str | None:
    """Return the path of a program, of this environment or of the system."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def argosy(**settings: Any) -> Command:
    """Return the command of argosy with some settings."""

    def command(urls: list[str], folder: Path, workers: int) -> list[str]:
        source = {"use": "urls", "file": _list(urls, folder)}
        config = {"source": source, "directory": str(folder / "got"), "max_workers": workers, **settings}
        (folder / "argosy.json").write_text(json.dumps(config))
        return [sys.executable, "-m", "argosy", "download", str(folder / "argosy.json"), "--quiet"]

    return command


def curl(urls: list[str], folder: Path, workers: int) -> list[str]:
    lines = [f'url = "{url}"\noutput = "{folder}/got/{url.rpartition("/")[2]}"\n' for url in urls]
    (folder / "curl.cfg").write_text("".join(lines))
    return ["curl", "-q", "-sSf", "-Z", "--parallel-max", str(workers), "-K", str(folder / "curl.cfg")]


def aria2(urls: list[str], folder: Path, workers: int) -> list[str]:
    options = ["--no-conf", "-q", f"-j{workers}", "-x1", "-s1", "--file-allocation=none", "-d", f"{folder}/got"]
    return ["aria2c", *options, "-i", _list(urls, folder)]


def wget2(urls: list[str], folder: Path, workers: int) -> list[str]:
    options = ["--no-config", "-q", f"--max-threads={workers}", "-P", f"{folder}/got"]
    return ["wget2", *options, "-i", _list(urls, folder)]


def parfive(urls: list[str], folder: Path, workers: int) -> list[str]:
    options = [f"--max-conn={workers}", "--max-splits=1", "--no-progress", f"--directory={folder}/got"]
    return [program("parfive") or "parfive", *options, *urls]


def _list(urls: list[str], folder: Path) -> str:
    (folder / "urls.txt").write_text("\n".join(urls) + "\n")
    return str(folder / "urls.txt")


#: The settings of argosy for each transport.
TRANSPORTS: dict[str, dict[str, Any]] = {"requests": {}, "curl": {"transport": "curl"}}

ARGOSY = Tool("argosy", argosy())
ARGOSY_CURL = Tool("argosy, transport curl", argosy(transport="curl"))
ARGOSY_RUN = Tool("argosy, durability run", argosy(durability="run"))
ARGOSY_CURL_RUN = Tool("argosy, transport curl, durability run", argosy(transport="curl", durability="run"))
OURS = (ARGOSY, ARGOSY_CURL, ARGOSY_RUN, ARGOSY_CURL_RUN)

CURL = Tool("curl -Z", curl, "curl", "Debian: apt install curl")
ARIA2 = Tool("aria2", aria2, "aria2c", "Debian: apt install aria2")
WGET2 = Tool("wget2", wget2, "wget2", "Debian: apt install wget2")
PARFIVE = Tool("parfive", parfive, "parfive", "pip install 'argosy[benchmarks]'")
PEERS = (CURL, ARIA2, WGET2, PARFIVE)


def missing() -> list[str]:
    """Return what to say of tools that are not installed."""
    return [f"Left out: {tool.name}, which is not installed ({tool.install})." for tool in PEERS if tool.path is None]


def fetch(tool: Tool, server: Nginx, workload: Workload) -> Usage:
    """Return what a tool uses for a workload, whose files the server has; raise AssertionError if one is not right."""
    place = folder()
    used = programs.run(prepared(tool, server, workload, place))
    for number in range(workload.files):
        got = place / "got" / f"f{number}"
        assert got.exists(), f"{tool.name} has no f{number}"
        assert filecmp.cmp(server.files / got.name, got, shallow=False), f"{tool.name} damaged f{number}"
        if workload.files == 1:
            os.truncate(got, 0)
    return used


def folder() -> Path:
    """Return a new folder, which stays until all benchmarks end.

    ext4 does not use the inodes of deleted files again for minutes, and passes all of them for each new file: a run after
    the files of another one were deleted takes several times as long.
    """
    return Path(tempfile.mkdtemp(dir=_root().name))


@functools.cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="argosy-benchmarks-")


def prepared(tool: Tool, server: Nginx, workload: Workload, folder: Path) -> list[str]:
    """Return the command that downloads a workload to a folder, with the files that it needs there."""
    (folder / "got").mkdir()
    urls = [workload.url(server, number) for number in range(workload.files)]
    return tool.command(urls, folder, workload.workers)


def in_turn(tools: list[Tool], server: Nginx, workload: Workload, rounds: int) -> dict[Tool, list[Usage]]:
    """Run tools in turn, so that what else the machine does hits all of them."""
    server.make(workload.files, workload.size)
    used: dict[Tool, list[Usage]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            used[tool].append(fetch(tool, server, workload))
    return used
