"""The torture loop: every system call of a small run fails once, and the rule above all rows holds.

A run is traced to count its calls. Then call k of a kind fails, for each kind and each k, and a run without a fault
follows. ``strace`` injects the error into the real call of the real process. A sample of the calls is taken
for as many seconds as ``ARGOSY_TORTURE_SECONDS`` says (default 25, half of them for each store);
``ARGOSY_TORTURE_SECONDS=all`` takes all of them.
The sample is the same each time, unless ``ARGOSY_TORTURE_SEED`` chooses another.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy_devkit import LibraryServer
from hazards import TOKEN
from missing import need
from voyage import Voyage, set_out
from warm import Warm

pytestmark = pytest.mark.slow

SECONDS = os.environ.get("ARGOSY_TORTURE_SECONDS", "25")
SEED = int(os.environ.get("ARGOSY_TORTURE_SEED", "67"))

#: Seconds after which a run hangs; it takes less than one.
PATIENCE = 60.0

#: Which calls fail, and how: what a disk, a network or a system that is out of something answers.
FAULTS = {
    "openat": ("EIO", "EMFILE", "EACCES"),
    "read": ("EIO",),
    "pread64": ("EIO",),
    "write": ("ENOSPC", "EIO"),
    "pwrite64": ("ENOSPC", "EIO"),
    "fsync": ("EIO",),
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO",),
    "rename": ("EIO", "ENOSPC"),
    "link": ("EIO", "EPERM", "ENOSPC"),
    "unlink": ("EACCES", "EIO"),
    "mkdir": ("ENOSPC", "EACCES"),
    "newfstatat": ("EIO", "EACCES"),
    "getdents64": ("EIO",),
    "flock": ("ENOLCK", "EIO"),
    "fcntl": ("EIO",),
    "socket": ("EMFILE",),
    "connect": ("ECONNREFUSED", "ETIMEDOUT"),
    "sendto": ("ECONNRESET", "EPIPE"),
    "recvfrom": ("ECONNRESET", "ETIMEDOUT"),
}


def run(warm: Warm, voyage: Voyage, *strace: str) -> tuple[int, str]:
    """Run a voyage, under ``strace`` where it is given options; return the exit code and what was shown."""
    command = warm.start("download", str(voyage.file), stopped=bool(strace))
    tracer = None
    if strace:
        traced = ["strace", "-f", "-p", str(command.pid), *strace]
        tracer = subprocess.Popen(traced, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if "attached" not in attached:
            command.kill()
            tracer.communicate()
            pytest.skip(f"strace cannot trace here: {attached.strip()}")
        command.send_signal(signal.SIGCONT)
    patience = threading.Timer(PATIENCE, command.kill)
    patience.start()
    out, err = command.communicate()
    patience.cancel()
    if tracer is not None:
        tracer.communicate()
    return command.wait(), out + err


@pytest.fixture
def warm() -> Iterator[Warm]:
    need("strace")
    made = Warm()  # its own: a run is to have run in it, so that none of its children imports anything
    yield made
    made.close()


def small(root: Path, server: LibraryServer, store: str) -> Voyage:
    root.mkdir()
    # urllib3 takes EPIPE for a server that has answered already; here it has not, and that takes the whole timeout
    timeout = {"connect": 5, "headers": 5, "read": 5}
    return set_out(
        root,
        server,
        items=2,
        size=3000,
        max_workers=1,
        timeout=timeout,
        cookie_store={"use": store, "path": "cookies"},
    )


def calls_of(trace: Path) -> Counter[str]:
    """Return how many calls of each kind a thread makes, at most: each thread is counted by itself."""
    threads: Counter[tuple[str, str]] = Counter()
    for line in trace.read_text("utf-8", "replace").splitlines():
        if found := re.match(r"(\d+) +(\w+)\(", line):
            threads[found[1], found[2]] += 1
    most: Counter[str] = Counter()
    for (_, call), number in threads.items():
        most[call] = max(most[call], number)
    return most


def what_is_wrong(voyage: Voyage, code: int, shown: str) -> list[str]:
    """Return what is not as it must be after a run, whatever went wrong in it."""
    wrong = voyage.damaged()
    if code not in (0, 1, 2, 3, 4, 5, 7):
        wrong.append(f"exit code {code}")
    if code == 0:
        wrong += voyage.wrong()
    wrong += [f"shown: {word}" for word in ("Traceback", "bug in argosy") if word in shown]
    if TOKEN.search(shown.encode()) or voyage.server.password in shown:
        wrong.append("a secret was shown")
    if code and not re.search(r"argosy: error: |failed", shown):
        wrong.append("nothing was said")
    ledger = voyage.library / ".argosy" / "ledger.sqlite"
    if ledger.exists() and ledger.stat().st_size:
        db = sqlite3.connect(ledger)
        made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone()
        states = dict(db.execute("SELECT state, count(*) FROM items GROUP BY state")) if made else {}
        db.close()
        if states and sum(states.values()) != 2:
            wrong.append(f"the ledger knows {states}")
    return wrong


@pytest.mark.timeout(7200)
@pytest.mark.torture(36, 37, 44)
@pytest.mark.parametrize("store", ["json-file", "netscape"])
def test_every_call_fails_once(warm: Warm, tmp_path: Path, library_server: type[LibraryServer], store: str) -> None:
    server = library_server(lease_mode="revoke")
    warm.run_here("download", str(small(tmp_path / "warm", server, store).file))
    trace = tmp_path / "trace"
    code, shown = run(
        warm, small(tmp_path / "counted", server, store), "-o", str(trace), "-e", f"trace={','.join(FAULTS)}"
    )
    assert code == 0, shown
    calls = calls_of(trace)
    assert calls["fsync"] > 0, "nothing was traced"
    assert calls["sendto"] > 0
    cases = [(call, k, e) for call, number in calls.items() for k in range(1, number + 1) for e in FAULTS[call]]
    random.Random(SEED).shuffle(cases)
    end = time.monotonic() + (1e9 if SECONDS == "all" else float(SECONDS) / 2)
    done, bad = 0, []
    for call, k, error in cases:
        if time.monotonic() > end:
            break
        done += 1
        root = tmp_path / "voyage"
        voyage = small(root, server, store)
        server.reset_stats()
        code, shown = run(
            warm,
            voyage,
            "-o",
            os.devnull,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:error={error}:when={k}",
        )
        wrong = what_is_wrong(voyage, code, shown)
        again, shown_again = run(warm, voyage)
        if again or voyage.wrong():
            wrong.append(f"the next run ended with {again}, {voyage.wrong()}, and said: {shown_again}")
        if server.stats().replaced_tokens_sent:
            wrong.append("a replaced token was sent")
        if wrong:
            bad.append(f"{call} {k} {error}: exit code {code}: {'; '.join(wrong)}\n{shown}")
        shutil.rmtree(root)
    print(f"{done} of {len(cases)} calls failed, seed {SEED}: {dict(calls)}")
    assert done
    assert not bad, f"{len(bad)} of {done}, seed {SEED}:\n" + "\n".join(bad)
