"""Run a library server until stdin ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading

from argosy_devkit.server.app import Library, library_of
from argosy_devkit.server.http import Connection

_BACKLOG = 1024


async def _accept(listener: socket.socket, library: Library) -> None:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()  # the loop only keeps weak references to tasks
    while True:
        try:
            sock, _ = await loop.sock_accept(listener)
        except OSError:
            await asyncio.sleep(0.1)  # out of descriptors; some will be closed
            continue
        task = loop.create_task(library.serve(Connection(sock)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _run(library: Library, host: str, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch() -> None:
        # stdin ends when the parent closes it or dies, so no server is left behind
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    with socket.create_server((host, port), backlog=_BACKLOG) as listener:
        listener.setblocking(False)
        threading.Thread(target=watch, daemon=True).start()
        sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
        sys.stdout.flush()
        accepting = loop.create_task(_accept(listener, library))
        await ended.wait()
        accepting.cancel()


def main() -> None:
    """Read the settings and serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the parent, which closes stdin when it is done
    line = bytearray()
    while not line.endswith(b"\n"):  # unbuffered: a buffer would swallow the end of file that the watcher waits for
        byte = os.read(0, 1)
        if not byte:
            return
        line += byte
    asyncio.run(_run(*library_of(bytes(line))))


if __name__ == "__main__":
    main()
