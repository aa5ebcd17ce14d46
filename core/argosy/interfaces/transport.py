"""The interface of transports, which send requests and receive responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import requests

from argosy.interfaces.base import Plugin


@dataclass(frozen=True, slots=True, repr=False)
class ResponseHeaders:
    """The headers of a final response."""

    status: int
    reason: str
    version: str  # HTTP/1.1
    fields: tuple[tuple[str, str], ...]  # in their order, decoded as Latin-1

    def __repr__(self) -> str:
        return f"<headers of a response with status {self.status}>"  # its cookies are secret

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of a name."""
        wanted = name.lower()
        return [value for field, value in self.fields if field.lower() == wanted]


class Hop(ABC):
    """One request on its way. The transport reports each step to it, in the order of the methods.

    `request` has no credentials. `deadline` is the end of the time to send it and to receive the headers, on the
    monotonic clock; it is infinite until `authorize` has returned.
    """

    request: requests.PreparedRequest
    deadline: float

    @abstractmethod
    def authorize(self) -> requests.PreparedRequest:
        """Take the session, and return the request to send, with its credentials.

        Call it once, as late as possible: others wait for the session from now on. After an exception, send nothing.
        """

    @abstractmethod
    def sending(self) -> None:
        """Report that bytes of the request go out from now on; an exception means that it was sent before."""

    @abstractmethod
    def received(self, headers: ResponseHeaders) -> None:
        """Report the headers of the final response before anything else is done: this stores the new token."""


class Incoming(ABC):
    """The body of a response, as it arrives; decoded from chunks, but not decompressed.

    One thread uses it at a time, though not always the one that sent the request.
    """

    #: Whether the server sent more bytes than it had announced, as far as the transport can tell.
    has_excess = False

    @abstractmethod
    def readinto(self, buffer: memoryview) -> int:
        """Wait for bytes and store those that are there; return their number, 0 at the end of the body.

        Raise TimeoutError if none arrive in time, and another OSError if the connection breaks or the body ends early.
        """

    @abstractmethod
    def close(self) -> None:
        """End the response; if the body is incomplete, its connection must not serve another request."""


class Transport(Plugin):
    """Sends requests over connections of its own. Any number of threads may call it.

    It never sends a request twice, follows no redirect, stores no cookies, adds no credentials, and ignores proxies and
    ``.netrc`` of the environment. A request with ``Connection: close`` gets a connection that serves no other one.
    """

    #: The schemes of the proxies that it can use.
    proxy_schemes: ClassVar[frozenset[str]] = frozenset({"http", "https"})

    @abstractmethod
    def send(
        self,
        hop: Hop,
        *,
        timeout: tuple[float, float],
        verify: bool | str,
        proxy: str | None,
        cert: str | tuple[str, str] | None = None,
    ) -> Incoming:
        """Send the request of a hop, and return the response's body once its headers were reported.

        `timeout` is in seconds: to connect, and between two pieces of the body. `verify` may be the path of a PEM file
        with the certificate authorities to trust, and `cert` that of a client's certificate, or of it and its key. Raise
        a `requests.RequestException` if there is no response, from the OSError that tells the cause (`socket.gaierror`,
        `ConnectionRefusedError`, `ssl.SSLError`, ...).
        """
