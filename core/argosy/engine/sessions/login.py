"""Logging in with an auth plugin; every failure of the plugin becomes an argosy error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType

from requests import exceptions

from argosy.errors import ArgosyError, LoginFailed, TransferError
from argosy.interfaces.auth import Auth
from argosy.leasing.login import Answered, Authority, Credentials, NewSession
from argosy.models.session import SessionRecord
from argosy.toolkit.failures import cure_of, describe_exception, kind_of, never_sent, reason_of
from argosy.toolkit.hosts import host_key
from argosy.toolkit.responses import DOWNGRADE_HINT, Downgraded


class PluginLogin(Authority):
    """Makes, renews and ends sessions with an auth plugin; `open_session` makes the empty session it works on."""

    def __init__(self, auth: Auth, open_session: Callable[[], NewSession]) -> None:
        self._auth = auth
        self._open = open_session

    def log_in(self, record: SessionRecord) -> Credentials:
        """Log in."""
        with self._step("login") as session:
            session.before = record.credentials
            self._auth.login(session)
        return session.granted()

    def can_refresh(self, record: SessionRecord) -> bool:
        """Return whether the session has credentials to renew it with."""
        try:
            return bool(self._auth.can_refresh(MappingProxyType(record.credentials)))
        except (Exception, SystemExit) as error:
            raise self._fault("can_refresh", error) from None

    def refresh(self, record: SessionRecord, answered: Answered) -> Credentials:
        """Renew the session with its credentials."""
        with self._step("refresh", answered) as session:
            session.begin_with(record)
            self._auth.refresh(session)
        return session.granted()

    def log_out(self, record: SessionRecord, answered: Answered) -> bool:
        """End the session at the service; return whether the service offers that."""
        with self._step("logout", answered) as session:
            session.begin_with(record)
            return bool(self._auth.logout(session))

    @contextmanager
    def _step(self, what: str, answered: Answered = lambda cookies: None) -> Iterator[NewSession]:
        session = self._open()
        session.on_token = self._auth.context.on_secret
        try:
            yield session
        except ArgosyError as error:
            if isinstance(error, LoginFailed):
                answered(session.cookies)
            raise
        except Downgraded as error:
            raise LoginFailed(f"The {what} was stopped: {error}.", hint=DOWNGRADE_HINT) from None
        except (exceptions.InvalidSchema, exceptions.InvalidURL, exceptions.MissingSchema, exceptions.TooManyRedirects):
            message = f"The {what} was stopped: the service redirects to an invalid URL or in a circle."
            raise LoginFailed(message, hint="Check the login in a browser.") from None
        except exceptions.RequestException as error:
            # the service is out of reach; only some kinds of failure prove that nothing was sent
            through_proxy = isinstance(error, exceptions.ProxyError)
            timed_out = isinstance(error, exceptions.ConnectTimeout)
            url = None if error.request is None or through_proxy else error.request.url
            raise TransferError(
                f"The {what} could not be sent{f' to {host_key(url)}' if url else ''}: {reason_of(error)}.",
                kind=kind_of(error, sent=not timed_out),
                retryable=True,
                hint=cure_of(error),
                unsent=never_sent(error) or timed_out or through_proxy,
            ) from None
        except (Exception, SystemExit) as error:
            raise self._fault(what, error) from None
        finally:
            session.http.close()

    def _fault(self, what: str, error: BaseException) -> LoginFailed:
        return LoginFailed(
            f"The auth plugin {self._auth.name!r} failed during {what}: {describe_exception(error, self._auth)}",
            hint="Report it to the plugin's author.",
            plugin=self._auth.name,
        )
