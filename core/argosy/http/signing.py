"""Signing requests: what an auth plugin's signer adds to each request, once the request has its lease."""

from __future__ import annotations

import requests
from requests.auth import AuthBase

from argosy.errors import PluginError
from argosy.models.session import origin_of
from argosy.toolkit.failures import describe_exception


class PluginSigner:
    """The signer of an auth plugin."""

    def __init__(self, signer: AuthBase, plugin: str) -> None:
        self._signer = signer
        self._plugin = plugin

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the signed request: this one or another."""
        try:
            signed: object = self._signer(request)
        except (Exception, SystemExit) as error:
            raise self.fault(f"failed: {describe_exception(error, self._signer)}") from None
        if not isinstance(signed, requests.PreparedRequest):
            raise self.fault(f"returned {type(signed).__name__} instead of the request")
        if origin_of(signed.url or "") != origin_of(request.url or ""):
            raise self.fault("sent a request to another origin")
        return signed

    def fault(self, how: str) -> PluginError:
        """Return the error of a signer that broke its contract; nothing was sent."""
        return PluginError(
            f"The signer of the auth plugin {self._plugin!r} {how}.",
            hint="Report it to the plugin's author.",
            plugin=self._plugin,
        )


class Signing:
    """How one request is signed, and signed again after a redirect. Copies of a request do not have it."""

    def __init__(self, signer: PluginSigner, request: requests.PreparedRequest) -> None:
        self.signer = signer
        self._hooks = request.hooks
        self.attach(request)

    def attach(self, request: requests.PreparedRequest) -> None:
        """Have a request signed when it gets its lease, without the hooks that the signer added to another one."""
        request.hooks = {event: list(hooks) for event, hooks in self._hooks.items()}
        request.argosy_signing = self  # type: ignore[attr-defined]  # a note for `Sending`

    def sign(
        self, request: requests.PreparedRequest, credentials: dict[str, str]
    ) -> tuple[dict[str, str], requests.PreparedRequest]:
        """Return the credentials with the fields that the signer added, and the signed request.

        The request itself gets only the signer's hooks.
        """
        copy = request.copy()
        copy.headers.update(credentials)
        signed = self.signer.sign(copy)
        if signed.body is not request.body:
            signed.prepare_content_length(signed.body)
        return {n: v for n, v in signed.headers.items() if request.headers.get(n) != v}, signed


def signing_of(response: requests.Response) -> Signing | None:
    """Return how the request of a response was signed; a signer may have sent it again (Digest)."""
    requests_sent = (response.request, *(hop.request for hop in reversed(response.history)))
    return next(filter(None, (getattr(each, "argosy_signing", None) for each in requests_sent)), None)
