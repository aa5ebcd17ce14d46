"""Cookies that come from files: Netscape's ``cookies.txt``, as curl, wget, yt-dlp and browser extensions write it.

A line has seven fields with tabs between them: domain, whether hosts below it get the cookie, path, whether it needs https,
expiry (seconds since the epoch, 0 for a session cookie), name, value. The line of a cookie that scripts must not see begins
with ``#HttpOnly_``; any other line that begins with ``#`` is a comment.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from argosy.models.cookie import Cookie

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# a larger time is in milliseconds: in seconds it would be after the year 5000
_MILLISECONDS = 1e11


def imported(**fields: Any) -> Cookie | None:
    """Return a cookie with these fields, or None if it could end a header or begin another cookie, or has no domain.

    Parameters
    ----------
    fields
        Those of `Cookie`; the domain may begin with a dot, and a path that does not begin with a slash is ``/``.
    """
    domain = fields["domain"].strip().lower().lstrip(".")
    path = fields["path"]
    unsafe = any(_CONTROL.search(fields[key]) for key in ("name", "value", "domain", "path"))
    if unsafe or ";" in fields["name"] + fields["value"] or not domain or not (fields["name"] or fields["value"]):
        return None
    return Cookie(**{**fields, "domain": domain, "path": path if path.startswith("/") else "/"})


def end_of(value: float) -> float | None:
    """Return an expiry in seconds since the epoch, of seconds or milliseconds; None for a session cookie (0, -1).

    Raises
    ------
    ValueError
        If it is not a time.
    """
    if not math.isfinite(value):
        raise ValueError("not a time")
    if value <= 0:
        return None
    return float(value) / 1000 if value > _MILLISECONDS else float(value)


#: The first line; Python's `http.cookiejar` requires it.
TITLE = "# Netscape HTTP Cookie File"

#: The prefix of a cookie that scripts must not see; wget takes such a line for a comment.
HTTP_ONLY = "#HttpOnly_"
_FLAGS = {"TRUE": True, "FALSE": False}


def is_comment(line: str) -> bool:
    """Return whether a line is empty or a comment."""
    return not line.strip() or (line.startswith("#") and not line.startswith(HTTP_ONLY))


def parse_line(line: str) -> Cookie | None:
    """Return the cookie of a line that is not a comment; None if it is invalid.

    Parameters
    ----------
    line
        The line, without its end.
    """
    http_only = line.startswith(HTTP_ONLY)
    fields = line.removeprefix(HTTP_ONLY).split("\t")
    # some tools put spaces in place of the tabs, or leave out the tab before an empty value
    if len(fields) == 1:
        fields = fields[0].split(None, 6)
    if len(fields) == 6:
        fields.append("")
    if len(fields) != 7:
        return None
    domain, below, path, secure, expires, name, value = fields
    tail, only = _FLAGS.get(below.upper()), _FLAGS.get(secure.upper())
    if tail is None or only is None:
        return None
    try:
        end = end_of(float(expires or 0))
    except ValueError:
        return None
    host, port = _host_and_port(domain)
    return imported(
        name=name,
        value=value,
        domain=host,
        path=path,
        expires=end,
        secure=only,
        http_only=http_only,
        host_only=not tail and not host.startswith("."),
        port=port,
    )


def _host_and_port(domain: str) -> tuple[str, int | None]:
    """Split ``host:port``, which wget writes for cookies of an unusual port."""
    host, colon, port = domain.rpartition(":")
    if colon and port.isdecimal() and port.isascii() and int(port) < 65536 and (":" not in host or "]" in host):
        return host.strip("[]"), int(port)
    return domain, None


def line_of(cookie: Cookie) -> str | None:
    """Return the line of a cookie, or None if the format cannot express it: no name, or a tab in it.

    A line has no scheme and no port, and its expiry is in whole seconds.
    """
    # 0 would turn an expired cookie into a session cookie
    end = 0 if cookie.expires is None else max(int(cookie.expires), 1)
    domain = cookie.domain if cookie.host_only else f".{cookie.domain}"
    fields = (
        domain,
        "FALSE" if cookie.host_only else "TRUE",
        cookie.path,
        "TRUE" if cookie.secure else "FALSE",
        str(end),
        cookie.name,
        cookie.value,
    )
    line = (HTTP_ONLY if cookie.http_only else "") + "\t".join(fields)
    if not cookie.name or not cookie.name.strip() or not _is_latin_1(line):
        return None
    said = replace(cookie, expires=float(end) or None, scheme=None, port=None)
    return line if parse_line(line) == said else None


def _is_latin_1(text: str) -> bool:
    # as in a header: each character is a byte
    return text.isascii() or max(text) <= "\xff"
