"""Logging in: the result of a login (in its own jar, so a failed one changes nothing), who performs it, how often."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import requests

from argosy.cookies import jar
from argosy.cookies.jar import Jar
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, SessionRecord, origin_of

#: A session is renewed this many seconds before its tokens expire, as a request under way may take a while; but at most
#: this share of their lifetime, for tokens that live for a minute or two.
MARGIN, MARGIN_SHARE = 60.0, 0.2

#: After this many logins, over all sessions, that the service did not accept, a run makes no more: they lock accounts.
MOST_FAILED = 3

#: Why a session whose login failed is not logged in again.
FAILED_BEFORE = "the service did not accept its login earlier in this run"

#: A login is about to start; the service did not accept it; it did not reach the service; or a request was accepted after it.
LoginStep = Literal["login", "login-failed", "login-unsent", "login-progressed"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The result of a login or a refresh; the fields are those of `SessionRecord`."""

    cookies: Jar = ()
    headers: tuple[HeaderToken, ...] = ()
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires: float = 0.0
    due: float = 0.0
    user_agent: str = ""


#: Called with the session's cookies if the service refuses: even that response may bring a new token.
Answered = Callable[[Jar], None]


class Authority:
    """Makes, renews and ends sessions: with a function that logs in, or in a subclass that can do more."""

    def __init__(self, login: Callable[[], Jar]) -> None:
        self._login = login

    def log_in(self, record: SessionRecord) -> Credentials:
        """Make a new session to replace the recorded one."""
        return Credentials(self._login())

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return whether a session can be renewed without a login."""
        return False

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Renew a session. It is marked, as the request may spend its credentials, and this is called once."""
        raise NotImplementedError

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """End a session at the service, under the mark as well; return whether the service offers that."""
        return False


class NewSession:
    """A session that is being logged in or renewed; satisfies `argosy.LoginSession`.

    `http` sends the login's requests and puts their cookies into `cookies`; `number` counts sessions from 1.
    """

    def __init__(self, http: requests.Session, number: int = 1) -> None:
        self.http = http
        self.number = number
        self.on_token: Callable[[str], None] = lambda value: None
        self.login_cookies: tuple[str, ...] = ()
        self._cookies: Jar = ()
        self._headers: dict[str, HeaderToken] = {}
        self._credentials: dict[str, str] = {}
        self.before: Mapping[str, str] = {}  # the credentials of the session that a login replaces
        self._expires = self._due = 0.0

    @property
    def cookies(self) -> Jar:
        """The jar; `on_token` is called with each value put into it."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Jar) -> None:
        for cookie in cookies:
            if cookie not in self._cookies:
                self.on_token(cookie.value)
        self._cookies = cookies

    @property
    def credentials(self) -> Mapping[str, str]:
        """What the plugin keeps with the session; at a login, with the session before."""
        return MappingProxyType({**self.before, **self._credentials})

    @property
    def headers(self) -> Mapping[str, str]:
        """The header tokens."""
        return {token.name: token.value for token in self._headers.values()}

    def begin_with(self, record: SessionRecord) -> None:
        """Start with the cookies and tokens of a session."""
        self._cookies, self._credentials = record.cookies, dict(record.credentials)
        self.login_cookies = record.login_cookies
        if record.user_agent:
            self.http.headers["User-Agent"] = record.user_agent
        self._headers = {token.name.lower(): token for token in record.headers}

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Add cookies that did not come with a response."""
        kept = self.cookies
        for cookie in cookies:
            kept = jar.put(kept, cookie, 0.0)  # `granted` drops expired ones
        self.cookies = kept

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        """Send a token in a header field, to these origins only."""
        self.on_token(value)
        self.on_token(value.rpartition(" ")[2])
        self._headers[name.lower()] = HeaderToken(name, value, tuple(origin_of(url) for url in origins))

    def keep(self, name: str, value: str) -> None:
        """Keep a value with the session."""
        self.on_token(value)
        self._credentials[name] = value

    def expires_in(self, seconds: float) -> None:
        """Set how long the tokens live, in seconds."""
        lifetime = max(seconds, 0.0)
        self._expires = time.time() + lifetime
        self._due = max(self._expires - min(MARGIN, MARGIN_SHARE * lifetime), 1.0)

    def granted(self) -> Credentials:
        """Return the new session's cookies and tokens."""
        now = time.time()
        cookies = tuple(cookie for cookie in self.cookies if not cookie.expired(now))
        headers = tuple(self._headers.values())
        agent = str(self.http.headers.get("User-Agent", ""))
        return Credentials(cookies, headers, dict(self._credentials), self._expires, self._due, agent)


class LoginLimiter:
    """Limits the logins of a run, over all its sessions, as services limit how many sessions they create.

    At most `most` logins may go without progress. Logins count until a request is accepted on their session: a service
    with short-lived sessions may need many, and one that refuses each new session gets only a few.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        #: Held from the question to the end of the login, so its outcome is known before the next one starts.
        self.turn = threading.Lock()
        self._made: Counter[str] = Counter()  # logins without progress, by session
        self._failed: set[str] = set()
        self._mutex = threading.Lock()

    def tell(self, what: LoginStep, session: str) -> str | None:
        """Record a step of a login; return why a login must not start, if it is about to."""
        with self._mutex:
            if what == "login":
                if session in self._failed:
                    return FAILED_BEFORE
                if len(self._failed) >= MOST_FAILED:
                    return f"the service did not accept {MOST_FAILED} logins in this run"
                if self._made.total() >= self.most:
                    return f"no request was accepted after {self.most} logins in a row"
                self._made[session] += 1
            elif what == "login-failed":
                self._failed.add(session)
            elif what == "login-unsent":
                self._made[session] = max(self._made[session] - 1, 0)
            else:
                del self._made[session]
            return None


class RemoteLoginLimiter(LoginLimiter):
    """The limiter of a run, used from a worker process: `ask` sends a step to the run and waits for the answer."""

    def __init__(self, ask: Callable[[str, str], str | None]) -> None:
        super().__init__(0)
        self._ask = ask

    def tell(self, what: LoginStep, session: str) -> str | None:
        """Tell the run."""
        return self._ask(what, session)
