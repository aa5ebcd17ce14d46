"""Adapters with one rule of the lease taken out each."""

from __future__ import annotations

from typing import Any

import requests
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from argosy.http.adapter import LeasedAdapter
from argosy.http.connections import Sending


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
    def _give_up(sending: Sending) -> None:
        if sending.lease is not None:
            sending.lease.unsent()
            sending.lease.end(complete=False)


class HasNoDeadline(LeasedAdapter):
    """Rule 8: waits for headers as long as they drip."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "deadline": 3600.0})
