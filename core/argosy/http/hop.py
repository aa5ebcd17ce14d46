"""One request on its way under a lease: its credentials, its deadline, and what is known about it if it fails."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import AuthBase

from argosy.errors import PluginError
from argosy.interfaces.auth import SessionSigner
from argosy.interfaces.transport import Hop, ResponseHeaders
from argosy.leasing.lease import Lease
from argosy.models.session import origin_of
from argosy.ratelimit.limiter import Permit
from argosy.toolkit.failures import describe_exception

if TYPE_CHECKING:
    from argosy.http.adapter import LeasedAdapter


def is_downgraded(request: requests.PreparedRequest) -> bool:
    """Return whether a request goes over http because a redirect led there from https."""
    return getattr(request, "argosy_redirected_by", None) is not None


class PluginSigner:
    """Signs requests with the signer of an auth plugin, once they have their lease."""

    def __init__(self, signer: AuthBase, plugin: str) -> None:
        self._signer = signer
        self._plugin = plugin
        self.proves = getattr(signer, "proves", True)  # see `SessionSigner`

    def attach(self, request: requests.PreparedRequest, redirected: requests.PreparedRequest | None = None) -> None:
        """Have a request signed when it gets its lease; if redirected, without the hooks of the first signature."""
        hooks: Any = getattr(redirected, "argosy_hooks", request.hooks)
        request.argosy_signer, request.argosy_hooks = self, hooks  # type: ignore[attr-defined]  # notes; not copied
        request.hooks = {event: list(each) for event, each in hooks.items()}

    def sign(
        self, request: requests.PreparedRequest, credentials: Mapping[str, str], kept: Mapping[str, str]
    ) -> requests.PreparedRequest:
        """Return a signed copy of the request, with its credentials; `kept` are those kept with the session."""
        copy = request.copy()  # the request itself gets only the signer's hooks
        copy.headers.update(credentials)
        signer = self._signer
        try:
            signed: object = signer.sign(copy, kept) if isinstance(signer, SessionSigner) else signer(copy)
        except (Exception, SystemExit) as error:
            raise self.fault(f"failed: {describe_exception(error, self._signer)}") from None
        if not isinstance(signed, requests.PreparedRequest):
            raise self.fault(f"returned {type(signed).__name__} instead of the request")
        if origin_of(signed.url or "") != origin_of(request.url or ""):
            raise self.fault("sent a request to another origin")
        if signed.body is not request.body:
            signed.prepare_content_length(signed.body)
        return signed

    def fault(self, how: str) -> PluginError:
        """Return the error of a signer that broke its contract; nothing was sent."""
        text = f"The signer of the auth plugin {self._plugin!r} {how}."
        return PluginError(text, hint="Report it to the plugin's author.", plugin=self._plugin)


class LeasedHop(Hop):
    """One request of a `LeasedAdapter`."""

    def __init__(self, request: requests.PreparedRequest, adapter: LeasedAdapter, permit: Permit) -> None:
        self.request = request
        self.deadline = math.inf
        self.lease: Lease | None = None
        self.sent_at = self.answered_at = 0.0  # seconds since the epoch
        self.is_sent = False
        self.headers: ResponseHeaders | None = None
        self._url = request.url or ""
        self._is_bare = is_downgraded(request)  # without credentials, even if the session has some for its URL
        self._manager = adapter.manager
        self._permit = permit
        self._seconds = adapter.deadline

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def authorize(self) -> requests.PreparedRequest:
        """Take the lease, and return the request with its credentials; the deadline runs from now on."""
        lease = self.lease = self._manager.lease(self._url, self._permit.admit)
        self.sent_at = time.time()
        self.deadline = time.monotonic() + self._seconds
        request = self.request
        if lease.user_agent:
            request.headers["User-Agent"] = lease.user_agent
        if not self._is_bare:
            credentials = lease.credentials(self._url)
            signer: PluginSigner | None = getattr(request, "argosy_signer", None)
            if signer is not None:
                request = self._sign(signer, lease, credentials)
            elif credentials:
                request = request.copy()
                request.headers.update(credentials)
        self._manager.check()
        return request

    def _sign(self, signer: PluginSigner, lease: Lease, credentials: Mapping[str, str]) -> requests.PreparedRequest:
        """Sign under the lease; a signer that does not return loses it at the deadline, so others can send."""
        first = threading.Lock()  # taken by the signer that returns, or by the deadline

        def expire() -> None:
            if first.acquire(blocking=False):
                lease.unsent()
                lease.end(complete=False)

        timer = threading.Timer(self._seconds, expire)
        timer.daemon = True
        if lease.is_exclusive:
            timer.start()
        try:
            return signer.sign(self.request, credentials, lease.kept)
        finally:
            timer.cancel()
            if not first.acquire(blocking=False):
                timer.join()
                raise signer.fault(f"did not return within {self._seconds:g} s")

    def sending(self) -> None:
        """Record that the request is sent; a second time, somebody would send a token that may be replaced by now."""
        if self.is_sent:
            raise ConnectionResetError("the connection was closed before the response")
        self.is_sent = True

    def received(self, headers: ResponseHeaders) -> None:
        """Store the new token, and release the session unless the body has to come first."""
        assert self.lease is not None  # noqa: S101 - the contract of transports
        cookies, fields = ((), ()) if self._is_bare else (headers.all("Set-Cookie"), headers.fields)
        self.lease.settle(cookies, self._url, next(iter(headers.all("Date")), None), fields)
        self.headers, self.answered_at = headers, time.time()
        if not self.lease.to_end:
            self.lease.end()

    def give_up(self) -> None:
        """End the lease of a request that failed; a settled lease stays settled."""
        lease = self.lease
        if lease is None:
            return
        try:
            if self.is_sent:
                lease.doubt()
            else:
                lease.unsent()
        finally:
            lease.end(complete=False)
