"""Logging in with an auth plugin: each of its failures becomes one argosy error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType

import requests

from argosy.errors import ArgosyError, LoginFailed, TransferError
from argosy.interfaces.auth import Auth
from argosy.leasing.login import Answered, Authority, Credentials, NewSession
from argosy.models.session import SessionRecord
from argosy.toolkit.failures import describe_exception, kind_of, never_sent, reason_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded

#: What requests raises for a redirect that leads nowhere.
_BAD_REDIRECTS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.TooManyRedirects,
)


class PluginLogin(Authority):
    """What an auth plugin does for a session.

    Parameters
    ----------
    auth
        The plugin.
    open_session
        Makes an empty session that can send requests.
    """

    def __init__(self, auth: Auth, open_session: Callable[[], NewSession]) -> None:
        self._auth = auth
        self._open = open_session

    def log_in(self, record: SessionRecord) -> Credentials:
        """Log in."""
        return self._run(self._auth.login, "login", lambda new: new.replace(record)).granted()

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return whether the session has what it can be renewed with."""
        try:
            return bool(self._auth.can_refresh(MappingProxyType(record.credentials)))
        except (Exception, SystemExit) as error:
            raise self._fault("can_refresh", error) from None

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Renew the session with its credentials."""
        begin = partial(NewSession.begin_with, record=record)
        return self._run(self._auth.refresh, "refresh", begin, answered).granted()

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """End the session at the service; return whether the service offers that."""
        ended: list[bool] = []
        begin = partial(NewSession.begin_with, record=record)
        self._run(lambda session: ended.append(self._auth.logout(session)), "logout", begin, answered)
        return bool(ended[0])

    def _run(
        self,
        step: Callable[[NewSession], None],
        what: str,
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
                f"The {what} was stopped: a redirect leads from https to http.", hint=DOWNGRADE_HINT
            ) from None
        except _BAD_REDIRECTS:
            raise LoginFailed(
                f"The {what} was stopped: the service redirects to an invalid URL, or in a circle.",
                hint="Check the login in a browser.",
            ) from None
        except requests.RequestException as error:
            # the service is out of reach, which says nothing of the login; only some kinds prove that nothing was sent
            through_proxy = isinstance(error, requests.exceptions.ProxyError)
            timed_out = isinstance(error, requests.ConnectTimeout)
            url = None if error.request is None or through_proxy else error.request.url
            to = f" to {host_key(url)}" if url else ""
            raise TransferError(
                f"The {what} could not be sent{to}: {reason_of(error)}.",
                kind=kind_of(error, sent=not timed_out),
                retryable=True,
                unsent=never_sent(error) or timed_out or through_proxy,
            ) from None
        except (Exception, SystemExit) as error:
            raise self._fault(what, error) from None
        finally:
            opened.http.close()
        return opened

    def _fault(self, what: str, error: BaseException) -> LoginFailed:
        return LoginFailed(
            f"The auth plugin {self._auth.name!r} failed during {what}: {describe_exception(error, self._auth)}",
            hint="Report it to the plugin's author.",
            plugin=self._auth.name,
        )
