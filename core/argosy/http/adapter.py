"""The requests adapter that leases the token for each request.

Mount it on any `requests.Session`: each redirect comes back to it and gets its own lease, and any number of
threads, processes and terminals may send at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import requests
from requests.utils import select_proxy
from urllib3.response import BaseHTTPResponse

from argosy.errors import TransferError
from argosy.http.body import Body, IncomingBody
from argosy.http.connections import Adapter, NotSent, Reuse, Sending, current
from argosy.interfaces.cookie_store import CookieStore
from argosy.interfaces.transport import Transport
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode, Policy, Tokens
from argosy.ratelimit.limiter import Permit, RateLimiter, retry_after
from argosy.toolkit.failures import is_unknown_name, reason_of

#: Connections kept per host; with more workers, each request would need a new one.
POOL_SIZE = 256


class LeasedAdapter(Adapter):
    """Sends each request with the session's newest token, and stores the token that replaces it.

    It never sends a request twice: urllib3's retries are off, as they would send a replaced token.

    Parameters
    ----------
    store
        A cookie store, or a `SessionManager` on one. With a manager, the next three parameters are ignored.
    session
        The session's name in the store.
    lease
        ``exclusive``, ``exclusive-to-end``, ``shared`` or ``auto``. An adapter cannot log in, so it cannot recover
        from a wrong guess: with ``auto``, its requests always take turns.
    token_cookies
        The names of the cookies that are tokens; if there are none, all cookies are.
    deadline
        Seconds to send a request and receive the headers of its response. After that, the request fails and the
        session is in doubt.
    rate_limiter
        Spaces the requests to a host.
    reuse
        Which connections may serve more than one request.
    transport
        What sends the requests, if not requests itself.
    """

    def __init__(
        self,
        store: CookieStore | SessionManager,
        session: str = "default",
        *,
        lease: str = "auto",
        token_cookies: Iterable[str] = (),
        deadline: float = 60.0,
        rate_limiter: RateLimiter | None = None,
        reuse: Reuse | None = None,
        transport: Transport | None = None,
    ) -> None:
        if isinstance(store, SessionManager):
            self.manager = store
        else:
            policy = Policy(lease_mode=LeaseMode(lease), tokens=Tokens.named(token_cookies))
            self.manager = SessionManager(store, session, policy)
        self.deadline = deadline
        self.rate_limiter = rate_limiter or RateLimiter()
        self._transport = transport
        super().__init__(reuse or Reuse(), pool_maxsize=POOL_SIZE)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a LeasedAdapter cannot be pickled: make one in each process, on the same store")

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        *args: Any,
        **options: Any,
    ) -> requests.Response:
        """Send one request under a lease, as `requests.adapters.HTTPAdapter.send` does; the body is unread.

        Raises
        ------
        SessionError
            If there is no usable session.
        StorageError
            If the store fails; nothing was sent.
        requests.RequestException
            If the request fails; its ``argosy_sending.bytes_out`` says whether a byte went out.
        """
        with self.rate_limiter.permit(request.url or "") as permit:
            while (wait := permit.reach()) > 0:
                self.manager.pause(wait)
            sending = Sending(request, self, permit)
            token = current.set(sending)
            request.headers.pop("Cookie", None)  # the requests session's cookies are older
            try:
                timeout = timeout or (10.0, self.deadline)
                if self._transport is None:
                    response = super().send(request, True, timeout, *args, **options)
                else:
                    response = self._send(self._transport, sending, timeout, *args, **options)
            except BaseException as error:
                self._give_up(sending)
                if isinstance(error, NotSent):
                    _report_failure(permit, error.error, sent=False)
                    raise error.error from None
                _report_failure(permit, error, sent=sending.bytes_out > 0)
                if isinstance(error, requests.RequestException):
                    error.argosy_sending = sending  # type: ignore[attr-defined]  # a note for the caller
                raise
            finally:
                current.reset(token)
            permit.answered(response.status_code, retry_after(response.status_code, response.headers))
        return response

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Settle the lease before anything else can go wrong: the headers are in."""
        sending = current.get()
        assert sending is not None and sending.lease is not None  # noqa: S101, PT018 - `send` is running
        lease = sending.lease
        if sending.headers is None:
            sending.settle(resp.headers.getlist("Set-Cookie"), resp.headers.get("Date"))
        response = super().build_response(req, resp)
        response.argosy_stamp = lease.stamp  # type: ignore[attr-defined]  # a note for the caller
        response.argosy_sent_at = sending.sent_at  # type: ignore[attr-defined]  # a note for the caller
        if lease.to_end:
            response.raw = Body(response.raw, on_end=lambda complete: lease.end(complete=complete))
        return response

    def _send(
        self,
        transport: Transport,
        sending: Sending,
        timeout: tuple[float, float],
        verify: bool | str = True,
        cert: None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request with a transport."""
        proxy = select_proxy(sending.url, proxies)
        try:
            incoming = transport.send(sending, timeout=timeout, verify=verify, proxy=proxy)
        except requests.RequestException as error:
            error.request = sending.request
            raise
        assert sending.headers is not None  # noqa: S101 - the contract of transports
        raw: Any = IncomingBody(incoming, sending.headers, self.body_limits)
        return self.finish(self.build_response(sending.request, raw))

    @staticmethod
    def _give_up(sending: Sending) -> None:
        """End the lease of a request that failed; a settled lease stays settled."""
        lease = sending.lease
        if lease is None:
            return
        try:
            if sending.bytes_out:
                lease.doubt()
            else:
                lease.unsent()
        finally:
            lease.end(complete=False)


def _report_failure(permit: Permit, error: BaseException, *, sent: bool) -> None:
    """Tell the rate limiter that a request, or the login before it, got no response."""
    if isinstance(error, TransferError):
        if error.kind != "down":  # the rate limiter's own; other kinds come from a login
            permit.failed(error.message.rstrip("."), sent=False, named=error.kind != "dns")
    elif isinstance(error, requests.exceptions.SSLError):
        return  # TLS exists to refuse the wrong host
    elif isinstance(error, requests.ConnectionError | requests.Timeout):
        permit.failed(reason_of(error), sent=sent, named=not is_unknown_name(error))
