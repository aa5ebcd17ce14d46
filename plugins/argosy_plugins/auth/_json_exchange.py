"""One exchange of a JSON login: its requests, their redirects, and the verdict on each response."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urljoin

import requests
from requests.structures import CaseInsensitiveDict

from argosy.errors import ArgosyError, LoginFailed, RefreshRefused, TransferError
from argosy.models.session import origin_of
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.responses import read_content
from argosy.toolkit.text import one_line
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._json_values import Place, Request, Scope, as_text, is_scalar
from argosy_plugins.auth._token_endpoint import NOT_DONE

#: Responses of a login are never larger, in bytes.
MAX_ANSWER = 1024 * 1024
#: The most characters of a service's message that are shown.
MAX_MESSAGE = 200
#: A text with so many characters of a secret in a row, in any case, is not shown.
PART = 6
_MAX_REDIRECTS = 10
_MAX_KEYS = 10
# these repeat the request and its body at the new URL (RFC 9110 sections 15.4.8 and 15.4.9)
_REPEATING = frozenset({307, 308})
# the service may be able to answer later (RFC 6585 section 4, RFC 9110 sections 15.6.3 to 15.6.5)
_BUSY = frozenset({429, 502, 503, 504})
# members of objects that say what went wrong, the best ones first
_MESSAGES = ("error_description", "message", "detail", "errors", "error", "title", "non_field_errors", "msg")
_ERRORS, _GOOD = ("errors", "error"), ("success", "ok")
_NOTHING = object()


@dataclass
class Answer:
    """A response, after redirects; `cookies` are those set on the way."""

    place: str  # its URL for messages, without secrets
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    safe: Callable[[str, int], str] = field(repr=False)  # makes a text of the service safe to show
    _json: Any = field(default=_NOTHING, repr=False)

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        if self._json is _NOTHING:
            try:
                self._json = json.loads(self.body[:MAX_ANSWER]) if len(self.body) <= MAX_ANSWER else None
            except (ValueError, RecursionError):
                self._json = None
        return self._json is not None

    @property
    def value(self) -> Any:
        """The JSON value of the body, or None."""
        return self._json if self.is_json else None

    def json(self, where: str) -> Any:
        """Return the JSON value; raise LoginFailed if there is none, for the option `where`."""
        if self.is_json:
            return self._json
        if len(self.body) > MAX_ANSWER:
            why = f"is larger than {MAX_ANSWER // 1024} KiB"
        else:
            kind = self.safe(self.headers.get("Content-Type", "").partition(";")[0], 60)
            why = f"is not JSON ({kind or 'of no declared type'})" if self.body else "is empty"
        raise LoginFailed(
            f"The response of {self.place} (status {self.status}) {why}; the option {where} of the auth json-login"
            " needs JSON.",
            hint="Check the URL and the method with the documentation of the service.",
        )

    def overview(self) -> str:
        """Return a sentence with the names in the JSON of the response, without values."""
        if not isinstance(self.value, dict):
            return ""
        names = sorted(self.safe(name, 40) or "***" for name in self.value)
        shown = ", ".join(names[:_MAX_KEYS]) + (", ..." if len(names) > _MAX_KEYS else "")
        return f"Its JSON has {shown}." if names else "Its JSON is an empty object."


@dataclass
class Exchange:
    """The requests of one login, refresh or logout.

    `http` has its own timeouts and keeps the cookies; `extra` are header fields for each request; `what` is a word for
    messages.
    """

    http: requests.Session
    scope: Scope
    what: str
    message: Place | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def send(self, request: Request) -> Answer:
        """Send a request and follow its redirects; the body and header fields go to no other origin.

        A requests.RequestException passes through: the core retries if the service was unreachable.
        """
        headers: dict[str, str] = dict(CaseInsensitiveDict({"Accept": "application/json", **self.extra}))
        for name, render in request.headers.items():
            headers = {known: value for known, value in headers.items() if known.lower() != name.lower()}
            if value := render(self.scope):
                headers[name] = value
        arguments: dict[str, Any] = {"headers": headers}
        if request.json is not None:
            arguments["data"] = json.dumps(request.json(self.scope)).encode()
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
        elif request.form is not None:
            arguments["data"] = {name: as_text(value) for name, value in request.form(self.scope).items()}
        return self._follow(request.method, request.url(self.scope), arguments)

    def _follow(self, method: str, url: str, arguments: dict[str, Any]) -> Answer:
        cookies: dict[str, str] = {}
        first = url
        for _ in range(_MAX_REDIRECTS):
            with self.http.request(method, url, allow_redirects=False, stream=True, **arguments) as response:
                cookies |= dict(_cookies(response))
                target = response.headers.get("Location")
                if not response.is_redirect or target is None:
                    body = read_content(response, MAX_ANSWER + 1)
                    return Answer(
                        self.shown(response.url), response.status_code, response.headers, body, cookies, self.safe
                    )
            onward = urldefrag(urljoin(response.url, target)).url
            self._check_redirect(response.url, onward, response.status_code)
            if response.status_code not in _REPEATING:
                if method != "HEAD":
                    method = "GET"
                arguments = {"headers": _without_body(arguments["headers"])}
            if origin_of(onward) != origin_of(url):
                arguments["headers"] = {"Accept": "application/json"}
            url = onward
        raise LoginFailed(f"The {self.what} at {self.shown(first)} is redirected more than {_MAX_REDIRECTS} times.")

    def _check_redirect(self, url: str, onward: str, status: int) -> None:
        """Refuse a redirect that would send the body to another origin, or leads from https to http."""
        if check_url(onward) is not None:
            raise LoginFailed(f"The {self.what} at {self.shown(url)} is redirected to no http or https URL.")
        own, other = origin_of(url), origin_of(onward)
        if own.startswith("https:") and other.startswith("http:") and not getattr(self.http, "allow_downgrade", False):
            raise LoginFailed(
                f"The {self.what} is redirected from https to {self.shown(onward)}, which is not encrypted; nothing was"
                " sent there.",
                hint='Report it to the service. To follow such redirects, without credentials: "allow_downgrade": true.',
            )
        upgraded = own.startswith("http://") and other == f"https://{own[7:]}" and ":" not in own[7:]
        if status in _REPEATING and own != other and not upgraded:
            raise LoginFailed(
                f"The {self.what} is redirected to another origin, {self.shown(onward)}; nothing was sent there.",
                hint="If that is the service's own, write its URL into the configuration.",
            )

    def judge(self, answer: Answer, request: Request, *, refused: frozenset[int] = frozenset()) -> None:
        """Raise an error unless a request was successful; one of the statuses `refused` is a RefreshRefused.

        Raises TransferError if the service may answer later, and otherwise LoginFailed.
        """
        missing = self._what_is_missing(answer, request)
        if missing is None:
            return
        came = f"status {answer.status} from {answer.place}" + (f", {missing}" if missing else "")
        said = self._said(answer)
        text = f"The service did not accept the {self.what}: it answered with {came}{said and f' ({said})'}."
        raise self._error(answer, text, refused)

    def _error(self, answer: Answer, text: str, refused: frozenset[int]) -> ArgosyError:
        if answer.status in _BUSY or (refused and answer.status >= 500):
            unsent = answer.status in NOT_DONE
            return TransferError(text, kind="status", retryable=True, unsent=unsent, status=answer.status)
        if answer.status in refused or (refused and answer.status < 300):
            return RefreshRefused(text, hint="Log in again: argosy login CONFIG")
        if answer.status in (404, 405, 415):
            hint = "Check the URL, the method and the body with the documentation of the service."
        else:
            code = (
                " If you sent a one-time code, check its key, and the clock of this machine." if self.scope.code else ""
            )
            hint = f"Check the user name and the password, by logging in with the browser.{code}"
        return LoginFailed(text, hint=hint)

    def _what_is_missing(self, answer: Answer, request: Request) -> str | None:
        """Return None for a success; otherwise, what is missing, or an empty text if the status says it."""
        success, failure = request.success, request.failure
        at = f"{request.where}." if request.where else ""
        if (success is None or success.statuses is None) and not 200 <= answer.status < 300:
            return ""
        if failure is not None and failure.holds(answer):
            return f"as the option {at}failure describes it"
        if success is not None:
            return None if success.holds(answer) else f"not as the option {at}success describes it"
        if failure is None and isinstance(answer.value, dict):
            for name in _ERRORS:
                if answer.value.get(name):
                    return f"with {name!r} in its JSON"
            for name in _GOOD:
                if answer.value.get(name) is False:
                    return f"with {name!r} false in its JSON"
        return None

    def _said(self, answer: Answer) -> str:
        """Return the service's message, short and without secrets, or an empty text."""
        try:
            found = self.message.find(answer) if self.message is not None and answer.is_json else None
        except LoginFailed:
            found = None
        if not isinstance(found, str):
            found = _message(answer.value if found is None else found)
        if not found:
            return ""
        shown = self.safe(found, MAX_MESSAGE)
        return f'it says: "{shown}"' if shown else "its message repeats a part of a secret and is not shown"

    def safe(self, text: str, longest: int) -> str:
        """Return a text of the service on one line without secrets, or an empty one if a part of a secret is in it."""
        shown = one_line(self.redacted(text), longest)
        folded = shown.casefold()
        for secret in map(str.casefold, filter(None, self.scope.secrets)):
            size = min(len(secret), PART)
            if any(secret[n : n + size] in folded for n in range(len(secret) - size + 1)):
                return ""
        return shown

    def redacted(self, text: str) -> str:
        """Return a text without the secrets of this exchange."""
        redactor = Redactor()
        for secret in self.scope.secrets:
            redactor.add(secret)
        return redactor.redact(text)

    def shown(self, url: str) -> str:
        """Return a URL for messages: without query and fragment, which may contain secrets."""
        return self.redacted(url.partition("#")[0].partition("?")[0])


def _without_body(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}


def _cookies(response: requests.Response) -> Iterator[tuple[str, str]]:
    for raw in response.raw.headers.getlist("Set-Cookie"):
        name, _, value = raw.partition(";")[0].partition("=")
        if value.strip(' "') and not re.search(r"(?i);\s*max-age\s*=\s*(?:-|0\s*(?:;|\Z))", raw):
            yield name.strip(), value.strip(' "')


def _message(value: Any, depth: int = 4) -> str:
    """Return the message in the JSON of an error response, or an empty text."""
    if is_scalar(value):
        return str(value)
    if depth and isinstance(value, list):
        return next(filter(None, (_message(part, depth - 1) for part in value[:3])), "")
    if depth and isinstance(value, dict):
        named = (value[name] for name in _MESSAGES if name in value)
        found = next(filter(None, (_message(part, depth - 1) for part in named)), "")
        # errors by field: {"errors": {"password": ["is wrong"]}}
        if found or depth == 4:
            return found
        return next(filter(None, (_message(part, depth - 1) for part in list(value.values())[:3])), "")
    return ""
