"""Logging in, in a jar of its own: the session's record changes only when the login has succeeded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Protocol

import requests

from argosy.cookies import jar
from argosy.cookies.jar import Jar
from argosy.errors import ArgosyError, LoginFailed, TransferError
from argosy.http.network import DOWNGRADE_HINT, Downgraded
from argosy.interfaces.auth import Auth
from argosy.models.cookie import Cookie
from argosy.models.session import HeaderToken, SessionRecord, origin_of
from argosy.toolkit.failures import describe_exception, kind_of, never_sent, reason_of
from argosy.toolkit.hosts import host_key

#: What requests raises for a redirect that leads nowhere.
NOT_PLACES = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.TooManyRedirects,
)

#: Seconds before the end of its tokens at which a session is renewed: a request that was under way may take a while.
MARGIN = 60.0
#: The share of a lifetime that this margin is at most, for tokens that live for a minute or two.
MARGIN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login or a refresh gave; the fields are those of `SessionRecord`."""

    cookies: Jar = ()
    headers: tuple[HeaderToken, ...] = ()
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    expires: float = 0.0
    due: float = 0.0


#: Told the session's cookies where the service refused: an answer that says no may bring a new token, too.
Answered = Callable[[Jar], None]


class Authority(Protocol):
    """Makes sessions, and renews them."""

    def log_in(self, record: SessionRecord) -> Credentials:
        """Make a new session in the place of the one that is recorded."""

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return whether a session has what it can be renewed with, without a login."""

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Renew it; what that takes may be spent by it, so it is sent once, and under the session's mark."""

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """End it at the service, under the mark as well; return whether the service offers that."""


#: What logs in where there is nothing to refresh: it returns the cookies of the new session.
LogIn = Callable[[], Jar]


class Simple:
    """A plain function that logs in, as an `Authority`."""

    def __init__(self, login: LogIn) -> None:
        self._login = login

    def log_in(self, record: SessionRecord) -> Credentials:
        """Log in."""
        return Credentials(self._login())

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return False."""
        return False

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Log in."""
        return self.log_in(record)

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """Return False."""
        return False


class NewSession:
    """A session that is being logged in or renewed; satisfies `argosy.LoginSession`.

    Parameters
    ----------
    http
        Sends the login's requests, and gives the jar what they bring.
    number
        Which session it is for, from 1.
    """

    def __init__(self, http: requests.Session, number: int = 1) -> None:
        self.http = http
        self.number = number
        self.on_token: Callable[[str], None] = lambda value: None
        self.login_cookies: tuple[str, ...] = ()
        self._cookies: Jar = ()
        self._headers: dict[str, HeaderToken] = {}
        self._credentials: dict[str, str] = {}
        self._before: Mapping[str, str] = {}
        self._expires = self._due = 0.0

    @property
    def cookies(self) -> Jar:
        """What is in the jar; `on_token` is told each value that comes into it, so that it can be redacted."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Jar) -> None:
        for cookie in cookies:
            if cookie not in self._cookies:
                self.on_token(cookie.value)
        self._cookies = cookies

    @property
    def credentials(self) -> Mapping[str, str]:
        """What was kept with the session; at a login, with the one before."""
        return MappingProxyType({**self._before, **self._credentials})

    def begin_with(self, record: SessionRecord) -> None:
        """Begin with what a session has."""
        self._cookies, self._credentials = record.cookies, dict(record.credentials)
        self.login_cookies = record.login_cookies
        self._headers = {token.name.lower(): token for token in record.headers}

    def replace(self, record: SessionRecord) -> None:
        """Begin with nothing, but know the credentials of the session before."""
        self._before = MappingProxyType(record.credentials)

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Put cookies into the jar that did not come with a response."""
        kept = self.cookies
        for cookie in cookies:
            kept = jar.put(kept, cookie, 0.0)  # what has ended is taken out when the login is over
        self.cookies = kept

    def add_header(self, name: str, value: str, origins: Iterable[str]) -> None:
        """Send a token in a header field, to these origins alone."""
        self.on_token(value)
        self.on_token(value.rpartition(" ")[2])
        self._headers[name.lower()] = HeaderToken(name, value, tuple(origin_of(url) for url in origins))

    def keep(self, name: str, value: str) -> None:
        """Keep something with the session."""
        self.on_token(value)
        self._credentials[name] = value

    def expires_in(self, seconds: float) -> None:
        """Say how long the tokens live."""
        now = time.time()
        self._expires = now + max(seconds, 0.0)
        self._due = max(self._expires - min(MARGIN, MARGIN_SHARE * max(seconds, 0.0)), 1.0)

    def granted(self) -> Credentials:
        """Return what the session has now."""
        now = time.time()
        return Credentials(
            tuple(cookie for cookie in self.cookies if not cookie.expired(now)),
            tuple(self._headers.values()),
            dict(self._credentials),
            self._expires,
            self._due,
        )


def _to(error: requests.RequestException) -> str:
    """Return where a request was to go, for a sentence; nothing where that is not known."""
    through_proxy = isinstance(error, requests.exceptions.ProxyError)
    url = None if error.request is None or through_proxy else error.request.url
    return f" to {host_key(url)}" if url else ""


class PluginLogin:
    """What an auth plugin does for a session, with its failures in one form.

    Parameters
    ----------
    auth
        The plugin that knows how.
    open_session
        Makes an empty session with HTTP on it.
    """

    def __init__(self, auth: Auth, open_session: Callable[[], NewSession]) -> None:
        self._auth = auth
        self._open = open_session

    def log_in(self, record: SessionRecord) -> Credentials:
        """Log in."""
        return self._run(self._auth.login, "login", "logging in", lambda new: new.replace(record)).granted()

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return whether the session has what it can be renewed with."""
        try:
            return bool(self._auth.can_refresh(MappingProxyType(record.credentials)))
        except (Exception, SystemExit) as error:
            raise self._fault("looking at a session", error) from None

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Renew the session with what it has."""
        begin = partial(NewSession.begin_with, record=record)
        return self._run(self._auth.refresh, "refresh", "refreshing the session", begin, answered).granted()

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """End the session at the service; return whether the service offers that."""
        ended: list[bool] = []
        begin = partial(NewSession.begin_with, record=record)

        def leave(session: NewSession) -> None:
            ended.append(self._auth.logout(session))

        self._run(leave, "logout", "logging out", begin, answered)
        return bool(ended[0])

    def _run(
        self,
        step: Callable[[NewSession], None],
        what: str,
        doing: str,
        begin: Callable[[NewSession], None],
        answered: Answered = lambda cookies: None,
    ) -> NewSession:
        opened = self._open()
        opened.on_token = self._auth.context.on_secret
        begin(opened)
        try:
            step(opened)
        except LoginFailed:
            answered(opened.cookies)
            raise
        except ArgosyError:
            raise
        except Downgraded:
            raise LoginFailed(
                f"The {what} was broken off: a redirect leads from https to http.", hint=DOWNGRADE_HINT
            ) from None
        except NOT_PLACES:
            raise LoginFailed(
                f"The {what} was broken off: the service redirects to a URL that is not valid, or in a circle.",
                hint="Check the login in the browser.",
            ) from None
        except requests.RequestException as error:
            # the service is out of reach: that is no answer to the login, and may be different later
            # (what went out of it is not known; only where plainly nothing did, its kind says so)
            raise TransferError(
                f"The {what} could not be sent{_to(error)}: {reason_of(error)}.",
                kind=kind_of(error, sent=not isinstance(error, requests.ConnectTimeout)),
                retryable=True,
                unsent=never_sent(error)
                or isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError),
            ) from None
        except (Exception, SystemExit) as error:
            raise self._fault(doing, error) from None
        finally:
            opened.http.close()
        return opened

    def _fault(self, doing: str, error: BaseException) -> LoginFailed:
        return self._failed(doing, describe_exception(error, self._auth))

    def _failed(self, doing: str, how: str) -> LoginFailed:
        return LoginFailed(
            f"The auth plugin {self._auth.name!r} failed while {doing}: {how}",
            hint="Report it to the plugin's author.",
            plugin=self._auth.name,
        )
