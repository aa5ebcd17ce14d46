"""The Transport Adapter that leases the token for each request.

It can be mounted on any `requests.Session`: redirects then come back to it hop by hop, each under a lease of
its own, and any number of threads, processes and terminals may send at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NoReturn

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import BaseHTTPResponse

from argosy.contracts.cookie_store import CookieStore
from argosy.cookies.matching import Target
from argosy.session.keeper import SessionKeeper
from argosy.session.lease import Lease
from argosy.session.policy import Discipline, Policy
from argosy.transport.body import Body
from argosy.transport.pacing import Pacer
from argosy.transport.sending import POOL_CLASSES, Sending, Watchdog, current

#: Connections kept for each host; more workers than that would make new ones all the time.
POOL_SIZE = 256


class LeasedAdapter(HTTPAdapter):
    """Sends each request with the session's newest token, and stores what the response replaces it with.

    Parameters
    ----------
    store
        A cookie store, or a `SessionKeeper` on one.
    session
        The session's name in the store (not used with a keeper).
    lease
        ``exclusive``, ``exclusive-to-end`` or ``shared`` (not used with a keeper).
    deadline
        Seconds for connect, send and headers of one request together. At the deadline the connection is
        cut and the session is in doubt.
    pacer
        Spaces requests to a host.

    Notes
    -----
    Nothing below the lease sends twice: urllib3's retries are off, as they would send the old token again.
    """

    def __init__(
        self,
        store: CookieStore | SessionKeeper,
        session: str = "default",
        *,
        lease: str = "exclusive",
        deadline: float = 60.0,
        pacer: Pacer | None = None,
    ) -> None:
        if isinstance(store, SessionKeeper):
            self.keeper = store
        else:
            self.keeper = SessionKeeper(store, session, Policy(discipline=Discipline(lease)))
        self.deadline = deadline
        self.pacer = pacer or Pacer()
        self._watchdog = Watchdog()
        self._lease: ContextVar[Lease] = ContextVar("argosy_lease")
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a LeasedAdapter is not pickled: each process makes its own on the same store")

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections whose bytes are counted."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools of connections through a proxy, counted as well."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request under a lease; the response's body is unread.

        Raises
        ------
        SessionError
            If there is no usable session.
        StorageError
            If the store fails; nothing was sent.
        requests.RequestException
            If the request fails, as with any adapter; its ``argosy_sending`` says whether a byte went out.
        """
        url = request.url or ""
        host = Target.of(url).host
        lease = self.keeper.lease(url, lambda: self.pacer.admit(host))
        sending = Sending(time.monotonic() + self.deadline, self._watchdog)
        tokens = self._lease.set(lease), current.set(sending)
        try:
            self._set_cookies(request, lease)
            response = super().send(request, True, timeout or (10.0, self.deadline), verify, cert, proxies)
        except BaseException as error:
            self._give_up(lease, sending)
            if isinstance(error, requests.RequestException):
                error.argosy_sending = sending  # type: ignore[attr-defined]  # a note for the caller
            raise
        finally:
            sending.finish()
            self._lease.reset(tokens[0])
            current.reset(tokens[1])
        response.argosy_stamp = lease.stamp  # type: ignore[attr-defined]  # a note for the caller
        if lease.to_end:
            response.raw = Body(response.raw, on_end=lambda complete: lease.end(complete=complete))
        else:
            lease.end()
        return response

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Settle before anything else can go wrong: the headers are in."""
        self._lease.get().settle(resp.headers.getlist("Set-Cookie"), req.url or "", resp.headers.get("Date"))
        return super().build_response(req, resp)

    @staticmethod
    def _give_up(lease: Lease, sending: Sending) -> None:
        """End the lease of a request that failed; what was settled before the failure stays settled."""
        try:
            if sending.bytes_out:
                lease.doubt()
            else:
                lease.unsent()
        finally:
            lease.end(complete=False)

    @staticmethod
    def _set_cookies(request: requests.PreparedRequest, lease: Lease) -> None:
        """Bind the token, last of all; what the requests session may have put there is older."""
        header = lease.cookie_header(request.url or "")
        if header is None:
            request.headers.pop("Cookie", None)
        else:
            request.headers["Cookie"] = header
