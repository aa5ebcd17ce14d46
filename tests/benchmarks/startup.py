"""How long the command line takes to start, beside the interpreter with ``import requests``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argosy_devkit import LibraryServer
from benchmarks import programs
from benchmarks.table import Cell, Goal, Table
from benchmarks.tools import TRANSPORTS

REQUESTS = "python -c 'import requests'"
COMMANDS: dict[str, list[str]] = {
    REQUESTS: ["-c", "import requests"],
    "argosy --version": ["-m", "argosy", "--version"],
    "argosy --help": ["-m", "argosy", "--help"],
    "argosy download --help": ["-m", "argosy", "download", "--help"],
    "argosy plugins": ["-m", "argosy", "plugins"],
}


def one_file(server: LibraryServer, folder: Path, **settings: Any) -> list[str]:
    """Return the arguments that download a file of ten bytes to a new folder."""
    folder.mkdir()
    source = {"use": "urls", "urls": [server.url_for("/files/f?size=10")]}
    (folder / "argosy.json").write_text(json.dumps({"source": source, "directory": "library", **settings}))
    return ["-m", "argosy", "download", str(folder / "argosy.json"), "--quiet"]


def tables(quick: bool) -> Iterator[Table]:
    """Start each program some times, in turn."""
    downloads = {f"argosy download, transport {name}": settings for name, settings in TRANSPORTS.items()}
    used: dict[str, list[programs.Usage]] = {name: [] for name in (*COMMANDS, *downloads)}
    with tempfile.TemporaryDirectory() as folder, LibraryServer(lease_mode="open") as server:
        for number in range(2 if quick else 15):
            commands = dict(COMMANDS)
            for index, (name, settings) in enumerate(downloads.items()):
                commands[name] = one_file(server, Path(folder, f"{index}-{number}"), **settings)
            for name, arguments in commands.items():
                used[name].append(programs.run([sys.executable, *arguments]))
    medians = {name: programs.median(usages) for name, usages in used.items()}
    base = medians[REQUESTS]
    rows: list[dict[str, Cell]] = [
        {
            "command": f"`{name}`" if name not in downloads else f"{name}, one tiny file",
            "median ms": median.seconds * 1000,
            "CPU ms": median.cpu * 1000,
            "peak MB": median.peak,
            "CPU relative to requests": median.cpu / base.cpu,
        }
        for name, median in medians.items()
    ]
    first = f"argosy download, transport {next(iter(TRANSPORTS))}"
    goals = [Goal("one tiny download, CPU, relative to `import requests`", medians[first].cpu / base.cpu, 2.0)]
    yield Table("Start of the command line", rows, ["Aim: `--version` and `--help` below 2."], [] if quick else goals)
