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
import time
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
#: Seconds between two checks for a signal.
SIGNAL_CHECK = 0.5
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
        if "error" not in answer and "code" not in answer:
            raise NotThisLogin("it has no code")  # such as the URL that the login began with
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


def _invite(before: str, request: AuthorizationRequest, after: str, context: PluginContext) -> None:
    context.notice(f"{before}\n\n{request.url}\n\n{after}")
    context.on_secret(request.state)  # shown once, as a part of the URL


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes"


def _open(url: str) -> None:
    """Open a browser; some return only when their window is closed."""

    def run() -> None:
        with contextlib.suppress(webbrowser.Error, OSError):  # the person opens the URL instead
            webbrowser.open(url)

    threading.Thread(target=run, name="argosy-browser", daemon=True).start()


# -- an answer that a person copies

_ADDRESS = re.compile(r"://|(?:^|[?&])(?:code|state|error)=")


def _pasted(request: AuthorizationRequest, ask: Callable[[str], str], context: PluginContext) -> str:
    for _ in range(ATTEMPTS):
        given = ask("Address or code").strip()
        try:
            # PKCE binds a bare code to this login: the server exchanges no other one
            code = request.code_of(_query_of(given)) if _ADDRESS.search(given) else checked_code(given)
        except NotThisLogin as problem:
            context.notice(f"This is not the answer to this login: {problem}.")
        else:
            context.on_secret(code)
            return code
    raise LoginFailed("No answer of the authorization server was pasted.", hint=_AGAIN)


def _query_of(given: str) -> str:
    try:
        return urlsplit(given).query or given.partition("?")[2] or given
    except ValueError:
        raise NotThisLogin("its address is invalid") from None


# -- an answer that the browser brings


def _with_port(uri: str) -> str:
    """Return a redirect URI with a free port if it is on this machine and has none."""
    if not can_listen(uri):
        return uri
    if urlsplit(uri).port is not None:
        return uri
    with Listener(uri) as listener:
        return listener.redirect_uri


class Listener:
    """Waits on a loopback address for the one request that answers a login (RFC 8252 section 7.3).

    Raises LoginFailed if the port of the redirect URI is in use.
    """

    def __init__(self, redirect_uri: str) -> None:
        parts = urlsplit(redirect_uri)
        host = parts.hostname or ""
        address = host if is_ip(host) else "127.0.0.1"
        try:
            self._server = _Server(address, parts.port or 0, parts.path or "/")
        except OSError as error:
            raise LoginFailed(
                f"The port {parts.port or '0'} of {address}, where the browser brings the answer, cannot be used:"
                f" {error.strerror or error}.",
                hint="Is another argosy login running? End it, or register a redirect_uri with another port,"
                " or set browser to false and paste the answer.",
            ) from None
        port = self._server.server_address[1]
        netloc = parts.netloc if parts.port is not None else f"{parts.netloc.rstrip(':')}:{port}"
        #: The redirect URI, with the port.
        self.redirect_uri = parts._replace(netloc=netloc).geturl()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def start(self, request: AuthorizationRequest) -> None:
        """Accept requests; only one with the state of this request is an answer."""
        self._server.expected = request
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="argosy-redirect", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> str:
        """Return the code of the answer; raise LoginFailed if it is a refusal, or nothing comes in time."""
        end = time.monotonic() + seconds
        outcome: str | LoginFailed | None = None
        while outcome is None and time.monotonic() < end:
            # Python notices a Ctrl-C that comes just before a wait only after it
            with contextlib.suppress(queue.Empty):
                outcome = self._server.outcomes.get(timeout=min(SIGNAL_CHECK, seconds))
        if outcome is None:
            stray = self._server.stray
            raise LoginFailed(
                f"No answer came from the browser within {_minutes(seconds)}."
                + (f" Another answer was refused: {stray}." if stray else ""),
                hint="Try again: argosy login CONFIG. If the browser is on another machine, set browser to false.",
            )
        if isinstance(outcome, LoginFailed):
            raise outcome
        return outcome


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # a full queue costs the browser a second
    # a port of a login a minute ago; elsewhere, this would let other programs take the port over
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(self, address: str, port: int, path: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.path = path
        self.expected: AuthorizationRequest | None = None
        self.outcomes: queue.SimpleQueue[str | LoginFailed] = queue.SimpleQueue()
        self.answered = threading.Lock()  # taken by the answer
        self.stray = ""  # what was wrong with an answer to another login
        super().__init__((address, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that break."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_TIMEOUT
    server_version, sys_version = "argosy", ""

    def do_GET(self) -> None:
        """Take an answer."""
        path, _, query = self.path.partition("?")
        request = self.server.expected
        if path != self.server.path or request is None:
            self._reply(404, "There is nothing here", "This address only takes the answer to a login.")
            return
        outcome: str | LoginFailed
        try:
            outcome = request.code_of(query)
        except NotThisLogin as problem:
            self.server.stray = str(problem)
            self._reply(400, "This is not the answer to this login", "Use the page that argosy opened last.")
            return
        except LoginFailed as error:
            outcome = error
        if not self.server.answered.acquire(blocking=False):
            self._reply(400, "This login was answered before", "You can close this window.")
            return
        try:
            if isinstance(outcome, LoginFailed):
                self._reply(200, "Not logged in", "The terminal says why. You can close this window.")
            else:
                self._reply(200, "Thank you", "argosy continues in the terminal. You can close this window.")
        finally:
            self.server.outcomes.put(outcome)  # after the page, as the program may end now

    def _reply(self, status: int, title: str, text: str) -> None:
        page = _PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Log nothing: the request contains the code."""


_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="data:,"></head>
<body style="font-family: sans-serif; margin: 3em"><h1>{title}</h1><p>{text}</p></body>
</html>
"""
