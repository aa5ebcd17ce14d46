"""A real Slurm of a test's own: a controller, one node and Munge, as the user who runs the tests and without systemd."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ports import free_port

#: Seconds after which a daemon that does not come up, or a job that does not end, is taken for broken.
PATIENCE = 120.0

#: The programs that it needs, and those that a test calls.
PROGRAMS = ("/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "sbatch", "squeue", "scancel", "sinfo")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
SchedulerParameters=batch_sched_delay=1,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=65536 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """One node that runs up to 16 jobs of one processor, however many the machine has."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-slurm-"))
        self.folder.chmod(0o755)  # or Munge refuses it
        self._processes: list[subprocess.Popen[bytes]] = []
        configuration = self.folder / "slurm.conf"
        values = {"user": getpass.getuser(), "folder": self.folder, "host": socket.gethostname().partition(".")[0]}
        ports = {"controller_port": free_port(), "node_port": free_port()}
        configuration.write_text(CONFIGURATION.format(**values, **ports), "ascii")
        (self.folder / "state").mkdir()
        (self.folder / "spool").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        #: For programs that submit jobs.
        self.environment = {**os.environ, "SLURM_CONF": str(configuration)}
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def call(self, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a program of Slurm."""
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def jobs(self) -> list[str]:
        """Return the states of all jobs that have not ended."""
        return self.call("squeue", "--noheader", "--array", "--format=%T", folder=self.folder).stdout.split()

    def close(self) -> None:
        if len(self._processes) > 2:  # Munge, the controller and the node
            self.call("scancel", "--user", getpass.getuser(), "--full", "--signal=KILL", folder=self.folder)
            end = time.monotonic() + PATIENCE
            while self.jobs() and time.monotonic() < end:
                time.sleep(0.1)
        for process in reversed(self._processes):
            process.terminate()
            process.wait(PATIENCE)
        for step in self._steps():  # it tries for minutes to tell the controller
            with contextlib.suppress(ProcessLookupError):
                os.kill(step, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[int]:
        """Return the processes of the node that look after jobs; they outlive it."""
        found = []
        mine = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_step = b"slurmstepd" in (process / "cmdline").read_bytes()
                if is_step and mine in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return found

    def _start(self) -> None:
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        munge = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._run("/usr/sbin/munged", "--foreground", *munge, f"--log-file={self.folder / 'munge'}")
        self._wait_for(lambda: (self.folder / "munge.sock").exists())
        self._run("/usr/sbin/slurmctld", "-D")
        self._run("/usr/sbin/slurmd", "-D")
        self._wait_for(lambda: "idle" in self.call("sinfo", "--noheader", "--format=%t", folder=self.folder).stdout)

    def _run(self, *command: str) -> None:
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            logs = "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.log"))
            assert all(process.poll() is None for process in self._processes), logs
            assert time.monotonic() < end, logs
            time.sleep(0.1)
