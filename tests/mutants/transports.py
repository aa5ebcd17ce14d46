"""Transports that break one promise each. Most are made of the template of `argosy plugin new transport`, some of curl."""

from __future__ import annotations

import base64
import os
import re
import ssl
import threading
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests

from argosy.interfaces import Hop, Incoming, ResponseHeaders
from argosy_devkit.scaffold.templates.transport import argosy_example as example
from argosy_plugins.transports.curl import CurlTransport


class Good(example.ExampleTransport):
    """Keeps all promises."""

    name = "good"


class _Between(Hop):
    """A hop that passes each step on."""

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.request = hop.request

    @property
    def deadline(self) -> float:  # type: ignore[override]  # it is only read
        return self.hop.deadline

    def authorize(self) -> requests.PreparedRequest:
        return self.hop.authorize()

    def sending(self) -> None:
        self.hop.sending()

    def received(self, headers: ResponseHeaders) -> None:
        self.hop.received(headers)


class _Body(Incoming):
    """A body that passes all on."""

    def __init__(self, incoming: Incoming) -> None:
        self.incoming = incoming

    def readinto(self, buffer: memoryview) -> int:
        return self.incoming.readinto(buffer)

    def close(self) -> None:
        self.incoming.close()


class ReportsLate(Good):
    """Reports the headers once the body has come."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Late(_Between):
            def received(self, headers: ResponseHeaders) -> None:
                self.headers = headers

        late = Late(hop)
        incoming = super().send(late, **options)

        class Body(_Body):
            def readinto(self, buffer: memoryview) -> int:
                count = self.incoming.readinto(buffer)
                if not count:
                    hop.received(late.headers)
                return count

        return Body(incoming)


class AuthorizesTwice(Good):
    """Asks for the credentials again, to have the newest."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Twice(_Between):
            def authorize(self) -> requests.PreparedRequest:
                self.hop.authorize()
                return self.hop.authorize()

        return super().send(Twice(hop), **options)


class DoesNotSayThatItSends(Good):
    """Leaves out a step."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Silent(_Between):
            def sending(self) -> None:
                pass

        return super().send(Silent(hop), **options)


class SendsAgain(Good):
    """Sends a request again if there is no response, as urllib3 does."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Again(_Between):
            def __init__(self, hop: Hop) -> None:
                super().__init__(hop)
                self.authorized: Any = None

            def authorize(self) -> requests.PreparedRequest:
                self.authorized = self.authorized or self.hop.authorize()
                answer: requests.PreparedRequest = self.authorized
                return answer

            def sending(self) -> None:
                if "sending" not in self.hop.steps:  # type: ignore[attr-defined]  # the suite's own hop
                    self.hop.sending()

        again = Again(hop)
        try:
            return super().send(again, **options)
        except requests.ConnectionError:
            if again.authorized is None:
                raise
            return super().send(again, **options)


class TakesTheSessionFirst(Good):
    """Takes the session before it connects."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        authorized = hop.authorize()

        class First(_Between):
            def authorize(self) -> requests.PreparedRequest:
                return authorized

        return super().send(First(hop), **options)


class UsesDeadConnections(Good):
    """Does not look at a connection after it has waited for the session."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        with mock.patch.object(example._Connection, "has_events", return_value=False):
            return super().send(hop, **options)


class HidesTheCause(Good):
    """Raises errors without their cause."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        try:
            return super().send(hop, **options)
        except requests.RequestException:
            raise requests.ConnectionError("it did not work") from None


class FollowsRedirects(Good):
    """Goes where a response leads."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Following(_Between):
            def received(self, headers: ResponseHeaders) -> None:
                self.status = headers.status

        first = Following(hop)
        incoming = super().send(first, **options)
        if first.status == 302:
            return super().send(hop, **options)
        return incoming


class SwallowsErrors(Good):
    """Takes the end of the connection for the end of the body."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Body(_Body):
            def readinto(self, buffer: memoryview) -> int:
                try:
                    return self.incoming.readinto(buffer)
                except ConnectionError:
                    return 0

        return Body(super().send(hop, **options))


class FillsTheBuffer(Good):
    """Waits until the buffer is full."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Body(_Body):
            def readinto(self, buffer: memoryview) -> int:
                done = 0
                while done < len(buffer) and (count := self.incoming.readinto(buffer[done:])):
                    done += count
                return done

        return Body(super().send(hop, **options))


class ReusesIncompleteOnes(Good):
    """Keeps the connection of a response that was given up."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        transport = self

        class Body(_Body):
            def close(self) -> None:
                inner: Any = self.incoming
                connection, inner._connection = inner._connection, None
                if connection is not None:
                    connection.has_events = connection.has_buffered = lambda: False
                    transport.keep(connection)

        return Body(super().send(hop, **options))


class TakesWhatIsLeft(Good):
    """Does not look for bytes after the body."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        incoming: Any = super().send(hop, **options)
        if incoming._connection is not None:
            incoming._connection.has_events = incoming._connection.has_buffered = lambda: False
        return incoming  # type: ignore[no-any-return]  # it is a body


class BelievesTheLength(Good):
    """Keeps a connection although header fields disagree on the end of the body."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        incoming: Any = super().send(hop, **options)
        incoming._is_last = False
        if incoming._connection is not None:
            incoming._connection.has_events = incoming._connection.has_buffered = lambda: False
        return incoming  # type: ignore[no-any-return]  # it is a body


class _ReadsLinesLeniently(example._Connection):
    def read_line(self) -> bytes:
        return self.stream.readline().rstrip(b"\r\n")


class TakesTornHeaders(Good):
    """Takes headers that were cut off for complete ones, as http.client does."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        with mock.patch.object(example, "_Connection", _ReadsLinesLeniently):
            return super().send(hop, **options)


class OverlooksLines(Good):
    """Leaves out what follows a line that is not valid."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Field:
            def fullmatch(self, line: str) -> Any:
                self.is_broken = getattr(self, "is_broken", False) or ":" not in line
                return re.fullmatch(r"([!-9;-~]+)[ \t]*:[ \t]*(.*?)[ \t]*", "X: 1" if self.is_broken else line)

        with mock.patch.object(example, "_FIELD", Field()):
            return super().send(hop, **options)


class UsesTheEnvironment(CurlTransport):
    """Uses the proxy of the environment."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        return super().send(hop, **{**options, "proxy": options["proxy"] or os.environ.get("http_proxy")})


class _ChangesOptions(CurlTransport):
    changes: dict[int, Any] = {}

    def _options(self, *args: Any) -> dict[int, Any]:
        return {**super()._options(*args), **self.changes}


class GoesPastTheProxy(_ChangesOptions):
    """Honors no_proxy."""

    def _options(self, *args: Any) -> dict[int, Any]:
        return {**super()._options(*args), self._curl.NOPROXY: os.environ.get("no_proxy", "")}


class HandsOnTheProxysHeaders(_ChangesOptions):
    """Reports the header fields of the response to CONNECT, too."""

    changes = {265: 0}  # SUPPRESS_CONNECT_HEADERS


class ResolvesNamesItself(CurlTransport):
    """Looks names up before it asks a SOCKS proxy."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        proxy = options["proxy"]
        return super().send(hop, **{**options, "proxy": proxy and proxy.replace("socks5h:", "socks5:")})


class ShowsThePassword(CurlTransport):
    """Names the proxy in its errors."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        try:
            return super().send(hop, **options)
        except requests.exceptions.ProxyError as error:
            raise requests.exceptions.ProxyError(f"{options['proxy']}: {error}") from None


class TrustsEverybody(Good):
    """Does not check certificates."""

    def _context(self, verify: bool | str, cert: Any) -> ssl.SSLContext:
        return super()._context(False, cert)


class DoesNotCheckTheHost(Good):
    """Does not compare the certificate with the host."""

    def _context(self, verify: bool | str, cert: Any) -> ssl.SSLContext:
        context = super()._context(verify, cert)
        context.check_hostname = False
        return context


class KeepsItsAuthorities(Good):
    """Trusts all authorities that it was ever given."""

    def _context(self, verify: bool | str, cert: Any) -> ssl.SSLContext:
        first = next(iter(self._contexts.values()), None)
        return first if first is not None else super()._context(verify, cert)


class SendsThePassword(Good):
    """Sends the user and the password of the URL."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        parts = urlsplit(hop.request.url or "")
        if parts.username:
            user = f"{parts.username}:{parts.password}".encode()
            hop.request.headers["Authorization"] = f"Basic {base64.b64encode(user).decode()}"
        return super().send(hop, **options)


class AsksForCompression(Good):
    """Asks for compressed bodies."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        hop.request.headers["Accept-Encoding"] = "gzip"
        return super().send(hop, **options)


class GoesOneByOne(Good):
    """Sends one request at a time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._one = threading.Lock()

    def send(self, hop: Hop, **options: Any) -> Incoming:
        with self._one:
            return super().send(hop, **options)


class CannotBeNested(GoesOneByOne):
    """Uses the same state for a login that its hop sends."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        if not self._one.acquire(timeout=1):
            raise requests.ConnectionError("busy")
        try:
            return super(GoesOneByOne, self).send(hop, **options)
        finally:
            self._one.release()


class LeavesConnectionsOpen(Good):
    """Does not close its idle connections."""

    def close(self) -> None:
        pass


class PutsTheDeadlineOff(Good):
    """Waits as long as something comes."""

    def send(self, hop: Hop, **options: Any) -> Incoming:
        class Patient(_Between):
            @property
            def deadline(self) -> float:  # type: ignore[override]  # it is only read
                return self.hop.deadline + 3.0

        return super().send(Patient(hop), **options)
