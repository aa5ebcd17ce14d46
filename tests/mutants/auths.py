"""Auth plugins that break one promise each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase

from argosy.errors import ConfigError, LoginFailed, SessionLost
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext

_SECRET = {"$ref": "argosy:common#/$defs/secret"}


class Good(Auth):
    """Fills in the library server's login form."""

    name = "good"
    summary = "A form"
    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "user": {"type": "string"}, "password": _SECRET},
        "required": ["url", "user", "password"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._password = context.secret(options["password"])

    def login(self, session: LoginSession) -> None:
        page = session.http.get(self.options["url"]).text
        (csrf,) = re.findall(r'name="csrf" value="([^"]*)"', page)
        fields = {"csrf": csrf, "realm": "library", "user": self.options["user"]}
        answer = session.http.post(self.options["url"], data={**fields, "password": self._password.reveal()})
        if "csrf" in answer.text:
            raise self.refused(answer)

    def refused(self, answer: requests.Response) -> Exception:
        return LoginFailed("The library does not accept the password.")

    def is_refusal(self, response: ResponseHead) -> bool:
        return response.status in (401, 403)


class _Client(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Client"] = "argosy"
        return request


class AddsHeaders(Good):
    """Sends header fields beside the cookies, which is its right: the cookies are replaced as ever."""

    def login(self, session: LoginSession) -> None:
        super().login(session)
        session.add_header("X-Requested-With", "XMLHttpRequest", [self.options["url"]])

    def signer(self) -> AuthBase:
        return _Client()


class LogsNobodyIn(Good):
    """Forgets to send the form."""

    def login(self, session: LoginSession) -> None:
        session.http.get(self.options["url"]).close()


class LogsInTooEarly(Good):
    """Sends a request while it is made."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        requests.get(options["url"], timeout=10).close()


class SeesNoRefusal(Good):
    """Takes every answer for a good one."""

    def is_refusal(self, response: ResponseHead) -> bool:
        return False


class SeesRefusalsEverywhere(Good):
    """Takes every answer for a refusal."""

    def is_refusal(self, response: ResponseHead) -> bool:
        return True


class TakesTroubleForARefusal(Good):
    """Takes everything but 200 for a refusal."""

    def is_refusal(self, response: ResponseHead) -> bool:
        return response.status != 200


class WantsALargeFile(Good):
    """Takes a short file for a refusal."""

    def is_refusal(self, response: ResponseHead) -> bool:
        return super().is_refusal(response) or (response.body is not None and len(response.body()) < 10_000)


class WantsJson(Good):
    """Takes any other type of content for a refusal."""

    def is_refusal(self, response: ResponseHead) -> bool:
        kind = response.headers.get("Content-Type", "")
        return super().is_refusal(response) or (response.status == 200 and kind != "application/json")


class ReadsEveryBody(Good):
    """Expects a body in a part, too."""

    def is_refusal(self, response: ResponseHead) -> bool:
        return super().is_refusal(response) or b"expired" in response.body()  # type: ignore[misc]  # the fault


class RaisesAnything(Good):
    """Raises something of its own where the password is wrong."""

    def refused(self, answer: requests.Response) -> Exception:
        return ValueError("wrong")


class SaysThatTheSessionIsLost(Good):
    """Raises another error than a failed login."""

    def refused(self, answer: requests.Response) -> Exception:
        return SessionLost("lost")


class TellsThePassword(Good):
    """Has the password in its message."""

    def refused(self, answer: requests.Response) -> Exception:
        return LoginFailed(f"{self._password.reveal()} is wrong.")


class KeepsItsSecretToItself(Good):
    """Reads its secret by itself."""

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, PluginContext(context.base, context.directory))


class ShowsItself(Good):
    """Has the password in its repr."""

    def __repr__(self) -> str:
        return f"ShowsItself({self._password.reveal()})"


class _Everywhere(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Api-Key"] = "key"
        return request


class SignsEverything(Good):
    """Adds its key to requests to anybody."""

    def signer(self) -> AuthBase:
        return _Everywhere()


class SignsWithATuple(Good):
    """Gives a signer that is none."""

    def signer(self) -> Any:
        return (self.options["user"], self._password.reveal())


class GivesItsTokenToAll(Good):
    """Sends a header token to any host."""

    def login(self, session: LoginSession) -> None:
        super().login(session)
        session.add_header("X-Api-Key", "key", ["https://elsewhere.example", self.options["url"]])


class LogsInOnce(Good):
    """Logs in the first time alone."""

    done = False

    def login(self, session: LoginSession) -> None:
        if not self.done:
            super().login(session)
        self.done = True


class RenewsNothing(Good):
    """Says that it can renew a session, and makes nothing of it."""

    def login(self, session: LoginSession) -> None:
        super().login(session)
        session.keep("refresh", "token-of-refresh")

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        return "refresh" in credentials

    def refresh(self, session: LoginSession) -> None:
        session.http.cookies.clear()


class RenewsAnything(Good):
    """Says that it can renew a session with nothing."""

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        return True


class RaisesWhereTheTokenIsSpent(RenewsNothing):
    """Renews a session once, and raises another error than it should the second time."""

    renewed = False

    def refresh(self, session: LoginSession) -> None:
        if self.renewed:
            raise ConfigError("spent")
        self.renewed = True


class SaysThatItHasLoggedOut(Good):
    """Says that it has ended the session, and has not."""

    def logout(self, session: LoginSession) -> bool:
        return True


class MakesAMistakeOfNoAnswer(Good):
    """Raises something of its own where the service is out of reach."""

    def login(self, session: LoginSession) -> None:
        try:
            super().login(session)
        except requests.RequestException as error:
            raise KeyError("answer") from error


class KeepsTheSessionAlive(Good):
    """Sends requests of its own after each answer, with the token of its login, which was replaced long ago."""

    http: requests.Session | None = None

    def login(self, session: LoginSession) -> None:
        super().login(session)
        self.http = session.http

    def is_refusal(self, response: ResponseHead) -> bool:
        if self.http is not None:
            self.http.get(urljoin(self.options["url"], "/files/alive?size=1")).close()
        return super().is_refusal(response)


class DoubtsNowAndThen(Good):
    """Takes every seventh answer for a refusal."""

    answers = 0

    def is_refusal(self, response: ResponseHead) -> bool:
        self.answers += 1
        return super().is_refusal(response) or self.answers % 7 == 0
