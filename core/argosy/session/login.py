"""Logging in, in a jar of its own: the session's record changes only when the login has succeeded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import requests

from argosy.contracts.auth import Auth
from argosy.cookies import jar
from argosy.cookies.cookie import Cookie
from argosy.cookies.jar import Jar
from argosy.errors import ArgosyError, LoginFailed, TransferError
from argosy.reasons import kind_of, reason_of


class CookieJar:
    """The cookies of a login under way; satisfies `argosy.LoginSession`.

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
        self._cookies: Jar = ()

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

    def add_cookies(self, cookies: Iterable[Cookie]) -> None:
        """Put cookies into the jar that did not come with a response."""
        kept = self.cookies
        for cookie in cookies:
            kept = jar.put(kept, cookie, 0.0)  # what has ended is taken out when the login is over
        self.cookies = kept


def logger_in(auth: Auth, open_jar: Callable[[], CookieJar]) -> Callable[[], Jar]:
    """Return what logs in and returns the cookies of the new session.

    Parameters
    ----------
    auth
        The plugin that knows how.
    open_jar
        Makes an empty jar with an HTTP session on it.
    """

    def log_in() -> Jar:
        opened = open_jar()
        opened.on_token = auth.context.on_secret
        try:
            auth.login(opened)
        except ArgosyError:
            raise
        except requests.RequestException as error:
            # the service is out of reach: that is no answer to the login, and may be different later
            # (what went out of it is not known; only where plainly nothing did, its kind says so)
            raise TransferError(
                f"The login could not be sent: {reason_of(error)}.",
                kind=kind_of(error, sent=not isinstance(error, requests.ConnectTimeout)),
                retryable=True,
            ) from None
        except (Exception, SystemExit) as error:
            raise LoginFailed(
                f"The auth plugin {auth.name!r} failed while logging in: {type(error).__name__}: {error}",
                hint="Report it to the plugin's author.",
                plugin=auth.name,
            ) from None
        finally:
            opened.http.close()
        now = time.time()
        return tuple(cookie for cookie in opened.cookies if not cookie.expired(now))

    return log_in
