"""What the tests of the torture table need: faults, servers, and a look at causes, and at secrets where they must not be."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme

from argosy.engine.report import Report
from argosy_devkit import Fault

#: What a token of the library server looks like, whichever it is.
TOKEN = re.compile(rb"[0-9a-f]{12}\.\d+\.[0-9a-f]{24}")


def fault(kind: str, **options: Any) -> Fault:
    """Return a fault that strikes the library's files, and not the page that a login leads to."""
    return Fault(kind, **{"path": "/files/", **options})


def failures(report: Report) -> dict[str, str]:
    """Return the causes of the items that failed."""
    return {failure.id: failure.kind for failure in report.failures}


def files_with(root: Path, *secrets: bytes, but: str = "cookies.json") -> list[str]:
    """Return the files below a folder (and what is found in them) that hold a secret or a server's token."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != but):
        data = path.read_bytes()
        found += [f"{path.relative_to(root)}: {s!r}" for s in secrets if s in data]
        found += [f"{path.relative_to(root)}: {match[0]!r}" for match in TOKEN.finditer(data)]
    return found


#: An answer that is fine.
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Authority:
    """A certificate authority of a test, and a TLS server with a certificate of its."""

    def __init__(self, root: Path) -> None:
        self.ca = trustme.CA()
        self.bundle = root / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.bundle))
        self.received = b""

    def serve(
        self, certificate: trustme.LeafCert, answer: Callable[[bytes], bytes] = lambda head: OK
    ) -> tuple[socket.socket, str]:
        """Answer each request by its head, on a connection of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(listener, context, answer), daemon=True).start()
        return listener, f"https://127.0.0.1:{listener.getsockname()[1]}"

    def _accept(self, listener: socket.socket, context: ssl.SSLContext, answer: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with (
                    contextlib.suppress(OSError),
                    plain,
                    context.wrap_socket(plain, server_side=True) as secure,
                ):
                    head = secure.recv(65536)
                    if head.startswith(b"POST") and head.endswith(b"\r\n\r\n"):
                        head += secure.recv(65536)  # the form: what is left unread would reset the connection
                    self.received += head
                    secure.sendall(answer(head))


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own limit ends it otherwise."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
