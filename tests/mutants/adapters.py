"""Adapters with one rule of the lease taken out each."""

from __future__ import annotations

import time
from typing import Any

import requests
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from argosy.cookies import jar
from argosy.session.lease import Lease
from argosy.testing.contracts.store_processes import SESSION
from argosy.transport.adapter import LeasedAdapter
from argosy.transport.sending import Sending


class SendsAgain(LeasedAdapter):
    """Rule 3: lets urllib3 send a request again, with the token of the first time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_retries = Retry(3, allowed_methods=None)


class SettlesGoodAnswersOnly(LeasedAdapter):
    """Rule 4: takes no token from an error or a redirect."""

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        if resp.status != 200:
            resp.headers.discard("Set-Cookie")
        return super().build_response(req, resp)


class TakesLostForUnsent(LeasedAdapter):
    """Rule 6: clears the mark of every request that failed."""

    @staticmethod
    def _give_up(lease: Lease, sending: Sending) -> None:
        lease.unsent()
        lease.end(complete=False)


class TakesUnsentForLost(LeasedAdapter):
    """Rule 3: leaves the mark of every request that failed."""

    @staticmethod
    def _give_up(lease: Lease, sending: Sending) -> None:
        lease.doubt()
        lease.end(complete=False)


class HasNoDeadline(LeasedAdapter):
    """Rule 8: waits for headers as long as they drip."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "deadline": 3600.0})


class BindsTheTokenEarly(LeasedAdapter):
    """Rule 10: takes the token before it queues for the lease."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        record = self.keeper.store.read(SESSION)
        if record is not None and record.logins:
            early = jar.cookie_header(record.cookies, request.url or "", time.time())
            request.early = early  # type: ignore[attr-defined]  # a note for the method below
        return super().send(request, *args, **kwargs)

    @staticmethod
    def _set_cookies(request: requests.PreparedRequest, lease: Lease) -> None:
        header = getattr(request, "early", lease.cookie_header(request.url or ""))
        request.headers["Cookie"] = header
