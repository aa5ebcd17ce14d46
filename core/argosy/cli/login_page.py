"""Looks at a login page without sending credentials: where it leads, and which fields its form has."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

import requests

from argosy.cli.check import problems_of
from argosy.errors import ArgosyError, LoginFailed, Problem
from argosy.http.session import Network, check_proxy, environment_proxies, header_field, open_session
from argosy.interfaces.base import PluginContext
from argosy.interfaces.transport import Transport
from argosy.models.session import origin_of
from argosy.toolkit.failures import reason_of
from argosy.toolkit.forms import Form, parse_page
from argosy.toolkit.responses import read_content
from argosy.toolkit.secrets import Secret
from argosy.toolkit.text import plural

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

_MAX_PAGE = 2 * 1024 * 1024
_USER = re.compile(r"user|login|mail|account|\bname\b|\bid\b|_id\b|konto|benutzer|card|member", re.I)


@dataclass(frozen=True, slots=True)
class LoginPage:
    """A login page as it came."""

    url: str  # after redirects
    forms: tuple[Form, ...]
    base: str

    def form(self, chosen: int | str | None = None, names: Collection[str] = ()) -> Form | None:
        """Return the form that the auth ``form-login`` would fill in, or None."""
        if isinstance(chosen, int):
            return self.forms[chosen] if chosen < len(self.forms) else None
        if chosen is not None:
            return next((form for form in self.forms if chosen in (form.identifier, form.name)), None)
        ours = [form for form in self.forms if any(map(form.has, names))]
        return next(iter([*(form for form in self.forms if form.passwords), *ours]), None)

    def action(self, form: Form) -> str:
        """Return the URL that a form is sent to."""
        return urldefrag(urljoin(urljoin(self.url, self.base), form.action or self.url)).url


def names_of(form: Form) -> list[str]:
    """Return the names of a form's fields in order."""
    return list(dict.fromkeys([*(name for name, _ in form.fields), *filter(None, form.passwords)]))


def empty_fields(form: Form) -> list[str]:
    """Return the fields that a person fills in, as far as one can tell, without those for a password."""
    return [name for name, value in form.fields if not value and name not in form.passwords]


def user_field(form: Form) -> str | None:
    """Return the field that seems to be for the user name."""
    names = names_of(form)
    before = names[: names.index(form.passwords[0])] if form.passwords and form.passwords[0] in names else names
    empty = [name for name in before if name in empty_fields(form)]
    return next((name for name in reversed(empty) if _USER.search(name)), empty[-1] if empty else None)


@contextlib.contextmanager
def plain_session(
    settings: Settings, plugins: PluginManager, on_secret: Callable[[str], None], **asking: Any
) -> Iterator[requests.Session]:
    """Yield a requests session with the network settings of a configuration, but no session of the service.

    It sends no secret header fields.
    """
    context = PluginContext(settings.base, settings.directory, on_secret=on_secret, **asking)
    transport = plugins.make(Transport, settings.transport, context)
    try:
        proxies = environment_proxies(transport, on_secret) if settings.trust_environment else {}
        if (value := settings.proxy) is not None:
            given = Secret(value) if isinstance(value, str) else context.secret(value)
            proxies = dict.fromkeys(("http", "https"), check_proxy(given, transport, on_secret))
        fields = {
            name: header_field(name, value, context.secret)
            for name, value in settings.headers.items()
            if isinstance(value, str)
        }
        network = Network(settings.ca_bundle, proxies, settings.allow_downgrade, settings.user_agent, settings.referer)
        network = network._replace(headers=fields, header_origins=settings.header_origins)
        timeout = (settings.timeout.connect, settings.timeout.headers)
        with open_session(timeout, network=network, transport=transport).http as http:
            yield http
    finally:
        transport.close()


def look(
    url: str, settings: Settings, plugins: PluginManager, on_secret: Callable[[str], None], **asking: Any
) -> LoginPage:
    """Request a login page with the network settings of a configuration; raise LoginFailed if that fails.

    Neither fields nor secret header fields are sent.
    """
    with plain_session(settings, plugins, on_secret, **asking) as http:
        return _requested(http, url)


def _requested(http: requests.Session, url: str) -> LoginPage:
    shown = url.partition("?")[0]
    try:
        with http.get(url, stream=True) as response:
            if response.status_code >= 400:
                raise LoginFailed(
                    f"The login page {shown} answered with status {response.status_code}.",
                    hint="Check the URL of the login page in the browser.",
                )
            text = read_content(response, _MAX_PAGE).decode(response.encoding or "utf-8", "replace")
            page = parse_page(text)
            return LoginPage(response.url, tuple(page.forms), page.base)
    except (requests.RequestException, LookupError) as error:
        hint = (
            "Check the URL in the browser, and the network; a proxy or a private certificate authority needs an option."
        )
        raise LoginFailed(f"The login page {shown} cannot be reached: {reason_of(error)}.", hint=hint) from None


def compare(
    settings: Settings, plugins: PluginManager, on_secret: Callable[[str], None], **asking: Any
) -> tuple[list[str], list[Problem]]:
    """Look at the login page of a configuration; return what it has, and what is wrong with the configuration."""
    auth: Mapping[str, Any] = settings.auth
    if auth["use"] != "form-login":
        return [f"The auth {auth['use']!r} has no login page to look at."], []
    wanted = list(auth["fields"])
    try:
        page = look(auth["url"], settings, plugins, on_secret, **asking)
    except ArgosyError as error:
        return [], problems_of("auth.url", error)
    shown = page.url.partition("?")[0]
    facts = [f"The login page {shown} has {plural(len(page.forms), 'form')}."]
    if (form := page.form(auth.get("form"), wanted)) is None:
        expected = "a form with a password field; if a script makes the form, use the auth cookies instead"
        if page.forms:
            ids = [one.identifier or one.name or str(number) for number, one in enumerate(page.forms)]
            expected = f'a page with the login form, or "form" with one of {", ".join(ids)}'
        return facts, [Problem("auth", f"the page {shown} does not have the login form", expected)]
    facts.append(f"The login form has the fields: {', '.join(map(_shown, _marked(form))) or 'none with a name'}.")
    have, problems, later = names_of(form), [], []
    for name in [name for name in wanted if name not in have]:
        value = auth["fields"][name]
        is_code = isinstance(value, Mapping) and value.keys() & {"totp", "one_time"}
        if is_code or (not form.passwords and any(one in have for one in wanted)):
            later.append(name)
        else:
            expected = f"one of {', '.join(have) or 'none'}"
            problems.append(Problem(f"auth.fields.{name}", "the login form has no such field", expected))
    if later:
        facts.append(f"Not on this page, so a later one has to ask for it: {', '.join(later)}.")
    action = page.action(form)
    if origin_of(action) != origin_of(auth["url"]) and not auth.get("allow_other_origin"):
        found = f"the form goes to another origin, {action.partition('?')[0]}"
        expected = 'if that is the service\'s own login, allow it: "allow_other_origin": true'
        problems.append(Problem("auth", found, expected))
    return facts, problems


def _marked(form: Form) -> list[str]:
    values = dict(form.fields)
    marks = dict.fromkeys(form.passwords, " (password)")
    marks |= {name: " (already filled in)" for name in names_of(form) if name not in marks and values.get(name)}
    return [f"{name}{marks.get(name, '')}" for name in names_of(form)]


def _shown(name: str) -> str:
    return name[:60]
