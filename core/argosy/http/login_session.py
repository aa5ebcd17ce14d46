"""The HTTP session of a login: cookies in a jar of its own, no lease."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from urllib3.response import BaseHTTPResponse

from argosy.cookies import jar
from argosy.http.body import drop
from argosy.http.limits import OF_A_LOGIN, BodyLimits
from argosy.http.network import Network, is_downgraded
from argosy.http.request import Adapter, Reuse
from argosy.http.session import PlainSession
from argosy.leasing.login import NewSession


class _ScratchAdapter(Adapter):
    """Sends with the cookies of a jar, and puts into it what responses bring."""

    target: NewSession

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        self.body_limits = BodyLimits(total=timeout[1], size=OF_A_LOGIN)
        super().__init__(Reuse(allowed=False), max_retries=0)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request."""
        header = None
        if not is_downgraded(request):
            header = jar.cookie_header(self.target.cookies, request.url or "", time.time())
        if header is None:
            request.headers.pop("Cookie", None)
        else:
            request.headers["Cookie"] = header
        response = super().send(request, stream, timeout or self._timeout, verify, cert, proxies)
        if response.is_redirect:
            drop(response)
        return response

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        """Take the cookies of each hop."""
        target, now = self.target, time.time()
        headers = () if is_downgraded(req) else resp.headers.getlist("Set-Cookie")
        cookies = jar.settle(target.cookies, headers, req.url or "", now, resp.headers.get("Date"))
        target.cookies = jar.within_bounds(cookies, target.login_cookies, now)
        return super().build_response(req, resp)


def open_session(timeout: tuple[float, float], number: int = 1, network: Network = Network()) -> NewSession:
    """Return an empty session to log in, with HTTP on it.

    Parameters
    ----------
    timeout
        Seconds to connect, for the head of each answer, and for its body.
    number
        Which session it is for, from 1.
    network
        How it reaches the service.
    """
    session: Any = PlainSession(network)
    opened = NewSession(session, number)
    adapter = _ScratchAdapter(timeout)
    adapter.target = opened
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return opened
