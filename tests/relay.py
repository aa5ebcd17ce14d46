"""A relay of TCP connections that keeps every byte, as somebody on the network can."""

from __future__ import annotations

import contextlib
import socket
import threading
import zlib


class Relay:
    """Passes connections on to a port of this host."""

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self._target = (host, target)
        self._seen = bytearray()
        self._sockets: list[socket.socket] = []
        self._mutex = threading.Lock()
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def seen(self) -> bytes:
        """All bytes of both directions."""
        with self._mutex:
            return bytes(self._seen)

    def close(self) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._target)
                self._sockets += [ours, theirs]
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._mutex:
                    self._seen += data
                target.sendall(data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def inflated(data: bytes) -> bytes:
    """Return bytes and everything in them that is compressed with zlib, as anybody could read it."""
    found: dict[int, bytes] = {}  # by the checksum that names a text as the dictionary of others
    for _ in range(2):  # what a dictionary is needed for, the second time
        start = -1
        while (start := data.find(b"\x78", start + 1)) != -1:
            is_known = data[start + 1 : start + 2] == b"\xbb"  # as zlib marks it
            text = found.get(int.from_bytes(data[start + 2 : start + 6], "big")) if is_known else b""
            if text is None or (not is_known and data[start + 1 : start + 2] != b"\x9c"):
                continue
            reader = zlib.decompressobj(zdict=text) if text else zlib.decompressobj()
            with contextlib.suppress(zlib.error):
                content = reader.decompress(data[start:])
                found[zlib.adler32(content)] = content
    return data + b"".join(found.values())
