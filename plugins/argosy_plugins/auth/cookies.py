"""The auth ``cookies``: imports a session from a browser or from exported cookies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from argosy import hookimpl
from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.cookie import Cookie
from argosy.toolkit.files import open_file
from argosy.toolkit.hosts import is_ip, is_public_suffix
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._bound import BoundSessions
from argosy_plugins.auth._browsers import BROWSERS, browser_cookies
from argosy_plugins.auth.jar_formats import Jar, NotAJar, Site, parse_jar
from argosy_plugins.refusals import RefusalRules, refusal_schema

_MAX_BYTES = 10 * 1024 * 1024
_AGAIN = "Log in with the browser, export its cookies again, then run: argosy login CONFIG"
_AGAIN_THERE = "Log in with the browser, then run: argosy login CONFIG"


class CookieImport(Auth):
    """Puts exported cookies, or those of a browser, into the session.

    It cannot log in again. Several files, each from its own login, become several sessions.
    """

    name = "cookies"
    summary = "Cookies from a browser, or exported from one or from another tool"
    remedy = "Log in with the browser again, export its cookies if they come from a file, and run: argosy login CONFIG"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "path": {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "minItems": 1,
                        "maxItems": 64,
                        "uniqueItems": True,
                    },
                ],
                "description": "The file: cookies.txt, a JSON list of cookies, a storage state, or a"
                " JSON object of names and values. A list of files, each from its own"
                " login, makes one session per file.",
            },
            "browser": {
                "enum": list(BROWSERS),
                "description": "Instead of a file: the installed browser to take the site's cookies"
                " from. Needs argosy[browser].",
            },
            "profile": {
                "type": "string",
                "minLength": 1,
                "description": "The folder of the browser's profile, as about:profiles (Firefox) or"
                " chrome://version shows it. By default, the one that Firefox used"
                " last, or Chromium's first one.",
            },
            "url": {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
                ],
                "description": "One or more URLs of the service: only cookies of these sites are"
                " imported. Cookies without a site belong to the first one.",
            },
            "domain": {
                "type": "string",
                "minLength": 1,
                "description": "Like url, but for a domain and all hosts below it.",
            },
            "refusal": refusal_schema(),
        },
        "oneOf": [{"required": ["path"]}, {"required": ["browser"]}],
        "dependentRequired": {"profile": ["browser"]},
        "dependentSchemas": {"browser": {"anyOf": [{"required": ["url"]}, {"required": ["domain"]}]}},
        "not": {"required": ["url", "domain"]},
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._imported: dict[Path, set[Cookie]] = {}
        given = options.get("path", [])
        self._paths = [context.path(path) for path in ([given] if isinstance(given, str) else given)]
        if len({path.resolve() for path in self._paths}) < len(self._paths):
            raise ConfigError(
                "The option path of the auth cookies names one file twice.",
                hint="Log in once for each session, and export its cookies.",
            )
        self._sites = _sites(options)
        self._rules = RefusalRules.from_options(options)
        self._bound = BoundSessions(context.notice)

    @property
    def can_login(self) -> bool:
        """False: imported cookies cannot make a new session."""
        return False

    @property
    def session_count(self) -> int:
        """One session per file."""
        return len(self._paths) or 1

    def login(self, session: LoginSession) -> None:
        """Put the session's cookies into it.

        Raises ConfigError if a library is missing, or the cookies' site is unknown and not configured. Raises LoginFailed if
        they cannot be read, have expired, or belong to another site or session.
        """
        if not self._paths:
            session.add_cookies(self._from_browser())
            return
        # a single file works without the file's number
        path = self._paths[session.number - 1] if len(self._paths) > 1 else self._paths[0]
        cookies = self._from_file(path)
        for other in self._paths:
            if other != path and set(cookies) == self._imported.get(other):
                raise LoginFailed(
                    f"The cookie files {other} and {path} hold the same session, so the second one is not used.",
                    hint="Log in once for each session, and export its cookies.",
                )
        self._imported[path] = set(cookies)
        session.add_cookies(cookies)

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the imported session."""
        self._bound.look(response.final_url, response.headers)
        return self._rules.is_refusal(response)

    def _from_browser(self) -> list[Cookie]:
        browser, profile = self.options["browser"], self.options.get("profile")
        path, cookies = browser_cookies(
            browser, None if profile is None else self.context.path(profile), self._is_wanted
        )
        self._bound.tell_browser(browser, path, self._is_wanted)
        if not cookies:
            raise LoginFailed(
                f"The browser {browser} has no cookies of {self._names()} in {path}.",
                hint=f"Is that the right profile, and the right site? {_AGAIN_THERE}",
            )
        return self._good(cookies, str(path), _AGAIN_THERE)

    def _from_file(self, path: Path) -> list[Cookie]:
        text = _read(path, self.context.notice)
        try:
            jar = parse_jar(text, self._sites[0] if self._sites else None)
        except NotAJar:
            raise LoginFailed(
                f"The cookie file {path} was not recognised, so there is no session.",
                hint="It should be cookies.txt, a JSON list of cookies, or a JSON object of names and values.",
            ) from None
        if jar.homeless:
            raise ConfigError(
                f"The cookies in {path} do not say which site they belong to.",
                hint='Name it in the configuration, beside the path: "url": "https://library.example/".',
            )
        if not jar.cookies:
            raise LoginFailed(f"The cookie file {path} has no cookies in it.", hint=_AGAIN)
        self._tell_left_out(jar, path)
        return self._good(self._of_the_site(jar.cookies, path), str(path), _AGAIN)

    def _tell_left_out(self, jar: Jar, path: Path) -> None:
        if jar.left_out:
            self.context.notice(f"In {path}, these are not cookies and were left out: {_some(jar.left_out)}.")

    def _of_the_site(self, cookies: list[Cookie], path: Path) -> list[Cookie]:
        found = {_site_of(cookie.domain) for cookie in cookies}
        if not self._sites:
            if len(found) > 1:
                self.context.notice(
                    f"The cookies in {path} are those of {len(found)} sites ({_some(sorted(found))}), and all are kept."
                    ' To keep those of the service alone, name it beside the path: "url".'
                )
            return cookies
        wanted = [cookie for cookie in cookies if self._is_wanted(cookie.domain)]
        if not wanted:
            raise LoginFailed(
                f"The cookies in {path} are for another site: {_some(sorted(found))}, and none are for {self._names()}.",
                hint="Export the cookies of the site that you download from, or correct the option url.",
            )
        return wanted

    def _good(self, cookies: list[Cookie], place: str, again: str) -> list[Cookie]:
        now = time.time()
        good = [cookie for cookie in cookies if not cookie.expired(now)]
        if not good:
            raise LoginFailed(f"All {len(cookies)} cookies in {place} have expired.", hint=again)
        if len(good) < len(cookies):
            names = sorted({cookie.name for cookie in cookies if cookie not in good})
            self.context.notice(f"In {place}, these cookies have expired and were left out: {_some(names)}.")
        return good

    def _is_wanted(self, host: str) -> bool:
        return _site_of(host) in {_site_of(site.domain) for site in self._sites}

    def _names(self) -> str:
        return ", ".join(site.domain for site in self._sites)


def _site_of(host: str) -> str:
    """Return the site of a host: the name directly below a public suffix, or the host itself."""
    if is_ip(host):
        return host
    while "." in host and not is_public_suffix(parent := host.partition(".")[2]):
        host = parent
    return host


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _sites(options: Mapping[str, Any]) -> list[Site]:
    given = options.get("url", [])
    sites = []
    for url in [given] if isinstance(given, str) else given:
        if (problem := check_url(url)) is not None:
            raise ConfigError(f"The option url of the auth cookies {problem}.", hint="Name the service's URL.")
        parts = urlsplit(url)
        sites.append(Site(parts.hostname or "", host_only=True, secure=parts.scheme.lower() == "https"))
    if (domain := options.get("domain")) is not None:
        if "/" in domain or ":" in domain:
            raise ConfigError(
                "The option domain of the auth cookies is not a domain.", hint="Write it as library.example."
            )
        sites.append(Site(domain.strip().lstrip(".").lower(), host_only=False, secure=False))
    return sites


def _read(path: Path, notice: Callable[[str], None]) -> str:
    try:
        with open_file(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise LoginFailed(
            f"The cookie file {path} does not exist.",
            hint="Export the cookies from the browser where you are logged in, or correct the path.",
        ) from None
    except OSError as error:
        raise LoginFailed(
            f"The cookie file {path} cannot be read: {error.strerror or type(error).__name__}.",
            hint="Check that it is a file, and that you may read it.",
        ) from None
    if len(raw) > _MAX_BYTES:
        raise LoginFailed(
            f"The cookie file {path} is larger than 10 MiB, so it is not used.",
            hint="Check that it is the file that was exported.",
        )
    if os.name == "posix" and mode & 0o077:
        notice(f"The cookie file {path} can be read by other users; run: chmod 600 '{path}'")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "?"  # not a cookie file; the caller reports it


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``cookies``."""
    return CookieImport
