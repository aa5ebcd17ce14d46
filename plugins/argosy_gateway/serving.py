"""Runs a gateway until a signal, or until the end of a command."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import argosy
from argosy.errors import ConfigError
from argosy.toolkit.redaction import Redactor
from argosy_gateway import door
from argosy_gateway.routes import Routes, configured_origin, given_origins

if TYPE_CHECKING:
    from argosy_gateway.server import Gateway

#: The environment variables of a command: the URL, and the path of a Unix socket.
URL, SOCKET = "ARGOSY_GATEWAY", "ARGOSY_GATEWAY_SOCKET"
#: Seconds for transfers that a command leaves behind when it ends.
_LAST_SECONDS = 5.0
#: Signals that go to the command.
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: What a shell reports for a command that does not exist, and for one that cannot be run.
_NOT_FOUND, _NOT_RUNNABLE = 127, 126
#: The default of ``--listen``.
_ANY_PORT = "127.0.0.1:0"


def serve(
    config: str,
    command: Sequence[str] = (),
    names: Sequence[str] = (),
    *,
    address: str,
    path: Path | None,
    origins: Sequence[str],
    verbosity: int,
    plugins: Sequence[Path],
) -> int:
    """Log in, listen, and serve until a signal or the end of the command; return the exit code."""
    try:
        from argosy_gateway.server import Gateway
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "aiohttp":
            raise
        raise ConfigError("The gateway needs aiohttp.", hint="Install it: pip install 'argosy[gateway]'.") from None
    if path is not None and address != _ANY_PORT:
        raise click.UsageError("Give --listen or --socket, not both.")
    for name in names:
        if not name or "=" in name:
            raise click.UsageError(f"{name!r} cannot be the name of a variable.")
    context = click.get_current_context(silent=True)
    redactor = (context and context.find_object(Redactor)) or Redactor()
    routes = Routes(given_origins(origins) or configured_origin(config, plugins))
    with contextlib.ExitStack() as stack:
        stack.enter_context(_logging(verbosity))
        listening = contextlib.closing(door.listen(address)) if path is None else door.listen_at(path)
        listener = stack.enter_context(listening)
        ask = _ask if sys.stdin.isatty() else None
        opened = argosy.open_session(config, on_notice=_tell, plugins=plugins, redactor=redactor, ask=ask)
        session = stack.enter_context(opened)
        infos = argosy.sessions(config, plugins=plugins)
        tokens = frozenset(name.lower() for info in infos for name in info.headers)

        async def serving() -> int:
            gateway = Gateway(session, routes, listener, redactor, tokens)
            if not command:
                return await _until_signal(gateway)
            environment = dict.fromkeys((URL, *names), gateway.url)
            if path is not None:
                environment[SOCKET] = str(path.absolute())
            return await _beside(gateway, command, environment)

        return asyncio.run(serving())


async def _until_signal(gateway: Gateway) -> int:
    """Serve until the first signal, then until nothing is in transit."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        if stopped.is_set():
            _tell("argosy: interrupted; the session is saved.")
            gateway.leave()
            _exit(128 + number)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, stop, number)
    url = gateway.url
    await gateway.start(lambda: click.echo(url))
    _tell(f"Gateway to {', '.join(gateway.origins)}; Ctrl-C stops it.")
    await stopped.wait()
    await gateway.refuse()
    if gateway.active:
        _tell(f"Waiting for {gateway.active} request{'s'[: gateway.active != 1]} in transit; Ctrl-C again ends it now.")
    await gateway.drain()
    await gateway.close()
    return 0


async def _beside(gateway: Gateway, command: Sequence[str], environment: dict[str, str]) -> int:
    """Serve until a command ends; return its exit code as a shell does."""
    loop = asyncio.get_running_loop()
    await gateway.start()
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    except OSError as error:
        _tell(f"argosy: error: Cannot run {command[0]}: {error.strerror}.")
        await gateway.close()
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE

    def forward(number: int) -> None:
        # a terminal sends Ctrl-C to the command as well
        if process.returncode is None and not (number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground()):
            process.send_signal(number)

    for name in _FORWARDED:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, forward, number)
    code = await process.wait()
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            await gateway.drain()
    except TimeoutError:  # of a program that the command started and left
        gateway.leave()
        _exit(code if code >= 0 else 128 - code)
    await gateway.close()
    return code if code >= 0 else 128 - code


def _is_in_foreground() -> bool:
    """Return whether the terminal sends its signals to this process and the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _exit(code: int) -> NoReturn:
    """End now: the interpreter would wait for threads that wait for the network."""
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)


def _tell(message: str) -> None:
    with contextlib.suppress(OSError):  # a log on a full disk ends nothing
        click.echo(message, err=True)


def _ask(text: str) -> str:
    return str(click.prompt(text, hide_input=True, err=True))


@contextlib.contextmanager
def _logging(verbosity: int) -> Iterator[None]:
    """Log to standard error, which is redacted."""
    if not verbosity:
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s"))
    level = logging.DEBUG if verbosity > 1 else logging.INFO
    packages = [logging.getLogger(name) for name in ("argosy", "argosy_plugins", "argosy_gateway")]
    for package in packages:
        package.addHandler(handler)
        package.setLevel(level)
    try:
        yield
    finally:
        for package in packages:
            package.removeHandler(handler)
            package.setLevel(logging.NOTSET)
