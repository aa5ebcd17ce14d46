"""The requests adapter that leases the token for each request.

Mount it on any `requests.Session`: each redirect comes back to it and gets its own lease, and any number of
threads, processes and terminals may send at the same time.
"""

from __future__ import annotations

import codecs
import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import InvalidProxyURL
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, prepend_scheme_if_needed, select_proxy, should_bypass_proxies
from urllib3 import Timeout

from argosy.errors import TransferError
from argosy.http.body import MAX_COPY, Body, BodyLimits, coding_of, discard, inflated
from argosy.http.hop import LeasedHop
from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore
from argosy.interfaces.transport import Hop, Incoming, ResponseHeaders, Transport
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Carriers, LeaseMode, Policy, Tokens
from argosy.models.session import Carrier
from argosy.plugins.manager import PluginManager
from argosy.ratelimit.limiter import Permit, RateLimiter, retry_after
from argosy.toolkit.failures import is_unknown_name, reason_of

#: Python codecs that are not the character set of a page: some raise, some take quadratic time.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})


class Adapter(BaseAdapter):
    """A requests adapter on a transport, which bounds every response; a transport of its own is closed with it."""

    #: The limits of each body.
    body_limits = BodyLimits()

    #: Seconds to connect, and between two pieces of a body, unless the caller says otherwise.
    timeout: tuple[float, float] = (10.0, 60.0)

    def __init__(self, transport: Transport | None = None) -> None:
        super().__init__()
        self._transport = transport or PluginManager().make(Transport, {"use": "requests"}, PluginContext())
        self._is_own = transport is None

    def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            self._transport.close()

    def pass_on(
        self,
        hop: Hop,
        timeout: Any = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Incoming:
        """Send the request of a hop."""
        request, transport = hop.request, self._transport
        url = request.url or ""
        proxy = select_proxy(url, proxies) if proxies else None
        if proxies and proxy is not None and "no" in proxies and should_bypass_proxies(url, proxies["no"]):
            proxy = None
        if proxy is not None:
            proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
            if urlsplit(proxy).scheme not in transport.proxy_schemes:
                raise InvalidProxyURL(f"the transport {transport.name!r} cannot use such a proxy", request=request)
        try:
            return transport.send(hop, timeout=self._seconds(timeout), verify=verify, proxy=proxy, cert=cert)
        except requests.RequestException as error:
            error.request = request
            raise

    def response(
        self, request: requests.PreparedRequest, headers: ResponseHeaders, incoming: Incoming, **options: Any
    ) -> requests.Response:
        """Return the response to a request, as requests builds it."""
        fields: dict[str, tuple[str, str]] = {}
        for name, value in headers.fields:
            first, before = fields.get(name.lower(), (name, None))
            fields[name.lower()] = first, value if before is None else f"{before}, {value}"
        merged: CaseInsensitiveDict[str] = CaseInsensitiveDict(fields.values())
        response: Any = requests.Response()
        response.status_code, response.reason, response.headers = headers.status, headers.reason, merged
        response.encoding = _charset_of(merged.get("Content-Type"))
        response.url, response.request, response.connection = request.url, request, self
        length = None
        if request.method == "HEAD" or headers.status in (204, 304):
            length = 0
        elif "transfer-encoding" not in fields and (announced := merged.get("Content-Length", "")).isdecimal():
            length = int(announced[:19])
        response.raw = Body(incoming, headers, self.body_limits, length=length, **options)
        if "set-cookie" in fields:
            extract_cookies_to_jar(response.cookies, request, response.raw)  # type: ignore[no-untyped-call]
        if response.is_redirect:  # requests would read all of its body
            discard(response)
            response._content = b""
            response._content_consumed = True
        made: requests.Response = response
        return made

    def _seconds(self, timeout: Any) -> tuple[float, float]:
        """Return the seconds to connect and to read; requests allows one number for both, and None for no limit."""
        if not timeout:
            return self.timeout
        if isinstance(timeout, Timeout):
            timeout = (timeout.connect_timeout, timeout.read_timeout)
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        return math.inf if connect is None else connect, math.inf if read is None else read


class LeasedAdapter(Adapter):
    """Sends each request with the session's newest token, and stores the token that replaces it.

    It never sends a request twice, as that would send a replaced token.

    Parameters
    ----------
    store
        A cookie store, or a `SessionManager` on one. With a manager, the next four parameters are ignored.
    session
        The session's name in the store.
    lease
        ``exclusive``, ``exclusive-to-end``, ``shared`` or ``auto``. An adapter cannot log in, so it cannot recover
        from a wrong guess: with ``auto``, its requests always take turns.
    token_cookies
        The names of the cookies that are tokens; if there are none, all cookies are.
    carriers
        The tokens besides cookies that responses may replace.
    deadline
        Seconds to send a request and receive the headers of its response. After that, the request fails and the
        session is in doubt.
    rate_limiter
        Spaces the requests to a host.
    transport
        What sends the requests; by default, a transport of its own, which is closed with the adapter.
    """

    def __init__(
        self,
        store: CookieStore | SessionManager,
        session: str = "default",
        *,
        lease: str = "auto",
        token_cookies: Iterable[str] = (),
        carriers: Iterable[Carrier] = (),
        deadline: float = 60.0,
        rate_limiter: RateLimiter | None = None,
        transport: Transport | None = None,
    ) -> None:
        if isinstance(store, SessionManager):
            self.manager = store
        else:
            policy = Policy(
                lease_mode=LeaseMode(lease), tokens=Tokens.named(token_cookies), carriers=Carriers(tuple(carriers))
            )
            self.manager = SessionManager(store, session, policy)
        self.deadline = deadline
        self.timeout = (10.0, deadline)
        self.rate_limiter = rate_limiter or RateLimiter()
        super().__init__(transport)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a LeasedAdapter cannot be pickled: make one in each process, on the same store")

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None, *args: Any, **options: Any
    ) -> requests.Response:
        """Send one request under a lease, as `requests.adapters.HTTPAdapter.send` does; the body is unread.

        Raises
        ------
        SessionError
            If there is no usable session.
        StorageError
            If the store fails; nothing was sent.
        requests.RequestException
            If the request fails; its ``argosy_hop.is_sent`` says whether a byte may have gone out.
        """
        with self.rate_limiter.permit(request.url or "") as permit:
            while (wait := permit.reach()) > 0:
                self.manager.pause(wait)
            request.headers.pop("Cookie", None)  # the requests session's cookies are older
            hop = LeasedHop(request, self, permit)
            try:
                incoming = self.pass_on(hop, timeout, *args, **options)
            except BaseException as error:
                hop.give_up()
                _report_failure(permit, error, sent=hop.is_sent)
                if isinstance(error, requests.RequestException):
                    error.argosy_hop = hop  # type: ignore[attr-defined]  # a note for the caller
                raise
            response = self._response(hop, incoming)
            permit.answered(response.status_code, retry_after(response.status_code, response.headers))
        return response

    def _response(self, hop: LeasedHop, incoming: Incoming) -> requests.Response:
        lease, headers = hop.lease, hop.headers
        assert lease is not None and headers is not None  # noqa: S101, PT018 - the contract of transports
        copy = bytearray() if lease.to_end and self.manager.policy.carriers.in_bodies and _is_json(headers) else None

        def on_end(is_complete: bool) -> None:
            is_settled = False  # a body that cannot be read, or whose token cannot be stored, leaves the doubt
            try:
                if copy is not None and is_complete and len(copy) <= MAX_COPY:
                    coding = coding_of(CaseInsensitiveDict(headers.fields))
                    body = bytes(copy) if coding in ("", "identity") else b"".join(inflated([bytes(copy)], coding))
                    lease.settle_body(body, hop.request.url or "")
                is_settled = is_complete
            finally:
                lease.end(complete=is_settled)

        response = self.response(hop.request, headers, incoming, on_end=on_end if lease.to_end else None, copy=copy)
        response.argosy_stamp = lease.stamp  # type: ignore[attr-defined]  # a note for the caller
        response.argosy_sent_at = hop.sent_at  # type: ignore[attr-defined]  # a note for the caller
        response.argosy_answered_at = hop.answered_at  # type: ignore[attr-defined]  # a note for the caller
        return response


def _is_json(headers: ResponseHeaders) -> bool:
    """Return whether a response declares JSON (RFC 6839 section 3.1)."""
    kind = next(iter(headers.all("Content-Type")), "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _report_failure(permit: Permit, error: BaseException, *, sent: bool) -> None:
    """Tell the rate limiter that a request, or the login before it, got no response."""
    if isinstance(error, TransferError):
        if error.kind != "down":  # the rate limiter's own; other kinds come from a login
            permit.failed(error.message.rstrip("."), sent=False, named=error.kind != "dns")
    elif isinstance(error, requests.exceptions.SSLError):
        return  # TLS exists to refuse the wrong host
    elif isinstance(error, requests.ConnectionError | requests.Timeout):
        permit.failed(reason_of(error), sent=sent, named=not is_unknown_name(error))


@functools.lru_cache(256)
def _charset_of(content_type: str | None) -> str | None:
    """Return the Python codec for the character set that a service names, or None."""
    name = get_encoding_from_headers(CaseInsensitiveDict({"Content-Type": content_type or ""}))
    try:
        codec = codecs.lookup(name or "")
    except (LookupError, ValueError):  # a null character is a ValueError
        return None
    text = getattr(codec, "_is_text_encoding", True)  # not rot13, not hex
    return None if codec.name in _NO_CHARSETS or not text else codec.name
