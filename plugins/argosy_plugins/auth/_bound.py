"""Notices sessions that are bound to a device (W3C Device Bound Session Credentials, https://www.w3.org/TR/dbsc-1/).

The browser renews the short-lived cookies of such a session with a key that it cannot give away, so the session cannot be
taken along. A service offers it in a response; a Chromium that accepted keeps it in a file beside its cookies.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: Today's name, the one before, and the one of Google's own first version.
_FIELDS = ("Secure-Session-Registration", "Sec-Session-Registration", "Sec-Session-GoogleRegistration")
#: As in Chromium's net/device_bound_sessions/session_store_impl.cc.
_FILE, _SITES = "Device Bound Sessions", "SELECT key FROM dbsc_session_tbl"


class BoundSessions:
    """Tells a person once that a session is bound to a device, or may be."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._told = threading.Lock()  # taken by who tells, and kept

    def look(self, url: str, headers: Mapping[str, str]) -> None:
        """Look at the header fields of a response."""
        found = next((field for field in _FIELDS if field in headers), None)
        if found is not None and self._told.acquire(blocking=False):
            self._notice(
                f"{urlsplit(url).hostname} offers to bind the session to a device ({found}), which argosy cannot do."
                " If the session ends after some minutes, that is why: ask the service for another way to log in, such as"
                " a token for programs. A session that a browser has bound cannot be taken along."
            )

    def listen(self, http: Any) -> None:
        """Look at all responses of a requests session."""
        http.hooks["response"].append(lambda response, **options: self.look(response.url, response.headers))

    def tell_browser(self, browser: str, cookie_file: Path, wanted: Callable[[str], bool]) -> None:
        """Look for bound sessions of the wanted sites in a profile of Chromium."""
        path = cookie_file.with_name(_FILE)
        if not path.is_file():
            return
        keys: list[object] = []
        # a file that cannot be read says nothing
        with (
            contextlib.suppress(sqlite3.Error, ValueError),
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db,
        ):
            keys = [key for (key,) in db.execute(_SITES)]
        sites = sorted({host for key in keys if (host := _host(key)) and wanted(host)})
        if sites and self._told.acquire(blocking=False):
            self._notice(
                f"{browser} has bound its session at {', '.join(sites)} to this device, so it cannot be taken along: the"
                " cookies expire soon, and only the browser can renew them. Log in another way, if the service has one."
            )


def _host(key: object) -> str:
    """Return the host of a site as Chromium writes it: ``https://library.example``."""
    try:
        return urlsplit(str(key)).hostname or ""
    except ValueError:
        return ""
