"""The peak of the memory of a command."""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import sys
from argosy.cli import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


def peak_of(*arguments: str) -> int:
    """Run ``argosy`` in a new process, and return its peak resident set size in kB.

    `wait4` does not tell it: its figure contains the memory of the process that starts another one. With an arena of malloc for
    each thread, the peak depends on which thread did what.
    """
    command = [sys.executable, "-c", _SCRIPT, *arguments]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1])
