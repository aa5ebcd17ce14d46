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

    Several jars, each of a login of its own, are as many sessions.
    """

    name = "cookies"
    summary = "Cookies exported from a browser or another tool"
    remedy = "Export the cookies from your browser again, then run: argosy login CONFIG"
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
                "description": "The file: cookies.txt, a JSON list of cookies, or a JSON object of names and values."
                " A list of files, each of a login of its own, makes as many sessions.",
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
        self._notices: dict[Path, list[str]] = {}
        self._imported: dict[Path, set[Cookie]] = {}
        paths = [options["path"]] if isinstance(options["path"], str) else options["path"]
        self._paths = [context.path(path) for path in paths]
        if len({path.resolve() for path in self._paths}) < len(self._paths):
            raise ConfigError(
                "The option path of the auth cookies names one file twice.",
                hint="Each session needs an export of a login of its own.",
            )
        self._site = _site(options)
        self._rules = RefusalRules.from_options(options)

    @property
    def notices(self) -> list[str]:
        """What the person should know about the jars that were read: others can read it, or cookies were left out."""
        return [notice for notices in self._notices.values() for notice in notices]

    @property
    def can_login(self) -> bool:
        """False: an imported jar is one session, and makes no new one."""
        return False

    @property
    def session_count(self) -> int:
        """One session for each file."""
        return len(self._paths)

    def login(self, session: LoginSession) -> None:
        """Put the cookies of the session's jar into it.

        Raises
        ------
        ConfigError
            If the cookies do not say where they belong, and the configuration does not either.
        LoginFailed
            If the file cannot be read, has no cookies that are still good, or has the cookies of another one.
        """
        # where there is one file, nothing needs to know that there could be several
        path = self._paths[session.number - 1] if len(self._paths) > 1 else self._paths[0]
        self._notices.pop(path, None)
        cookies = self._import(path)
        for other in self._paths:
            if other != path and set(cookies) == self._imported.get(other):
                raise LoginFailed(
                    f"The cookie files {other} and {path} hold the same session, so the second one is not used.",
                    hint="Each session needs an export of a login of its own.",
                )
        self._imported[path] = set(cookies)
        session.add_cookies(cookies)

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the response says that the imported session is not accepted."""
        return self._rules.is_refusal(response)

    def _import(self, path: Path) -> list[Cookie]:
        notices = self._notices[path] = []
        text = _read(path, notices)
        try:
            jar = parse_jar(text, self._site)
        except NotAJar:
            raise LoginFailed(
                f"The cookie file {path} was not recognised, so there is no session.",
                hint="It should be cookies.txt, a JSON list of cookies, or a JSON object of names and values.",
            ) from None
        return self._good(jar, path, notices)

    def _good(self, jar: Jar, path: Path, notices: list[str]) -> list[Cookie]:
        if jar.homeless:
            raise ConfigError(
                f"The cookies in {path} do not say which site they belong to.",
                hint='Name it in the configuration, beside the path: "url": "https://library.example/".',
            )
        if not jar.cookies:
            raise LoginFailed(f"The cookie file {path} has no cookies in it.", hint=_AGAIN)
        now = time.time()
        good = [cookie for cookie in jar.cookies if not cookie.expired(now)]
        if not good:
            raise LoginFailed(f"All {len(jar.cookies)} cookies in {path} have expired.", hint=_AGAIN)
        if jar.left_out:
            places = ", ".join(jar.left_out[:5]) + (", ..." if len(jar.left_out) > 5 else "")
            notices.append(f"In {path}, these are not cookies and were left out: {places}.")
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
