"""A program that runs ``argosy`` again and again, everything imported: it forks a child for each run.

A fault that is injected into such a child strikes the run, and not the start of the interpreter. A line of JSON on
standard input, ``{"arguments": [...], "shown": FILE}``, starts a child; its pid is printed. The child stops itself
until it is sent SIGCONT. When it has ended, its exit code is printed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings

from argosy.cli import main


def child(arguments: list[str], shown: str) -> None:
    out = os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)
    os.kill(os.getpid(), signal.SIGSTOP)
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # forking with threads: those of the first run are over
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("warm"):
            print(main(order["arguments"]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            child(order["arguments"], order["shown"])
        os.waitpid(pid, os.WUNTRACED)  # until it has stopped
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
