"""A real Dask cluster of a test's own: one scheduler, and workers in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import trustme

from ports import free_port

#: Seconds after which a cluster that does not come up is taken for broken.
PATIENCE = 60.0

DASK = (sys.executable, "-m", "dask")


class DaskCertificates:
    """An authority's certificate, and one with its key for all parts of a cluster, in files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-tls-"))
        self.authority, self.certificate, self.key = (self.folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        issuer = trustme.CA()
        issued = issuer.issue_cert("127.0.0.1")
        issuer.cert_pem.write_to_path(str(self.authority))
        issued.cert_chain_pems[0].write_to_path(str(self.certificate))
        issued.private_key_pem.write_to_path(str(self.key))

    @property
    def settings(self) -> dict[str, str]:
        """What a client needs in Dask's configuration."""
        files = {"ca-file": self.authority, "client.cert": self.certificate, "client.key": self.key}
        return {f"distributed.comm.tls.{key}": str(path) for key, path in files.items()}

    @property
    def options(self) -> tuple[str, ...]:
        """The options of the commands."""
        files = ("--tls-ca-file", self.authority, "--tls-cert", self.certificate, "--tls-key", self.key)
        return tuple(map(str, files))

    def close(self) -> None:
        shutil.rmtree(self.folder)


class DaskCluster:
    """A scheduler on the loopback, with some workers."""

    def __init__(
        self,
        workers: int = 0,
        *,
        threads: int = 1,
        tls: bool = False,
        dask: Sequence[str] = DASK,
        env: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-dask-"))
        self.port = free_port()
        self._threads = threads
        self.certificates = DaskCertificates() if tls else None
        self._protocol = "tls" if tls else "tcp"
        self._tls_options = self.certificates.options if self.certificates is not None else ()
        self.reached_at = self.port  # a relay's port, if one is in front of it
        self._started = 0
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            self.start_scheduler(dask, env)
            for _ in range(workers):
                self.add_worker()
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        return f"{self._protocol}://{self.host}:{self.reached_at}"

    def start_scheduler(self, dask: Sequence[str] = DASK, env: Mapping[str, str] | None = None) -> None:
        options = ["--host", f"{self._protocol}://{self.host}", "--port", str(self.port)]
        options += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]  # for HTTP
        self.scheduler = self._run("scheduler", *dask, "scheduler", *options, *self._tls_options, env=env)
        self._wait_for("Scheduler at:", "scheduler")

    def add_worker(
        self,
        *before: str,
        dask: Sequence[str] = DASK,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Start a worker that dies when it is killed, as one without a nanny does; `before` is put before its command."""
        name = f"worker-{self._started}"
        self._started += 1
        basic = ("--nthreads", str(self._threads), "--no-nanny", "--no-dashboard", "--name", name)
        folder = ("--local-directory", str(self.folder / name))
        command = (*before, *dask, "worker", self.address, *basic, *folder, *self._tls_options, *options)
        self.workers.append(self._run(name, *command, env=env))
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
        if self.certificates is not None:
            self.certificates.close()

    def _run(self, name: str, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **(env or {})}
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def _wait_for(self, text: str, name: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.log(name):
            assert time.monotonic() < end, self.log(name)
            time.sleep(0.05)
