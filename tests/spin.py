"""Runs spin, the model checker, on a model of the lease: https://spinroot.com."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent / "model"

#: What a search needs beside its model. The depth is far more than any of them reaches; too little is noticed.
TOOLS = ("spin", "gcc")
DEPTH = 100_000
#: Seconds after which a search is taken for one that has no end.
PATIENCE = 300


@dataclass(frozen=True)
class Search:
    """What a search found.

    Parameters
    ----------
    states
        Different states that were visited.
    errors
        0, or 1: it stops at the first.
    exhaustive
        Whether nothing was left out, for want of depth, memory or time.
    unreached
        Steps of a worker that no run came to.
    report
        All that it said.
    """

    states: int
    errors: int
    exhaustive: bool
    unreached: int
    report: str


def search(model: str, defines: str, folder: Path, *, cycles: bool = False, optimise: bool = True) -> Search:
    """Search all runs of a model.

    Parameters
    ----------
    model
        Its file.
    defines
        The definitions that choose a variant, as ``NAME`` or ``NAME=VALUE``, with spaces between them.
    folder
        Where spin may put its program.
    cycles
        Look for runs that go round for ever, instead of for assertions and deadlocks.
    optimise
        Take longer to compile the search, and less to run it.
    """
    chosen = [f"-D{define}" for define in defines.split()]
    _run(["spin", *chosen, "-a", str(MODELS / model)], folder)
    # spin's own program warns on its own account; SAFETY: no cycles are looked for, which saves memory
    kind = "-DNP" if cycles else "-DSAFETY"
    level = "-O1" if optimise else "-O0"
    _run(["gcc", "-w", level, kind, "-o", "pan", "pan.c"], folder)
    report = _run([str(folder / "pan"), f"-m{DEPTH}", *(["-l"] if cycles else [])], folder)
    return Search(
        states=int(_found(r"(\d+) states, stored", report)),
        errors=int(_found(r"errors: (\d+)", report)),
        exhaustive=not re.search(r"not completed|too small|out of memory|truncated|aborted", report),
        unreached=int(_found(r"unreached in proctype Worker\n(?:\t.*\n)*?\t\((\d+) of", report, "0")),
        report=report,
    )


def _found(pattern: str, report: str, otherwise: str | None = None) -> str:
    match = re.search(pattern, report)
    if match is None:
        assert otherwise is not None, f"spin says nothing of {pattern!r}:\n{report}"
        return otherwise
    return match[1]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}"
    return done.stdout
