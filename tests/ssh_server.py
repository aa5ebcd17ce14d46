"""A real OpenSSH server of a test's own, with its own host key and the key of one user."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ports import free_port
from processes import descendants, kill

#: Where Debian puts it; it wants to be started by its whole path.
PROGRAM = "/usr/sbin/sshd"

#: Seconds after which a server that does not come up is taken for broken.
PATIENCE = 30.0

_SETTINGS = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


class SshServer:
    """A server that speaks SFTP, on the loopback."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-sshd-"))
        self.files = self.folder / "files"
        self.files.mkdir()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            for name in ("host", "user"):
                command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            host = (self.folder / "host.pub").read_text().split()[:2]
            (self.folder / "known").write_text(f"[127.0.0.1]:{self._port} {' '.join(host)}\n")
            (self.folder / "config").write_text(_SETTINGS.format(port=self._port, folder=self.folder))
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self._port}{self.files}"

    @property
    def options(self) -> dict[str, Any]:
        """The options of a file system on it, as a configuration has them."""
        return {
            "client_keys": [str(self.folder / "user")],
            "known_hosts": str(self.folder / "known"),
            "agent_path": None,
            "config": [],
        }

    def start(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        if self._process is not None:
            return
        with contextlib.suppress(PermissionError):  # root's separates privileges there
            Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            command = [PROGRAM, "-D", "-e", "-f", str(self.folder / "config")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it, and what serves the connections that are open."""
        if self._process is not None:
            below = descendants(self._process.pid)
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None
            for pid in below:
                kill(pid)

    def freeze(self) -> None:
        """Have the connections that are open hang; new ones are served."""
        assert self._process is not None
        for pid in descendants(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def ssh_server() -> Iterator[SshServer]:
    """Give a server for as long as the block lasts."""
    server = SshServer()
    try:
        yield server
    finally:
        server.close()
