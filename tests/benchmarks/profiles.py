"""Where the time of a file goes: the CPU samples of py-spy, by the part of the program.

py-spy looks 200 times per second which functions run while `argosy download` fetches small files. What C code does
(system calls, digests, libcurl) counts for the Python function that called it. Their shares are those of the CPU time of
another run, without py-spy.
"""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tools
from benchmarks.nginx import nginx
from benchmarks.table import Cell, Table
from benchmarks.tools import TRANSPORTS, Tool

NEEDS_NGINX = True
INSTALL = "pip install 'argosy[benchmarks]'"

#: Samples per second, the least share of a part that is listed, and how many functions are.
RATE = 200
LEAST = 0.01
FUNCTIONS = 15

#: The part of every module that is being imported, and that of the interpreter's own start and end.
IMPORTS, INTERPRETER = "imports", "the interpreter, without a Python function"

_FRAME = re.compile(r"(?P<function>.*) \((?P<path>.*?)(?::(?P<line>\d+))?\)")
_STDLIB = sysconfig.get_path("stdlib")


def part_of(path: str) -> str:
    """Return the part of the program that a file belongs to: a package of argosy, a library, or a Python module."""
    if path.startswith("<frozen importlib"):
        return IMPORTS
    if "/site-packages/" not in path and path.startswith(_STDLIB):
        return f"Python: {Path(path).relative_to(_STDLIB).parts[0].removesuffix('.py')}"
    inside = path.rpartition("/site-packages/")[2]
    if ours := re.search(r"(?:^|.*/)(argosy(?:_\w+)?)/(\w+)", inside):
        return f"{ours[1]}.{ours[2]}".removesuffix(".__init__")
    return inside.partition("/")[0].removesuffix(".py")


def samples(command: list[str]) -> Iterator[tuple[list[tuple[str, str]], int]]:
    """Yield the stacks of a program, outermost first, as functions and files; and how often each was seen."""
    with tempfile.NamedTemporaryFile("r") as raw:
        record = [tools.program("py-spy") or "py-spy", "record", "--format", "raw", "--full-filenames"]
        # a thread that py-spy stopped and started again would count as running, though it waits
        options = ["--nonblocking", "--rate", str(RATE), "--output", raw.name]
        done = subprocess.run([*record, *options, "--", *command], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"py-spy failed: {done.stderr[-2000:]}")
        for line in raw:
            stack, _, count = line.rpartition(" ")
            frames = [found for frame in stack.split(";") if (found := _FRAME.fullmatch(frame))]
            yield [(found["function"], found["path"]) for found in frames], int(count)


def profile(title: str, stacks: Iterator[tuple[list[tuple[str, str]], int]], us: float) -> Iterator[Table]:
    """Yield the shares of the parts, and the functions that take the most, of so many microseconds per file."""
    own: Counter[str] = Counter()
    called: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, count in stacks:
        parts = [part_of(path) for _, path in stack] or [INTERPRETER]
        if IMPORTS in parts:
            parts = [IMPORTS]
        elif stack:
            functions[f"`{stack[-1][0]}` ({parts[-1]})"] += count
        own[parts[-1]] += count
        called.update(dict.fromkeys(parts, count))
    total = own.total() or 1

    def row(key: str, name: str, count: int) -> dict[str, Cell]:
        return {key: name, "%": count / total * 100, "us per file": count / total * us}

    rows = [
        {**row("part", part, count), "% with what it calls": called[part] / total * 100}
        for part, count in own.most_common()
        if count / total >= LEAST
    ]
    yield Table(f"{title}, by part", rows, [f"{total:,} samples; CPU in all: {us:.0f} us per file."])
    most = [row("function", name, count) for name, count in functions.most_common(FUNCTIONS)]
    yield Table(f"{title}, the functions that take the most", most)


def tables(quick: bool) -> Iterator[Table]:
    """Profile small files on both transports."""
    if tools.program("py-spy") is None:
        yield Table("Where the time of a file goes", [], [f"Left out: py-spy is not installed ({INSTALL})."])
        return
    workload = tools.SMALL_QUICK if quick else tools.SMALL
    with nginx() as server:
        server.make(workload.files, workload.size)
        for transport, settings in TRANSPORTS.items():
            tool = Tool("argosy", tools.argosy(**settings))
            cpu = tools.fetch(tool, server, workload).cpu
            stacks = samples(tools.prepared(tool, server, workload, tools.folder()))
            yield from profile(f"{workload.title}, transport {transport}", stacks, cpu / workload.files * 1e6)
