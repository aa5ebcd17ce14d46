"""``argosy`` and library servers in processes that have everything imported, which start in milliseconds.

A process of ours imports what they need, and forks a child for each. The child is a process as any other: with
its own environment, streams, signals and end. What is about the start of the interpreter, or about processes that
import the program anew, starts it as a person does (`Voyage.start` sees to that).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from argosy_devkit import LibraryServer

#: Whether this machine can tell when a child ends in the way that is used here (Linux).
CAN_WARM = hasattr(os, "pidfd_open")

#: What commands import when they need it, besides argosy itself and its plugins.
_LIBRARIES = (
    "requests",
    "jsonschema",
    "referencing",
    "rich.live",
    "rich.progress",
    "rich.table",
    "publicsuffixlist",
    "argosy_gateway.server",
    "argosy_gateway.serving",
    "argosy_plan.command",
    "simpy",
)

_ORDER = 1 << 17


class Command(subprocess.Popen[str]):
    """A command that runs in a child of a warm process."""

    def __init__(self, args: Sequence[str], status: int, out: IO[Any], err: IO[str] | None, into: Any = None) -> None:
        # what the base class does is not done: it has not started the process, and cannot wait for it
        self.args = list(args)
        self.stdin, self.stdout, self.stderr = into, out, err
        self.returncode: int | None
        self.returncode = None
        self._status = os.fdopen(status, "r", encoding="ascii")
        self.pid = int(self._status.readline())

    def __repr__(self) -> str:
        return f"<Command {self.args!r} {self.returncode}>"

    def poll(self) -> int | None:
        """Return how it ended, if it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            told = select.poll()  # select() knows no descriptors above 1023
            told.register(self._status, select.POLLIN)
            if not told.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send it a signal, as long as it runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[str, str]:  # type: ignore[override]  # noqa: A002
        """Read what it prints, until its end."""
        end = None if timeout is None else time.monotonic() + timeout
        readers = [_Reader(stream) for stream in (self.stdout, self.stderr) if stream is not None]
        for reader in readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return readers[0].text, readers[1].text


class Server(Command):
    """A library server in a child of a warm process."""

    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[str, str]:  # type: ignore[override]  # noqa: A002
        """Let it end, and wait."""
        assert self.stdin is not None
        with contextlib.suppress(OSError):
            self.stdin.close()
        self.wait(timeout)
        return "", ""


class _Reader(threading.Thread):
    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._stream = stream
        self.start()

    def run(self) -> None:
        with self._stream:
            self.text = self._stream.read()


class Warm:
    """The process that has everything imported."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def close(self) -> None:
        """End it; children that run go on."""
        self._orders.close()
        self._process.wait()

    def start(
        self,
        *arguments: str,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        stopped: bool = False,
    ) -> Command:
        """Start ``argosy``; one that is to be stopped waits for SIGCONT before it begins."""
        order = {
            "arguments": arguments,
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "session": start_new_session,
            "stopped": stopped,
        }
        (out, out_end), (err, err_end), (status, status_end) = os.pipe(), os.pipe(), os.pipe()
        ends = [out_end, err_end, status_end]
        socket.send_fds(self._orders, [json.dumps(order).encode()], ends)
        for end in ends:
            os.close(end)
        return Command(["argosy", *arguments], status, *map(_text, (out, err)))

    def start_server(self) -> Server:
        """Start a library server, as `LibraryServer` does."""
        (theirs_in, into), (out, theirs_out), (status, status_end) = os.pipe(), os.pipe(), os.pipe()
        ends = [theirs_in, theirs_out, status_end]
        socket.send_fds(self._orders, [json.dumps({"server": True}).encode()], ends)
        for end in ends:
            os.close(end)
        return Server(["library-server"], status, os.fdopen(out, "rb"), None, os.fdopen(into, "wb", 0))

    def run_here(self, *arguments: str) -> None:
        """Run ``argosy`` in the process itself, so that children have also what only a run imports."""
        command = self.start("--version")  # it comes behind all that was ordered before
        command.communicate()
        socket.send_fds(self._orders, [json.dumps({"here": arguments}).encode()], [])
        self.start("--version").communicate()


def _text(fd: int) -> IO[str]:
    return os.fdopen(fd, "r", encoding="utf-8", errors="replace")


_shared: list[Warm] = []


#: Starts the process of a `LibraryServer` as a program does.
spawn_server = LibraryServer._spawn


def use_for_servers() -> None:
    """Let every `LibraryServer` of this process be a child of the warm process."""
    if CAN_WARM:
        spawn: Any = staticmethod(lambda: shared().start_server())
        LibraryServer._spawn = spawn  # type: ignore[method-assign]


def shared() -> Warm:
    """Return the warm process of these tests; it ends with them."""
    if not _shared:
        _shared.append(Warm())
        atexit.register(_shared[0].close)
    return _shared[0]


def run(*arguments: str, timeout: float = 110.0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``argosy`` to its end: warm, where that can be."""
    if not fits(options):
        command = [sys.executable, "-m", "argosy", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    running = shared().start(*arguments, **options)
    out, err = running.communicate(timeout=timeout)
    return subprocess.CompletedProcess(running.args, running.wait(), out, err)


def fits(options: Mapping[str, Any]) -> bool:
    """Return whether a child can be what was asked of `subprocess.Popen`: its interpreter has started already."""
    env = options.get("env")
    changed = () if env is None else {k for k in {*env, *os.environ} if env.get(k) != os.environ.get(k)}
    about_the_start = any(name.startswith(("PYTHON", "LC_", "LANG", "LD_")) for name in changed)
    return CAN_WARM and options.keys() <= {"env", "cwd", "start_new_session"} and not about_the_start


# From here on: in the warm process.


def _warm_up() -> None:
    import argosy
    import argosy_plugins

    for package in (argosy, argosy_plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            parts = module.name.split(".")
            if not {"__main__", "templates", "testing", "demo"} & set(parts):
                importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each order; return the order in the child, None in the end."""
    with selectors.DefaultSelector() as watched:
        watched.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in watched.select():
                if key.fileobj is not orders:
                    _report(watched, key)
                    continue
                data, fds, _, _ = socket.recv_fds(orders, _ORDER, 3)
                if not data:
                    return None
                order: dict[str, Any] = json.loads(data)
                if "here" in order:
                    _main(order["here"])
                    continue
                pid = os.fork()
                if pid == 0:
                    for other in list(watched.get_map().values()):
                        if other.fileobj is not orders:
                            os.close(other.fd)
                            os.close(other.data[1])
                    orders.close()
                    _become(order, fds)
                    return order
                if order.get("stopped"):
                    os.waitpid(pid, os.WUNTRACED)
                os.write(fds[2], f"{pid}\n".encode())
                watched.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, fds[2]))
                os.close(fds[0])
                os.close(fds[1])


def _report(watched: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, status = key.data
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(status, f"{code}\n".encode())
    os.close(status)
    watched.unregister(key.fileobj)
    os.close(key.fd)


def _become(order: Mapping[str, Any], fds: Sequence[int]) -> None:
    if "server" in order:
        os.setsid()
        os.dup2(fds[0], 0)
        os.dup2(fds[1], 1)
        for fd in fds:
            os.close(fd)
        sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
        return
    if order["session"]:
        os.setsid()
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    for fd in fds:
        os.close(fd)
    # opened anew, as they are what the interpreter found at its start
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, sys.stderr.encoding, "backslashreplace")  # noqa: SIM115
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if order["stopped"]:
        os.kill(os.getpid(), signal.SIGSTOP)


def _main(arguments: Sequence[str]) -> int:
    from argosy.cli import main

    sys.argv = ["argosy", *arguments]
    return main(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from argosy_devkit.server.__main__ import main as library_server

    warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: those of a first run are over
    _warm_up()
    # other processes of a run import what stands here
    sys.modules["__main__"] = importlib.import_module("argosy.__main__")
    gc.freeze()  # a child that collects garbage does not look at what all have
    received = _serve(socket.socket(fileno=int(sys.argv[1])))
    if received is not None and "server" in received:
        library_server()
    elif received is not None:
        sys.exit(_main(received["arguments"]))
