"""Signing requests with the signer of an auth plugin, once they have their lease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

    def attach(
        self, request: requests.PreparedRequest, redirected: requests.PreparedRequest | None = None
    ) -> None:
        """Have a request signed when it gets its lease; if redirected, without the hooks of the first signature."""
        hooks: Any = getattr(redirected, "argosy_hooks", request.hooks)
        request.argosy_signer, request.argosy_hooks = self, hooks  # type: ignore[attr-defined]  # notes; not copied
        request.hooks = {event: list(each) for event, each in hooks.items()}

    def sign(
        self, request: requests.PreparedRequest, credentials: Mapping[str, str]
    ) -> tuple[dict[str, str], requests.PreparedRequest]:
        """Return the credentials with the fields that the signer added, and the signed request.

        The request itself gets only the signer's hooks.
        """
        copy = request.copy()
        copy.headers.update(credentials)
        try:
            signed: object = self._signer(copy)
        except (Exception, SystemExit) as error:
            raise self.fault(f"failed: {describe_exception(error, self._signer)}") from None
        if not isinstance(signed, requests.PreparedRequest):
            raise self.fault(f"returned {type(signed).__name__} instead of the request")
        if origin_of(signed.url or "") != origin_of(request.url or ""):
            raise self.fault("sent a request to another origin")
        if signed.body is not request.body:
            signed.prepare_content_length(signed.body)
        return {n: v for n, v in signed.headers.items() if request.headers.get(n) != v}, signed

    def fault(self, how: str) -> PluginError:
        """Return the error of a signer that broke its contract; nothing was sent."""
        return PluginError(
            f"The signer of the auth plugin {self._plugin!r} {how}.",
            hint="Report it to the plugin's author.",
            plugin=self._plugin,
        )
