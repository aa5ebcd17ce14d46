"""Adapters with one rule of the lease taken out each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import requests

from argosy.http.adapter import LeasedAdapter
from argosy.http.hop import LeasedHop
from argosy.interfaces import Incoming, ResponseHeaders


class SendsAgain(LeasedAdapter):
    """Rule 3: sends a request again, with the token of the first time."""

    def pass_on(self, hop: Any, *args: Any, **options: Any) -> Incoming:
        request = hop.authorize()
        hop.authorize = lambda: request
        try:
            return super().pass_on(hop, *args, **options)
        except requests.RequestException:
            hop.is_sent = False
            return super().pass_on(hop, *args, **options)


class SettlesGoodAnswersOnly(LeasedAdapter):
    """Rule 4: takes no token from an error or a redirect."""

    def pass_on(self, hop: Any, *args: Any, **options: Any) -> Incoming:
        received = hop.received

        def only_good(headers: ResponseHeaders) -> None:
            fields = headers.fields if headers.status == 200 else ()
            received(replace(headers, fields=fields))

        hop.received = only_good
        return super().pass_on(hop, *args, **options)


class TakesLostForUnsent(LeasedAdapter):
    """Rule 6: clears the mark of every request that failed."""

    def pass_on(self, hop: Any, *args: Any, **options: Any) -> Incoming:
        def give_up() -> None:
            hop.is_sent = False
            LeasedHop.give_up(hop)

        hop.give_up = give_up
        return super().pass_on(hop, *args, **options)


class HasNoDeadline(LeasedAdapter):
    """Rule 8: waits for headers as long as they drip."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "deadline": 3600.0})
