"""The authorization code grant: a person allows access in a browser, which brings back a code.

RFC 6749 section 4.1 with PKCE (RFC 7636), for programs without a site of their own (RFC 8252): the browser comes back to a
listener on this machine, or the person copies the answer from the browser.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import queue
import re
import socket
import socketserver
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.base import PluginContext
from argosy.toolkit.hosts import is_ip, is_loopback
from argosy_plugins.auth._token_endpoint import TOKEN, refusal_by

#: Where the browser goes with the answer; a loopback URL without a port gets a free one (RFC 8252 section 7.3).
REDIRECT_URI = "http://127.0.0.1/callback"
#: Seconds to wait for the browser.
TIMEOUT = 600.0
#: How often a person may paste something that is no answer.
ATTEMPTS = 3
#: Seconds for a connection to send its request; browsers also open some that they never use.
_REQUEST_TIMEOUT = 10.0
#: One field of each kind (RFC 6749 section 3.1).
_FIELDS = ("state", "iss", "error", "code")
_AGAIN = "Try again: argosy login CONFIG"


class NotThisLogin(Exception):
    """An answer that belongs to another login, or none at all; its text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What the browser is sent to the authorization server with.

    `issuer` is the server's identifier if it is known; `needs_issuer` says that each answer names it (RFC 9207).
    """

    url: str = field(repr=False)
    redirect_uri: str
    state: str = field(repr=False)
    issuer: str | None = None
    needs_issuer: bool = False

    def code_of(self, query: str) -> str:
        """Return the code in the query of an answer.

        Raises NotThisLogin if its state is missing or wrong, and LoginFailed if the server or the person refused.
        """
        try:
            found = parse_qs(query, keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise NotThisLogin("it cannot be read") from None
        if any(len(found.get(name, ())) > 1 for name in _FIELDS):
            raise NotThisLogin("it has a field twice")
        answer = {name: found[name][0] for name in _FIELDS if name in found}
        state = answer.get("state", "")
        if not hmac.compare_digest(state.encode(errors="replace"), self.state.encode()):
            raise NotThisLogin("its state is wrong" if state else "it has no state")
        self._check_issuer(answer)
        if "error" in answer:
            raise _refused(answer["error"])
        return checked_code(answer.get("code", ""))

    def _check_issuer(self, answer: Mapping[str, str]) -> None:
        if self.issuer is None or ("iss" not in answer and not self.needs_issuer):
            return
        if answer.get("iss") != self.issuer:  # RFC 9207 section 2.4
            raise LoginFailed(
                "The answer in the browser came from another authorization server, and its code was not used.",
                hint=f"Log in on a page of {self.issuer} only, or check the option issuer.",
            )


def checked_code(code: str) -> str:
    """Return a code; raise NotThisLogin if it is none."""
    if not TOKEN.match(code):
        raise NotThisLogin("it has no code")
    return code


def _refused(error: str) -> LoginFailed:
    if error == "access_denied":
        return LoginFailed("The login was refused in the browser.", hint=_AGAIN)
    return refusal_by(error, "in the browser")


def check_redirect_uri(uri: str) -> None:
    """Raise ConfigError if a redirect URI is not one, or would carry the code through a network unencrypted."""
    problem = None
    try:
        parts = urlsplit(uri)
        if parts.port == 0:
            problem = "has the port 0"
    except ValueError:
        problem = "has an invalid host or port"
    else:
        if (problem is None and not parts.scheme) or not uri.isascii() or not uri.isprintable() or " " in uri:
            problem = "is not an absolute URI"
        elif "#" in uri:
            problem = "has a fragment"
        elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            problem = "begins with http: and is not on this machine"
    if problem is not None:
        raise ConfigError(
            f"The redirect_uri of the auth oauth2 {problem}.",
            hint=f"Write it as it is registered at the service, such as {REDIRECT_URI}",
        )


def can_listen(redirect_uri: str) -> bool:
    """Return whether a browser on this machine can bring the answer to this program."""
    return urlsplit(redirect_uri).scheme == "http"  # `check_redirect_uri` allows no other host


def finds_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a browser can open a window for the person who runs this program."""
    if not environ.get("BROWSER"):  # which is set where one works in spite of what follows
        if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
            return False
        if sys.platform not in ("darwin", "win32", "cygwin") and not (
            environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
        ):
            return False  # a text browser would take over the terminal
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def get_code(
    begin: Callable[[str], AuthorizationRequest], redirect_uri: str, browser: bool, context: PluginContext
) -> tuple[AuthorizationRequest, str]:
    """Return a code, and the request that it answers; `begin` makes the request for a redirect URI.

    `browser` says whether to open one here. Raises LoginFailed if the login is refused or nothing comes in time.
    """
    ask = context.ask_now
    if can_listen(redirect_uri) and (browser or ask is None):
        with Listener(redirect_uri) as listener:
            request = begin(listener.redirect_uri)
            listener.start(request)
            _invite(_WINDOW if browser else _THIS_MACHINE, request, _WAITING.format(_minutes(TIMEOUT)), context)
            if browser:
                _open(request.url)
            return request, listener.wait(TIMEOUT)
    if ask is None:
        raise LoginFailed(
            "The answer of the authorization server must be pasted, and there is no terminal.",
            hint="Log in at a terminal: argosy login CONFIG",
        )
    request = begin(_with_port(redirect_uri))
    _invite(_WINDOW if browser else _ANY_MACHINE, request, _COPY, context)
    if browser:
        _open(request.url)
    return request, _pasted(request, ask, context)


_WINDOW = "To log in, allow access in the browser window that opens now. If there is none, open this URL:"
_THIS_MACHINE = "To log in, open this URL in a browser on this machine, and allow access:"
_ANY_MACHINE = "To log in, open this URL in a browser on any machine, and allow access:"
_WAITING = "Waiting for the browser, at most {} (Ctrl-C cancels)."
_COPY = (
    "The browser then goes to a page that may not load, which is fine.\n"
    "Copy its whole address, or the code if it shows one."
)
