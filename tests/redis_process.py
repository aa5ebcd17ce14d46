"""A real Redis server of a test's own: started, killed, stopped and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ports import free_port

#: Seconds after which a server that does not come up, or does not end, is taken for broken.
PATIENCE = 30.0

#: What a server is to keep on its disk: nothing, or each change before it answers.
NOTHING = ("--appendonly", "no")
EVERYTHING = ("--appendonly", "yes", "--appendfsync", "always")
EVERY_SECOND = ("--appendonly", "yes", "--appendfsync", "everysec")


class RedisProcess:
    """A server on the loopback.

    Parameters
    ----------
    settings
        Arguments of ``redis-server``, beside those that every server here has.
    tls
        The files of its certificate, its key and its authority; it speaks nothing but TLS then.
    password
        What clients have to say.
    """

    def __init__(self, *settings: str, tls: tuple[Path, Path, Path] | None = None, password: str | None = None) -> None:
        # not below the test's own folder: that of a socket or a log may be too long, or looked through by the test
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-redis-"))
        self.port = free_port()
        self._settings = settings
        self._tls = tls
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, **options: Any) -> redis.Redis:
        """Return a connection for the test itself."""
        if self._tls is not None:
            certificate, key, authority = map(str, self._tls)
            options |= {
                "ssl": True,
                "ssl_certfile": certificate,
                "ssl_keyfile": key,
                "ssl_ca_certs": authority,
                "ssl_check_hostname": False,
            }
        once = Retry(NoBackoff(), 0)
        return redis.Redis("127.0.0.1", self.port, password=self._password, protocol=2, retry=once, **options)

    def start(self, *, loaded: bool = True) -> None:
        """Start it, and wait until it answers; if `loaded`, until it has its data."""
        command = ["redis-server", "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        if self._tls is None:
            command += ["--port", str(self.port)]
        else:
            names = ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file")
            command += ["--port", "0", "--tls-port", str(self.port)]
            command += [word for name, path in zip(names, self._tls, strict=True) for word in (name, str(path))]
        if self._password is not None:
            command += ["--requirepass", self._password]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + PATIENCE
        client = self.client()
        try:
            while True:
                try:
                    client.ping()
                    return
                except redis.BusyLoadingError:
                    if not loaded:
                        return
                except redis.RedisError:
                    assert self._process.poll() is None, self.log()
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)
        finally:
            client.close()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does; what it has not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """Let it answer nobody, as one whose machine hangs."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
