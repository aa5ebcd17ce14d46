"""Who may use a gateway: programs of the same user that know its URL, and no page of another site in a browser."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import secrets
import socket
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from argosy.errors import BusyError, ConfigError, StorageError
from argosy.toolkit.hosts import is_loopback

#: Connections that wait to be accepted.
_BACKLOG = 256
#: The bytes of a secret.
_SECRET = 24
#: Values of ``Sec-Fetch-Site`` that browsers send for the gateway's own pages, and for a typed URL.
_OWN_SITE = frozenset({"same-origin", "none"})
#: The tables of TCP connections with the users that made them, on Linux.
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class Denied(Exception):
    """A request that does not pass; nothing is sent to the service. With a `location`, it is a redirect."""

    def __init__(self, status: int, text: str, location: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.location = location


class Door:
    """Checks requests to a gateway that listens on a socket.

    Over TCP, the first segment of the path is a secret. A Unix socket has the mode 0600 instead.
    """

    def __init__(self, listener: socket.socket) -> None:
        if listener.family == socket.AF_UNIX:
            self.secret, self._port, names = "", "", ["localhost"]
        else:
            self.secret = secrets.token_urlsafe(_SECRET)
            host, port = listener.getsockname()[:2]
            self._port, names = f":{port}", [f"[{host}]" if ":" in host else host, "localhost"]
        # without the port, too: wget2 sends none
        self._hosts = {shown: name for name in names for shown in (name, f"{name}{self._port}")}
        self._origins = frozenset(f"http://{name}{self._port}" for name in names)
        #: The gateway's URL, without a slash at its end.
        self.url = self._base(names[0])

    def enter(self, target: str, headers: Mapping[str, Any], hosts: list[str]) -> tuple[str, str]:
        """Return the path of a request below the secret, with its query, and the gateway's URL as the client knows it.

        `target` is as sent, `hosts` are the values of its ``Host`` fields. Raises Denied.
        """
        if not target.startswith("/"):
            raise Denied(400, "This is a gateway, not a proxy: send requests to its URL.")
        path = target
        if self.secret:
            first, slash, rest = target[1:].partition("/")
            if not slash:
                first, mark, query = first.partition("?")
                rest = mark + query
            if not self._is_secret(first):
                raise Denied(404, "Not found.")
            path = rest if rest.startswith("?") else f"/{rest}"
        # another site's name that resolves to this machine (DNS rebinding)
        name = self._hosts.get(hosts[0].lower()) if len(hosts) == 1 else None
        if name is None:
            raise Denied(403, "Use the gateway's own address.")
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in self._origins:
            raise Denied(403, "Pages of other sites cannot use this gateway.")
        if headers.get("Sec-Fetch-Site", "none").lower() not in _OWN_SITE:
            raise Denied(403, "Pages of other sites cannot use this gateway.")
        return path, self._base(name)

    def page(self, referer: str) -> str | None:
        """Return the path below the secret of the page that refers to a URL; None if it is no page of this gateway.

        Links of a page may begin with ``/``, and then have no secret; its ``Referer`` has it.
        """
        scheme, _, rest = referer.partition("://")
        host, _, path = rest.partition("/")
        first, _, below = path.partition("/")
        is_ours = scheme == "http" and host.lower() in self._hosts and self.secret != ""
        return f"/{below}" if is_ours and self._is_secret(first) else None

    def _is_secret(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.secret.encode())

    def _base(self, name: str) -> str:
        return f"http://{name}{self._port}" + (f"/{self.secret}" if self.secret else "")


def listen(address: str) -> socket.socket:
    """Return a socket that listens on a loopback address, ``HOST:PORT``."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{address!r} is not an address to listen on.", hint="Write HOST:PORT: --listen 127.0.0.1:0")
    if not is_loopback(host):
        hint = "Everybody who can reach it could use your session. Use --listen 127.0.0.1:0, or --socket PATH."
        raise ConfigError(f"A gateway listens on this machine only, not on {host!r}.", hint=hint)
    try:
        family, kind, _, _, name = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(name)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        hint = "Choose another port, or 0 for any."
        raise BusyError(f"The gateway cannot listen on {address}: {error.strerror}.", hint=hint) from None
    return listener


@contextlib.contextmanager
def listen_at(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only its user can connect to; remove it in the end."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            made = _bind(listener, path)
        except OSError as error:
            reason = error.strerror or str(error)  # a path that is too long has no number
            raise StorageError(f"The socket {path} cannot be made: {reason}.", hint="Choose another path.") from None
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if os.path.samestat(path.lstat(), made):  # unless another program has replaced it
                    path.unlink()
    finally:
        listener.close()


def _bind(listener: socket.socket, path: Path) -> os.stat_result:
    """Bind a socket to a path, in place of one that no program listens on."""
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two gateways that start together would remove each other's
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise StorageError(
                    f"{path} exists and is not a socket; it was not changed.", hint="Choose another path."
                )
            if _is_used(path):
                raise BusyError(f"Another program listens on {path}.", hint="Choose another path, or stop it.")
            path.unlink()
        before = os.umask(0o177)  # the mode of the socket from its creation
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        return path.lstat()
    finally:
        os.close(folder)


def _is_used(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            return False
        except FileNotFoundError:
            return False
        except OSError:
            return True  # its queue is full, or it is another user's
    return True


def is_own(connection: socket.socket) -> bool:
    """Return whether a program of this user, or of root, is at the other end of a TCP connection; true if unknown.

    The secret is in the URL, and other users can see the arguments of a program, such as curl.
    """
    if connection.family == socket.AF_UNIX or not _can_tell():
        return True
    return _user_of(connection) in (os.getuid(), 0)


def _user_of(connection: socket.socket) -> int | None:
    """Return the user at the other end of a connection within this machine; None if it is not in the tables."""
    theirs, ours = connection.getpeername()[:2], connection.getsockname()[:2]
    rows = {f" {_entry(*theirs, mapped=mapped)} {_entry(*ours, mapped=mapped)} " for mapped in (False, True)}
    for table in _TABLES:
        with contextlib.suppress(OSError), table.open(encoding="ascii") as lines:
            for line in lines:
                if any(row in line for row in rows):
                    columns = line.split()
                    # without an inode, it was closed, and the user is not known
                    return int(columns[7]) if columns[9] != "0" else None
    return None


def _entry(host: str, port: int, *, mapped: bool) -> str:
    """Return an address as in /proc/net/tcp, or, if IPv4 is mapped to IPv6, in /proc/net/tcp6."""
    packed = ipaddress.ip_address(host.partition("%")[0]).packed
    if mapped and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)  # in the order of the machine
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


_telling: list[bool] = []


def _can_tell() -> bool:
    """Return whether this system's tables show the user of a connection within this machine; some sandboxes' do not."""
    if not _telling:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as client,
        ):
            while True:
                connection, address = server.accept()
                with connection:
                    if address == client.getsockname():
                        _telling.append(_user_of(connection) == os.getuid())
                        break
    return _telling[0]
