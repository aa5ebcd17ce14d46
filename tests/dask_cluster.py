"""A real Dask cluster of a test's own: one scheduler, and workers in processes of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ports import free_port

#: Seconds after which a cluster that does not come up is taken for broken.
PATIENCE = 60.0

DASK = (sys.executable, "-m", "dask")


class DaskCluster:
    """A scheduler on the loopback, with some workers."""

    def __init__(self, workers: int = 0, *, threads: int = 1) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-dask-"))
        self.port = free_port()
        self._threads = threads
        self._started = 0
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            self.start_scheduler()
            for _ in range(workers):
                self.add_worker()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = self._run(
            "scheduler", *DASK, "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )
        self._wait_for("Scheduler at:", "scheduler")

    def add_worker(self, *before: str) -> None:
        """Start a worker that dies when it is killed, as one without a nanny does; `before` is put before its command."""
        name = f"worker-{self._started}"
        self._started += 1
        options = ("--nthreads", str(self._threads), "--no-nanny", "--no-dashboard", "--name", name)
        folder = ("--local-directory", str(self.folder / name))
        self.workers.append(self._run(name, *before, *DASK, "worker", self.address, *options, *folder))
        self._wait_for("Starting established connection", name)

    def kill_worker(self) -> None:
        """Kill the oldest worker, as ``kill -9`` does."""
        oldest = self.workers.pop(0)
        oldest.kill()
        oldest.wait(PATIENCE)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _wait_for(self, text: str, name: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.log(name):
            assert time.monotonic() < end, self.log(name)
            time.sleep(0.05)
