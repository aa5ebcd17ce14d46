"""Starts and controls a library server."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from argosy.errors import ArgosyError
from argosy_devkit.manifest import Expected, write_manifest
from argosy_devkit.settings import ServerSettings
from argosy_devkit.stats import ServerStats

_HOST = "127.0.0.1"
_STOP_SECONDS = 5.0
_CONTROL_SECONDS = 60.0


class LibraryServer:
    """A library behind a login on this machine, in its own process.

    Parameters
    ----------
    settings
        Its settings; by default those of `ServerSettings`.
    **options
        Single settings by name, which override `settings`.

    Raises
    ------
    ConfigError
        If a setting is not valid.

    Examples
    --------
    >>> with LibraryServer(lease_mode="open") as server:
    ...     server.url_for("/files/a?size=3") == f"{server.url}/files/a?size=3"
    True
    """

    def __init__(self, settings: ServerSettings | None = None, **options: Any) -> None:
        current = {name: getattr(settings, name) for name in settings.__slots__} if settings else {}
        self.settings = ServerSettings.of({**current, **options})
        self._key = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Its URL without a trailing slash: ``http://127.0.0.1:PORT``."""
        return f"http://{_HOST}:{self._port}"

    @property
    def login_url(self) -> str:
        """The URL of the login page."""
        return self.url_for("/login")

    @property
    def user(self) -> str:
        """The user name."""
        return self.settings.user

    @property
    def password(self) -> str:
        """The password."""
        return self.settings.password

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Its process id, or None if it is not running."""
        return None if self._process is None else self._process.pid

    def url_for(self, path: str) -> str:
        """Return the URL of a path on the server, with the query: ``/files/NAME?size=N``."""
        return f"{self.url}/{path.removeprefix('/')}"

    def start(self) -> Self:
        """Start the process, and return when it listens.

        Raises
        ------
        ArgosyError
            If it does not start; the reason is on stderr.
        """
        if self._process is not None:
            return self
        process = self._process = self._spawn()
        assert process.stdin is not None
        assert process.stdout is not None
        line = {"settings": self.settings.to_json(), "key": self._key, "host": _HOST, "port": self._port}
        try:
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            self._port = json.loads(process.stdout.readline())["port"]
        except (OSError, ValueError) as error:
            self.stop()
            raise ArgosyError(
                f"The library server did not start (exit status {process.returncode}).",
                hint="See its message on stderr.",
            ) from error
        return self

    def stop(self) -> None:
        """End the process if it is running."""
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes stdin, which ends it, and the other pipe
            try:
                process.communicate(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def kill(self) -> None:
        """Kill the process like a crash; the next start uses the same port."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def restart(self) -> None:
        """Kill the process and start it again on the same port, without its sessions and counters."""
        self.kill()
        self.start()

    def stats(self) -> ServerStats:
        """Return the counters since the start or the last reset."""
        return ServerStats(**json.loads(self._control("stats")))

    def reset_stats(self) -> None:
        """Reset all counters to 0."""
        self._control("reset")

    def expire_sessions(self, login: int | None = None) -> None:
        """End sessions now; their tokens are refused from now on.

        Parameters
        ----------
        login
            The number of the login that created the session, from 1; None for all sessions.
        """
        self._control("expire", b"" if login is None else json.dumps(login).encode())

    def change(self, **options: Any) -> None:
        """Change settings of the running server; sessions remain, and faults start counting again.

        Raises
        ------
        ConfigError
            If a setting is not valid.
        """
        ServerSettings.of(options)
        self.settings = replace(self.settings, **options)
        self._control("change", json.dumps(self.settings.to_json()).encode())

    def manifest(
        self,
        path: Path,
        *,
        items: int,
        resources_per_item: int = 1,
        size: int | Callable[[int], int] = 10_000,
        digests: bool = True,
        prefix: str = "item",
    ) -> list[Expected]:
        """Write a JSONL manifest of generated files on this server.

        Parameters
        ----------
        path
            The file to write.
        items, resources_per_item
            How many.
        size
            Bytes of every resource, or a function of its number (from 0).
        digests
            Whether the manifest contains sizes and SHA-256 digests.
        prefix
            The prefix of the items' ids.

        Returns
        -------
        list
            The files that a download must create.
        """
        return write_manifest(
            path,
            self.url_for,
            items=items,
            resources_per_item=resources_per_item,
            size=size,
            digests=digests,
            prefix=prefix,
        )

    @staticmethod
    def _spawn() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "argosy_devkit.server"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def _control(self, action: str, body: bytes = b"") -> bytes:
        if self._process is None:
            raise ArgosyError("The library server is not running.", hint="Start it first: with LibraryServer() as ...")
        import http.client  # slow to import, and the server's own process imports this module, too

        connection = http.client.HTTPConnection(_HOST, self._port, timeout=_CONTROL_SECONDS)
        try:
            connection.request("POST", f"/-/control/{action}", body, {"X-Control-Key": self._key})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise ArgosyError(f"The library server failed to {action} (status {response.status}).")
        return data

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


#: Starts a server with these settings, and stops it when the test ends.
ServerFactory = Callable[..., LibraryServer]
