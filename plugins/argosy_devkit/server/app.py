"""The library: from a request to its response, and the life of a connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import quote

from argosy_devkit.fault import Fault
from argosy_devkit.server import effects, tokens
from argosy_devkit.server.answer import Answer, Ending, of_content, plain
from argosy_devkit.server.content import Page, find
from argosy_devkit.server.counters import Counters
from argosy_devkit.server.faults import Faults
from argosy_devkit.server.http import BadRequest, Connection, Request
from argosy_devkit.server.login import login_page, post_login
from argosy_devkit.server.sender import send
from argosy_devkit.server.sessions import Pass, Sessions
from argosy_devkit.settings import LeaseMode, ServerSettings, TokenCarrier

_CONTROL = "/-/control/"
_STATUS = re.compile(r"/status/([2-5]\d\d)")


def _nothing() -> None:
    """No token becomes valid with this response."""


class Library:
    """The server without its listening socket; `key` authorizes control requests."""

    def __init__(self, settings: ServerSettings, key: str) -> None:
        self._settings = settings
        self._key = key
        self._counters = Counters()
        self._sessions = Sessions(settings, self._counters)
        self._faults = Faults(settings.faults, settings.seed, self._counters)
        self._versions: Counter[str] = Counter()

    async def serve(self, connection: Connection) -> None:
        """Answer the requests of one connection until it ends."""
        ending = Ending.CLOSE
        try:
            while (request := await connection.request()) is not None:
                ending = await self._exchange(connection, request)
                if ending is not Ending.KEEP:
                    break
        except BadRequest as error:
            refusal = plain(400, f"Bad request: {error}.", [("Connection", "close")])
            with contextlib.suppress(OSError):
                await send(connection, refusal, Counters(), self._now(), _nothing)
        except OSError:
            pass  # the client left early; the counters show that the body is incomplete
        finally:
            (connection.reset if ending is Ending.RESET else connection.close)()

    async def _exchange(self, connection: Connection, request: Request) -> Ending:
        counters = self._counters
        if request.path.startswith(_CONTROL):
            await send(connection, self._control(request), Counters(), self._now(), _nothing)
            return Ending.KEEP if request.keep_alive else Ending.CLOSE
        counters.requests += 1
        counters.requests_by_path[request.path] += 1
        answer, commit = self._answer(request)
        try:
            return await self._deliver(connection, request, answer, commit)
        finally:
            answer.content.close()

    async def _deliver(
        self, connection: Connection, request: Request, answer: Answer, commit: Callable[[], None]
    ) -> Ending:
        if self._settings.ttfb + answer.late:
            await asyncio.sleep(self._settings.ttfb + answer.late)
        if answer.silent:
            if answer.ending is Ending.HANG:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.until_closed(), answer.hang_seconds)
            return Ending.CLOSE if answer.ending is Ending.HANG else answer.ending
        answer.body = answer.body and request.method != "HEAD" and answer.status not in (204, 304)
        answer.rate = answer.rate or self._settings.rate
        if not request.keep_alive and answer.ending is Ending.KEEP:
            answer.ending = Ending.CLOSE
            answer.headers.append(("Connection", "close"))
        whole = await send(connection, answer, self._counters, self._now(), commit)
        if whole and answer.body and answer.library:
            self._counters.bodies_completed[request.path] += 1
        if answer.ending is Ending.CLOSE and answer.hang_seconds:
            await asyncio.sleep(answer.hang_seconds)
        return answer.ending

    def _now(self) -> float:
        return time.time() + self._settings.date_offset

    # From here on nothing waits: judging a request and replacing the token are one step.

    def _answer(self, request: Request) -> tuple[Answer, Callable[[], None]]:
        if request.method not in ("GET", "HEAD", "POST"):
            return plain(405, "Only GET, HEAD and POST work here.", [("Allow", "GET, HEAD, POST")]), _nothing
        if request.path == "/login":
            return self._login(request), _nothing
        verdict = self._check(request)
        if verdict is not None and not verdict.accepted:
            return self._refusal(request, stale=verdict.replaced), _nothing
        session = None if verdict is None else verdict.session
        fault = self._faults.strike(request, session=None if session is None else session.login)
        if fault is not None and fault.kind == "login_page" and session is not None:
            session.ended = True
            self._counters.refused += 1
            return login_page(self._sessions), _nothing
        self._counters.accepted += 1
        answer = self._content(request, fault)
        commit = _nothing
        if verdict is not None and session is not None:
            self._counters.accepted_by_login[str(session.login)] += 1
            if tokens.can_replace(answer, request, self._settings):
                brought, commit = self._sessions.rotate(session, old=verdict.replaced)
                tokens.write(answer, brought, self._settings)
            if fault is not None and fault.kind == "delete_cookie":
                session.ended = True
                attributes = self._settings.cookie_attributes
                answer.set_cookies = [f"{name}={attributes}; Max-Age=0" for name in self._settings.cookie_names]
                answer.token_fields = []
        if noise := self._settings.noise_cookie:
            name = noise if isinstance(noise, str) else "visits"
            answer.set_cookies.append(f"{name}={self._counters.requests}; Path=/")
        if self._settings.commit == "headers":
            commit()
            commit = _nothing
        if fault is not None:
            effects.apply(fault, answer, request)
        return answer, commit

    def _check(self, request: Request) -> Pass | None:
        """Judge and count the tokens of a request; None if no login is needed."""
        if not self._settings.needs_login:
            return None
        verdict = self._sessions.check(tokens.read(request, self._settings))
        self._counters.replaced_tokens_sent += verdict.replaced
        if not verdict.accepted:
            if verdict.carried:
                self._counters.refused += 1
            else:
                self._counters.anonymous += 1
        return verdict

    def _refusal(self, request: Request, *, stale: bool) -> Answer:
        if self._settings.carrier == TokenCarrier.NONCE:
            asked = tokens.challenge(self._sessions.nonce(), stale=stale)
            return plain(401, "Log in.", [("WWW-Authenticate", asked)])
        match self._settings.lease_mode:
            case LeaseMode.SOFT:
                return login_page(self._sessions)
            case LeaseMode.REDIRECT:
                return plain(302, "Log in.", [("Location", f"/login?next={quote(request.target, safe='')}")])
        return plain(401, "Log in.", [("WWW-Authenticate", 'Form realm="library"')])

    def _login(self, request: Request) -> Answer:
        fault = self._faults.strike(request, only_named=True)
        if request.method == "POST":
            answer = post_login(request, self._sessions, self._counters)
        else:
            answer = login_page(self._sessions)
        if fault is not None:
            effects.apply(fault, answer, request)
        return answer

    def _content(self, request: Request, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind == "etag_change":
            self._versions[request.path] += 1
        if fault is not None and fault.kind == "ignore_range":
            request.headers.pop("range", None)
        if (status := _STATUS.fullmatch(request.path)) is not None:
            return plain(int(status.group(1)), "As you like it.")
        content = find(request, self._settings.root, self._versions[request.path])
        if content is None:
            return plain(404, "This library does not have it.")
        answer = of_content(content, request)
        for name, value in self._settings.headers:
            answer.set_header(name, value)
        hop = effects.next_hop(request)
        if hop is not None:
            effects.redirect_to(answer, hop)
        return answer

    def _control(self, request: Request) -> Answer:
        given = request.headers.get("x-control-key", "")
        if not secrets.compare_digest(given.encode(), self._key.encode()) or request.method != "POST":
            return plain(404, "This library does not have it.")
        match request.path.removeprefix(_CONTROL):
            case "stats":
                data = json.dumps(self._counters.to_json(), ensure_ascii=True).encode()
                return Answer(200, Page(data, "application/json"), 0, len(data))
            case "reset":
                self._counters.reset()
            case "expire":
                self._sessions.end(json.loads(request.body) if request.body else None)
            case "change":
                self._change(ServerSettings.from_json(json.loads(request.body)))
            case _:
                return plain(404, "Unknown control.")
        return plain(200, "Done.")

    def _change(self, settings: ServerSettings) -> None:
        self._settings = self._sessions.settings = settings
        self._faults = Faults(settings.faults, settings.seed, self._counters)


def library_of(line: bytes) -> tuple[Library, str, int]:
    """Return the library for a line of settings, and the host and port to listen on."""
    value = json.loads(line)
    settings = ServerSettings.from_json(value["settings"])
    if settings.root is not None:
        settings.root.resolve(strict=True)
    return Library(settings, value["key"]), str(value["host"]), int(value["port"])
