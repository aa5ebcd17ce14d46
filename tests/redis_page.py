"""The files of the page about Redis with TLS, in a folder, and the server that they make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from documents import ROOT, blocks, files
from ports import free_port

PAGE = ROOT / "docs" / "how-to" / "run-redis-with-tls.md"
#: Seconds after which a server that does not come up is taken for broken.
PATIENCE = 30.0
#: The programs that it needs.
PROGRAMS = ("redis-server", "redis-cli", "openssl")


class RedisPage:
    """The files in `folder`, with this machine for `cache.example`, and `library` for the service."""

    def __init__(self, folder: Path, library: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._library = library
        (configuration,) = [block.text for block in blocks("toml", document=PAGE) if block.mark == "complete"]
        # a host without any limit has no state to share
        self.write({**files(PAGE), "argosy.toml": f"download_delay = 0.01\n{configuration}"})

    def write(self, texts: dict[str, str]) -> None:
        """Write files of a page."""
        for name, text in texts.items():
            (self.folder / name).write_text(self._here(text), "utf-8")

    def _here(self, text: str) -> str:
        text = text.replace("cache.example", "localhost").replace("6379", str(self.port))
        return re.sub(r"/(etc|var/lib)/redis", str(self.folder), text).replace("https://library.example", self._library)

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["sh", script],
            cwd=self.folder,
            env={**os.environ, "PATH": programs},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def client(self, **options: Any) -> redis.Redis:
        authority = str(self.folder / "ca.pem")
        return redis.Redis("localhost", self.port, ssl=True, ssl_ca_certs=authority, ssl_check_hostname=True, **options)


@contextmanager
def redis_of_the_page(folder: Path, library: str, *, more_users: str = "") -> Iterator[RedisPage]:
    """Do what the page says, and run its server."""
    page = RedisPage(folder, library)
    for script in ("make-certificates.sh", "make-user.sh"):
        done = page.sh(script)
        assert done.returncode == 0, done.stderr
    with (folder / "users.acl").open("a") as users:
        users.write(more_users)
    log = folder / "redis.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            ["redis-server", "redis.conf"], cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + PATIENCE
        while "Ready to accept connections" not in log.read_text("utf-8"):
            assert server.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.02)
        yield page
    finally:
        server.kill()
        server.wait(PATIENCE)
