"""One login by a form: the page, the form that is sent, and the judgement of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from argosy.errors import LoginFailed
from argosy.html_forms import Form, Page, parse_page
from argosy.secrets import Secret
from argosy.urls import check_url, strip_fragment

#: A login page larger than this is read to here, in bytes.
MAX_PAGE = 2 * 1024 * 1024
_MAX_REDIRECTS = 10
# these repeat the request with its body at the new place (RFC 9110 sections 15.4.8 and 15.4.9)
_REPEATING = frozenset({307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Success:
    """What says that a login worked; where nothing is said, that no login form comes again."""

    cookie: str | None = None
    url: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    url: str
    text: str
    cookies: frozenset[str]  # the names that were set on the way


@dataclass(frozen=True)
class FormExchange:
    """One login by a form.

    Parameters
    ----------
    http
        Sends the requests, with timeouts of its own, and keeps the cookies.
    url
        The login page.
    values
        What goes into the fields.
    form
        Which form, by number, id or name; None for the first with a password field.
    success
        What says that it worked.
    allow_other_origin
        Whether the form may go to another origin than that of `url`.
    """

    http: requests.Session
    url: str
    values: Mapping[str, Secret]
    form: int | str | None
    success: Success
    allow_other_origin: bool

    def run(self) -> None:
        """Log in.

        Raises
        ------
        LoginFailed
            If it did not work.
        requests.RequestException
            If the service was out of reach, which the core may take for a passing fault.
        """
        answer = self._send("GET", self.url, secret=False)
        if answer.status >= 400:
            raise LoginFailed(
                f"The login page {_place(answer.url)} answered with status {answer.status}.",
                hint="Check the URL of the login page in the browser.",
            )
        self._check_target(answer.url, "The login page is redirected to")
        page = parse_page(answer.text)
        form = self._choose(page, answer.url)
        action = strip_fragment(urljoin(urljoin(answer.url, page.base), form.action or answer.url))
        self._check_target(action, "The login form goes to")
        fields = [(name, value) for name, value in form.fields if name not in self.values]
        known = {name for name, _ in form.fields} | set(form.passwords)
        fields += [(name, secret.reveal()) for name, secret in self.values.items()]
        self._judge(self._submit(form, action, fields, answer.url), sorted(set(self.values) - known), known)

    def _choose(self, page: Page, url: str) -> Form:
        if isinstance(self.form, int):
            if self.form < len(page.forms):
                return page.forms[self.form]
            missing = f"no form number {self.form}"
        elif self.form is not None:
            for form in page.forms:
                if self.form in {form.identifier, form.name}:
                    return form
            missing = f"no form with the id or name {self.form!r}"
        else:
            for form in page.forms:
                if form.passwords:
                    return form
            missing = "no form with a password field"
        raise LoginFailed(
            f"The login page {_place(url)} has {missing} (it has {len(page.forms)} forms).",
            hint="If a script makes the form, log in with the browser and use the auth cookies instead.",
        )

    def _check_target(self, url: str, what: str) -> None:
        """Refuse to send the fields to a place that the configuration does not stand for."""
        if check_url(url) is not None:
            raise LoginFailed(f"{what} a place that is not an http or https URL; nothing was sent there.")
        own, other = _origin(self.url), _origin(url)
        if own[0] == "https" and other[0] == "http":
            raise LoginFailed(
                f"{what} {_place(url)}, which is not encrypted although the login page is; nothing was sent there."
            )
        upgraded = own == ("http", other[1], 80) and other[0] == "https" and other[2] == 443
        if own != other and not upgraded and not self.allow_other_origin:
            raise LoginFailed(
                f"{what} another origin, {_place(url)}; nothing was sent there.",
                hint='If that is the service\'s own login, allow it: "allow_other_origin": true.',
            )

    def _submit(self, form: Form, action: str, fields: list[tuple[str, str]], page: str) -> _Answer:
        headers = {"Referer": page}
        if _origin(page) != _origin(action):
            headers["Referer"] = _origin_text(page) + "/"
        if form.method == "get":
            # a GET form replaces the action's query (HTML Standard, "mutate action URL")
            return self._send("GET", action.partition("?")[0], params=fields, headers=headers)
        headers["Origin"] = _origin_text(page)
        body: dict[str, Any] = {"data": fields}
        if form.multipart:
            body = {"files": [(name, (None, value)) for name, value in fields]}
        return self._send("POST", action, headers=headers, **body)

    def _send(self, method: str, url: str, *, secret: bool = True, **arguments: Any) -> _Answer:
        """Send a request, and follow its redirects one by one, so that no field goes astray."""
        names: set[str] = set()
        # where a login page comes from is not secret: requests follows it by the rules of the session
        for _ in range(_MAX_REDIRECTS):
            with self.http.request(method, url, allow_redirects=False, stream=True, **arguments) as response:
                names |= _cookie_names(response)
                target = response.headers.get("Location")
                if not response.is_redirect or target is None:
                    return _Answer(response.status_code, response.url, _text(response), frozenset(names))
                status = response.status_code
                url = strip_fragment(urljoin(response.url, target))
            if secret and status in _REPEATING:
                self._check_target(url, "The login form is redirected to")
            elif check_url(url) is not None:
                raise LoginFailed(f"The login at {_place(self.url)} is redirected to no http or https URL.")
            else:
                method, arguments, secret = "GET", {}, False
        raise LoginFailed(f"The login at {_place(self.url)} is redirected more than {_MAX_REDIRECTS} times.")

    def _judge(self, answer: _Answer, unknown: list[str], known: set[str]) -> None:
        wish, again = self.success, False
        if wish.cookie is not None:
            good, missing = wish.cookie in answer.cookies, f"without setting the cookie {wish.cookie!r}"
        elif wish.url is not None:
            good, missing = wish.url in answer.url, f"which has no {wish.url!r} in its URL"
        elif wish.text is not None:
            good, missing = wish.text in answer.text, f"without the text {wish.text!r}"
        else:
            again = any(form.passwords for form in parse_page(answer.text).forms)
            good, missing = answer.status < 400 and not again, "with a login form again" if again else ""
        if good:
            return
        hint = "Check the user name and the password, by logging in with the browser."
        if unknown:
            hint = f"The form has no field {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}. {hint}"
        came = f"status {answer.status} from {_place(answer.url)}" + (f", {missing}" if missing else "")
        raise LoginFailed(f"The service did not accept the login: it answered with {came}.", hint=hint)


def _text(response: requests.Response) -> str:
    raw = b""
    for chunk in response.iter_content(64 * 1024):
        raw += chunk
        if len(raw) >= MAX_PAGE:
            break
    try:
        return raw.decode(response.encoding or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _cookie_names(response: requests.Response) -> set[str]:
    # a cookie that is set to nothing is taken away
    pairs = (raw.partition(";")[0].partition("=") for raw in response.raw.headers.getlist("Set-Cookie"))
    return {name.strip() for name, _, value in pairs if value.strip(' "')}


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme, 0)


def _origin_text(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _place(url: str) -> str:
    """Return a URL for messages: no query and no fragment, which may hold the fields."""
    return url.partition("#")[0].partition("?")[0]
