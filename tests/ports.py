"""Ports for servers that tests start themselves."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """Return a port below those that the system gives to connections: nobody else has it while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
