"""One form login: its pages, the form sent from each, and the verdict on the last response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import requests

from argosy.errors import LoginFailed
from argosy.toolkit.forms import Form, Page, parse_page
from argosy.toolkit.responses import read_content
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._codes import Field

#: The most bytes of a login page to read.
MAX_PAGE = 2 * 1024 * 1024
#: The most pages with a form in a row.
MAX_PAGES = 6
_MAX_REDIRECTS = 10
# common names of fields for a code
_CODE = re.compile(
    r"\A(?:code|(?:[a-z]+[\[._-])?(?:(?:t?otp|mfa|[2t]fa)(?:[-_]\w+)?|passcode|one[-_]?time\w*|two[-_]?factor\w*"
    r"|(?:verification|security|auth|authentication)[-_]?code)\]?)\Z",
    re.I,
)
# forms that a script would submit from an identity provider to the service: SAML 2.0 bindings section 3.5, OAuth 2.0
# Form Post Response Mode
_SENT_ON = (frozenset({"SAMLResponse"}), frozenset({"code", "state"}), frozenset({"id_token", "state"}))
# these repeat the request and its body at the new URL (RFC 9110 sections 15.4.8 and 15.4.9)
_REPEATING = frozenset({307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Success:
    """The sign of a successful login; by default, that no further login form appears."""

    cookie: str | None = None
    url: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    url: str
    text: str
    cookies: frozenset[str]  # the names set during the login


@dataclass(frozen=True, slots=True)
class _Sent:
    """The fields already sent, those that the last form lacks, and the fields it has."""

    left: Mapping[str, Field]
    unknown: list[str]
    known: set[str]
    code: bool


@dataclass(frozen=True)
class FormExchange:
    """One login through the forms of one or more pages.

    `http` has its own timeouts and keeps the cookies. `values` are the fields, and `spent` is the previous one-time code.
    `form` selects a form of the first page by number, id or name; None selects the first with a password field, or else
    with a field to fill in. `allow_other_origin` allows forms that go to another origin than `url`.
    """

    http: requests.Session
    url: str
    values: Mapping[str, Field]
    spent: str
    form: int | str | None
    success: Success
    allow_other_origin: bool

    def run(self) -> str:
        """Log in and return the one-time code that was sent, or an empty string.

        Raises LoginFailed if the login did not work. A requests.RequestException passes through: the core retries if the
        service was unreachable.
        """
        answer = self._send("GET", self.url, secret=False)
        if answer.status >= 400:
            raise LoginFailed(
                f"The login page {_place(answer.url)} answered with status {answer.status}.",
                hint="Check the URL of the login page in the browser.",
            )
        page = parse_page(answer.text)
        form: Form | None = self._choose(page, answer.url)
        left, code = dict(self.values), ""
        unknown: set[str] = set()
        for _ in range(MAX_PAGES):
            assert form is not None  # noqa: S101 - the loop ends where there is none
            self._check_target(answer.url, "The login page is redirected to")
            action = urldefrag(urljoin(urljoin(answer.url, page.base), form.action or answer.url)).url
            self._check_target(action, "The login form goes to")
            names = [name for name, field in left.items() if _goes_into(form, name, field)]
            unknown |= {name for name in names if not form.has(name)}
            fields = [(name, value) for name, value in form.fields if name not in names]
            for name in names:
                field = left.pop(name)
                value = field.value(self.spent)
                code = value if field.once else code
                fields.append((name, value))
            known = {name for name, _ in form.fields} | set(form.passwords)
            answer = self._submit(form, action, fields, answer.url)
            page = parse_page(answer.text)
            form = next((form for form in page.forms if any(map(form.has, left))), None)
            if form is None:
                break
        self._judge(self._sent_on(answer), _Sent(left, sorted(unknown), known, bool(code)))
        return code

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
            ours = [form for form in page.forms if any(map(form.has, self.values))]
            for form in [form for form in page.forms if form.passwords] + ours:
                return form
            missing = f"no form with a password field, or with {' or '.join(self.values)}"
        names = sorted({name for form in page.forms for name, _ in form.fields if name})
        there = f"Its forms have the fields {', '.join(names)}. " if names else ""
        raise LoginFailed(
            f"The login page {_place(url)} has {missing} (it has {len(page.forms)} forms).",
            hint=f"{there}If a script makes the form, log in with the browser and use the auth cookies instead.",
        )

    def _sent_on(self, answer: _Answer) -> _Answer:
        """Submit the form that a script on an identity provider's page would send to the service."""
        for _ in range(MAX_PAGES):
            page = parse_page(answer.text)
            form = next((form for form in page.forms if _is_sent_on(form)), None)
            if form is None:
                break
            action = urldefrag(urljoin(urljoin(answer.url, page.base), form.action or answer.url)).url
            self._check_target(action, "The login is sent on to")
            onward = self._submit(form, action, form.fields, answer.url)
            answer = replace(onward, cookies=onward.cookies | answer.cookies)
        return answer

    def _check_target(self, url: str, what: str) -> None:
        """Refuse to send the fields to an unexpected place."""
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
        """Send a request and follow its redirects one by one, so no field goes to another origin."""
        names: set[str] = set()
        # the address of a login page is not secret: requests may follow redirects to it
        for _ in range(_MAX_REDIRECTS):
            with self.http.request(method, url, allow_redirects=False, stream=True, **arguments) as response:
                names |= _cookie_names(response)
                target = response.headers.get("Location")
                if not response.is_redirect or target is None:
                    return _Answer(response.status_code, response.url, _text(response), frozenset(names))
                status = response.status_code
                url = urldefrag(urljoin(response.url, target)).url
            self._check_downgrade(response.url, url)
            if secret and status in _REPEATING:
                self._check_target(url, "The login form is redirected to")
            elif check_url(url) is not None:
                raise LoginFailed(f"The login at {_place(self.url)} is redirected to no http or https URL.")
            else:
                method, arguments, secret = "GET", {}, False
        raise LoginFailed(f"The login at {_place(self.url)} is redirected more than {_MAX_REDIRECTS} times.")

    def _check_downgrade(self, url: str, onward: str) -> None:
        """Refuse a redirect from https to http unless the configuration allows it."""
        allowed = getattr(self.http, "allow_downgrade", False)
        if not allowed and urlsplit(url).scheme == "https" and urlsplit(onward).scheme == "http":
            raise LoginFailed(
                f"The login is redirected from https to {_place(onward)}, which is not encrypted; nothing was sent there.",
                hint='Report it to the service. To follow such redirects, without credentials: "allow_downgrade": true.',
            )

    def _judge(self, answer: _Answer, sent: _Sent) -> None:
        wish, missing = self.success, ""
        if wish.cookie is not None:
            good, missing = wish.cookie in answer.cookies, f"without setting the cookie {wish.cookie!r}"
        elif wish.url is not None:
            good, missing = wish.url in answer.url, f"which has no {wish.url!r} in its URL"
        elif wish.text is not None:
            good, missing = wish.text in answer.text, f"without the text {wish.text!r}"
        else:
            missing = self._what_is_missing(answer, sent)
            good = answer.status < 400 and not missing
        if good:
            return
        hint = "Check the user name and the password, by logging in with the browser."
        if sent.code:
            hint = f"Check the one-time code as well: the key of it, and the clock of this machine. {hint}"
        if sent.unknown:
            known = ", ".join(sorted(sent.known)) or "none"
            hint = f"The form has no field {', '.join(sent.unknown)}; it has {known}. {hint}"
        came = f"status {answer.status} from {_place(answer.url)}" + (f", {missing}" if missing else "")
        raise LoginFailed(f"The service did not accept the login: it answered with {came}.", hint=hint)

    def _what_is_missing(self, answer: _Answer, sent: _Sent) -> str:
        """Return the sign of a failed login if no sign of success is configured."""
        forms = parse_page(answer.text).forms
        asked = [name for name, field in self.values.items() if not field.plain]
        if any(form.passwords or any(map(form.has, asked)) for form in forms):
            return "with a login form again"
        codes = [name for form in forms if form.method == "post" for name, _ in form.fields if _CODE.match(name)]
        if codes:
            raise LoginFailed(
                f"The login is not over: {_place(answer.url)} asks for {codes[0]}, which looks like a one-time code.",
                hint='Name it among the fields: {"totp": ...} or {"one_time": {"prompt": ...}}. If it is none, say in'
                " the option success what says that the login worked.",
            )
        never = [name for name in sent.left if not self.values[name].once]
        return f"and never asked for {', '.join(never)}" if never else ""


def _goes_into(form: Form, name: str, field: Field) -> bool:
    """Return whether to send a field with a form; secrets only go to login forms."""
    if form.has(name) or field.plain:
        return True
    # a script may fill it in under another name
    return bool(form.passwords) and not field.once


def _is_sent_on(form: Form) -> bool:
    names = {name for name, _ in form.fields}
    return form.method == "post" and not form.passwords and any(names >= wanted for wanted in _SENT_ON)


def _text(response: requests.Response) -> str:
    raw = read_content(response, MAX_PAGE)
    return raw.decode(response.encoding or "utf-8", "replace")


def _cookie_names(response: requests.Response) -> set[str]:
    # setting a cookie to an empty value deletes it
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
    """Return a URL for messages, without query and fragment, which may contain the fields."""
    return url.partition("#")[0].partition("?")[0]
