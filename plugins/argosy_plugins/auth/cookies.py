"""The auth ``cookies``: a session that was logged in elsewhere, imported from an exported cookie jar."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from argosy.contracts import Auth, LoginSession, PluginContext, ResponseHead
from argosy.cookies.cookie import Cookie
from argosy.errors import ConfigError, LoginFailed
from argosy.hookspecs import hookimpl
from argosy.refusals import REFUSAL_SCHEMA, RefusalRules
from argosy.urls import check_url
from argosy_plugins.auth.jar_formats import Jar, NotAJar, Site, parse_jar

_MAX_BYTES = 10 * 1024 * 1024
_AGAIN = "Log in with the browser and export its cookies again."


class CookieImport(Auth):
    """Puts the cookies of an exported jar into the session; it cannot log in again when they are refused.

    Attributes
    ----------
    notices
        What the person should know about the jar, filled by `login`: it can be read by others, or some of its
        cookies were left out.
    """

    name = "cookies"
    summary = "Cookies exported from a browser or another tool"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "description": "The file: cookies.txt, a JSON list of cookies, or a JSON object of names and values.",
            },
            "url": {
                "type": "string",
                "description": "A URL of the service, for cookies that do not say where they belong.",
            },
            "domain": {
                "type": "string",
                "minLength": 1,
                "description": "As url, but for a domain and all hosts below it.",
            },
            "refusal": REFUSAL_SCHEMA,
        },
        "required": ["path"],
        "not": {"required": ["url", "domain"]},
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.notices: list[str] = []
        self._path = context.path(options["path"])
        self._site = _site(options)
        self._rules = RefusalRules.from_options(options)

    @property
    def can_login(self) -> bool:
        """False: an imported jar is one session, and makes no new one."""
        return False

    def login(self, session: LoginSession) -> None:
        """Put the jar's cookies into the session.

        Raises
        ------
        ConfigError
            If the cookies do not say where they belong, and the configuration does not either.
        LoginFailed
            If the file cannot be read, or has no cookies that are still good.
        """
        self.notices.clear()
        text = _read(self._path, self.notices)
        try:
            jar = parse_jar(text, self._site)
        except NotAJar:
            raise LoginFailed(
                f"The cookie file {self._path} was not recognised, so there is no session.",
                hint="It should be cookies.txt, a JSON list of cookies, or a JSON object of names and values.",
            ) from None
        session.add_cookies(self._good(jar))

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the response says that the imported session is not accepted."""
        return self._rules.is_refusal(response)

    def _good(self, jar: Jar) -> list[Cookie]:
        if jar.homeless:
            raise ConfigError(
                f"The cookies in {self._path} do not say which site they belong to.",
                hint='Name it in the configuration, beside the path: "url": "https://library.example/".',
            )
        if not jar.cookies:
            raise LoginFailed(f"The cookie file {self._path} has no cookies in it.", hint=_AGAIN)
        now = time.time()
        good = [cookie for cookie in jar.cookies if not cookie.expired(now)]
        if not good:
            raise LoginFailed(f"All {len(jar.cookies)} cookies in {self._path} have expired.", hint=_AGAIN)
        if jar.left_out:
            places = ", ".join(jar.left_out[:5]) + (", ..." if len(jar.left_out) > 5 else "")
            self.notices.append(f"In {self._path}, these are not cookies and were left out: {places}.")
        return good


def _site(options: Mapping[str, Any]) -> Site | None:
    if (url := options.get("url")) is not None:
        if (problem := check_url(url)) is not None:
            raise ConfigError(
                f"The option url of the auth cookies {problem}.", hint="Name the service's URL."
            )
        parts = urlsplit(url)
        return Site(parts.hostname or "", host_only=True, secure=parts.scheme.lower() == "https")
    if (domain := options.get("domain")) is not None:
        if "/" in domain or ":" in domain:
            raise ConfigError(
                "The option domain of the auth cookies is not a domain.", hint="Write it as library.example."
            )
        return Site(domain, host_only=False, secure=False)
    return None


def _read(path: Path, notices: list[str]) -> str:
    try:
        with path.open("rb") as file:
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
    if os.name == "posix" and mode & 0o077:
        notices.append(f"The cookie file {path} can be read by other users; run: chmod 600 '{path}'")
    try:
        return raw.decode() if len(raw) <= _MAX_BYTES else "?"
    except UnicodeDecodeError:
        return "?"  # no form of a jar: said as such


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``cookies``."""
    return CookieImport
