"""Machines of a test's own: network namespaces on a bridge, each with its own name, folder for temporary files and address. Needs root."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from missing import NOTHING_MISSING, need

#: The folder that each machine has for itself, in memory.
TMP = tempfile.gettempdir()

#: Gives the machine a name and an own folder TMP with nothing but some folders of the real one, then becomes a program.
_ENTER = """
hostname "$1"
tmp=$2
new=$(mktemp -d)
mount -t tmpfs tmpfs "$new"
shift 2
while [ "$1" != -- ]; do
    case "$1" in "$tmp"/*) mkdir -p "$new/${1#$tmp/}" && mount --bind "$1" "$new/${1#$tmp/}" ;; esac
    shift
done
shift
mount --move "$new" "$tmp"
exec "$@"
"""

#: What Python and argosy are in.
PROGRAM = (Path(__file__).parents[1], Path(sys.prefix), Path(sys.base_prefix))


class Machines:
    """A bridge on this machine, and machines behind it; `host` is the address of this one there."""

    def __init__(self) -> None:
        need("ip", "unshare", "mount")
        self._made: list[tuple[str, ...]] = []  # how to remove what was made
        self._number = random.randrange(1, 250)
        self.name = f"argosy{os.getpid()}"
        self.host = f"10.213.{self._number}.1"
        try:
            self._ip("link", "add", self.name, "type", "bridge")
            self._made.append(("link", "del", self.name))
            self._ip("addr", "add", f"{self.host}/24", "dev", self.name)
            self._ip("link", "set", self.name, "up")
        except subprocess.CalledProcessError as error:
            self.close()
            message = f"cannot make network namespaces (needs root): {error.stderr}"
            if os.environ.get(NOTHING_MISSING):
                pytest.fail(message)
            pytest.skip(message)

    def add(self, number: int, *shared: Path) -> tuple[str, tuple[str, ...]]:
        """Return the address of a new machine, and what is put before a command that is to run there.

        In its `TMP` are the programs and these folders, which it shares with all others.
        """
        name, address = f"{self.name}-{number}", f"10.213.{self._number}.{number + 2}"
        outer, inner = f"ag{os.getpid()}o{number}"[-15:], f"ag{os.getpid()}i{number}"[-15:]
        self._ip("netns", "add", name)
        self._made.append(("netns", "del", name))
        self._ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        self._ip("link", "set", outer, "master", self.name, "up")
        self._ip("link", "set", inner, "netns", name)
        self._ip("-n", name, "addr", "add", f"{address}/24", "dev", inner)
        for device in ("lo", inner):
            self._ip("-n", name, "link", "set", device, "up")
        enter = ("ip", "netns", "exec", name, "unshare", "--uts", "--mount", "sh", "-ec", _ENTER, "sh", name, TMP)
        return address, (*enter, *map(str, (*PROGRAM, *shared)), "--")

    def close(self) -> None:
        for command in reversed(self._made):
            subprocess.run(["ip", *command], check=False, capture_output=True)

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
