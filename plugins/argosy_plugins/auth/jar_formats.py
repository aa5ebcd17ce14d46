"""The formats of exported cookies, recognized by content.

- Netscape's ``cookies.txt``, from curl, wget, yt-dlp and browser extensions;
- a JSON list of cookie objects, from browser extensions and Selenium, or ``{"cookies": [...]}``, Playwright's storage
  state;
- a JSON object of names and values, without the site.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from argosy.models.cookie import Cookie
from argosy_plugins.cookies_txt import end_of, imported, is_comment, parse_line

_EXPIRES_KEYS = ("expirationDate", "expires", "expiry", "expiration")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?\Z")


@dataclass(frozen=True, slots=True)
class Site:
    """The site of cookies that do not name one: its host, and whether they are for that host or https only."""

    domain: str
    host_only: bool
    secure: bool


@dataclass(slots=True)
class Jar:
    """The contents of a file: cookies (expired ones, too), the places of unreadable entries, and how many lack a site."""

    cookies: list[Cookie] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    homeless: int = 0


class NotAJar(ValueError):
    """The text has none of the formats."""


def parse_jar(text: str, site: Site | None = None) -> Jar:
    """Return the cookies in a text; those without a site belong to `site`. Raise NotAJar if it has none of the formats."""
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in {"[", "{"}:
        return _parse_json(text, site)
    return _parse_netscape(text)


def _parse_netscape(text: str) -> Jar:
    jar = Jar()
    titled = False
    text = text.encode().decode("iso-8859-1")  # headers are Latin-1, so the original bytes are kept
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        if is_comment(line):
            titled = titled or "cookie" in line.lower()
            continue
        cookie = parse_line(line)
        if cookie is None:
            jar.left_out.append(f"line {number}")
        else:
            jar.cookies.append(cookie)
    if not jar.cookies and not titled:
        raise NotAJar
    return jar


def _parse_json(text: str, site: Site | None) -> Jar:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAJar from None
    if isinstance(value, dict) and isinstance(value.get("cookies"), list):
        value = value["cookies"]
    jar = Jar()
    if isinstance(value, list):
        for number, entry in enumerate(value, 1):
            _add(jar, entry, f"cookie {number}", site)
        if value and not jar.cookies and not jar.homeless:
            raise NotAJar
    elif isinstance(value, dict) and all(isinstance(v, str | int | float) for v in value.values()):
        for number, (name, content) in enumerate(value.items(), 1):
            _add(jar, {"name": name, "value": str(content)}, f"cookie {number}", site)
    else:
        raise NotAJar
    return jar


def _add(jar: Jar, entry: object, place: str, site: Site | None) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        jar.left_out.append(place)
        return
    domain = entry.get("domain") or entry.get("host")
    if not domain and site is None:
        jar.homeless += 1
        return
    cookie = _json_cookie(entry, domain, site)
    if cookie is None:
        jar.left_out.append(place)
    else:
        jar.cookies.append(cookie)


def entry_cookie(entry: Mapping[str, Any]) -> Cookie | None:
    """Return the cookie of an exported object with ``domain`` and ``name``, or None."""
    return _json_cookie(entry, entry.get("domain"), None)


def _json_cookie(entry: Mapping[str, Any], domain: object, site: Site | None) -> Cookie | None:
    value, path = entry.get("value", ""), entry.get("path") or "/"
    if domain:
        host_only = entry.get("hostOnly", not str(domain).startswith("."))
        secure = entry.get("secure", False)
    elif site is not None:
        domain, host_only, secure = site.domain, site.host_only, entry.get("secure", site.secure)
    else:
        return None
    if not (isinstance(value, str) and isinstance(path, str) and isinstance(domain, str)):
        return None
    found = next((entry[key] for key in _EXPIRES_KEYS if entry.get(key) is not None), None)
    try:
        expires = None if entry.get("session") is True else _expires(found)
    except ValueError:
        return None
    return imported(
        name=entry["name"],
        value=value,
        domain=domain,
        path=path,
        expires=expires,
        secure=bool(secure),
        http_only=bool(entry.get("httpOnly", False)),
        host_only=bool(host_only),
    )


def _expires(value: object) -> float | None:
    """Return an expiry in seconds since the epoch, or None for a session cookie (0, -1, "Session")."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not value or value.lower() == "session":
            return None
        if not _NUMBER.match(value):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        value = float(value)
    if not isinstance(value, int | float):
        raise ValueError("not a time")
    return end_of(value)
