"""Apache, from its package, with files behind HTTP Digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy_devkit.contracts.waiting import wait_until
from missing import need
from ports import free_port

PROGRAM = "/usr/sbin/apache2"
USER, PASSWORD = "ada", "pass:word &1815"
_MODULES = Path("/usr/lib/apache2/modules")

_CONFIGURATION = """
ServerRoot {root}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {root}/apache.pid
DefaultRuntimeDir {root}
Mutex file:{root}
{modules}
User {user}
ErrorLog {root}/error.log
LogLevel info
CustomLog {root}/access.log "%>s %U"
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {root}/files
<Directory {root}/files>
    AuthType Digest
    AuthName library
    AuthUserFile {root}/users
    AuthDigestNonceLifetime {lifetime}
    Require valid-user
</Directory>
"""


@dataclass(frozen=True)
class Apache:
    """A running Apache."""

    root: Path
    url: str

    def statuses(self) -> list[str]:
        """Return the status of each request."""
        return [line.split()[0] for line in (self.root / "access.log").read_text("utf-8").splitlines()]

    def replaced_nonces(self) -> int:
        """Return how many requests came with a nonce that another one had replaced."""
        return (self.root / "error.log").read_text("utf-8").count("one-time-nonce mismatch")


def body(number: int) -> bytes:
    """Return the file of this number."""
    return hashlib.sha256(str(number).encode()).digest() * 300


@contextlib.contextmanager
def apache(root: Path, files: int, lifetime: int) -> Iterator[Apache]:
    """Run Apache with files ``/N.bin``; skip the test if it is not installed.

    `lifetime` is that of a nonce, in seconds; one of 0 is good for one request.
    """
    need(PROGRAM)
    (root / "files").mkdir(parents=True)
    for number in range(files):
        (root / "files" / f"{number}.bin").write_bytes(body(number))
    for path in (root, *root.parents):  # Apache's workers run as another user if the test runs as root
        if os.geteuid() == 0 and path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    known = f"{USER}:library:{hashlib.md5(f'{USER}:library:{PASSWORD}'.encode(), usedforsecurity=False).hexdigest()}\n"
    (root / "users").write_text(known, "utf-8")
    names = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest")
    modules = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in names)
    port = free_port()
    user = "www-data" if os.geteuid() == 0 else f"#{os.geteuid()}"
    text = _CONFIGURATION.format(root=root, port=port, modules=modules, user=user, lifetime=lifetime)
    (root / "apache.conf").write_text(text, "utf-8")
    process = subprocess.Popen(
        [PROGRAM, "-f", str(root / "apache.conf"), "-D", "FOREGROUND"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is not None or _listens(port), "Apache to listen")
        if process.poll() is not None:
            pytest.fail(f"Apache did not start: {(root / 'error.log').read_text('utf-8')}")
        yield Apache(root, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
