"""Reads the cookies of one site from the profile of an installed browser.

Firefox and its relatives keep cookies in plain SQLite, and those of the running session in a file beside it. Chromium
and its relatives encrypt them with a key from the desktop's keyring; browser-cookie3 decrypts them.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from argosy.errors import ConfigError, LoginFailed
from argosy.models.cookie import Cookie
from argosy_plugins.auth.jar_formats import entry_cookie

#: The browsers, by their names in browser-cookie3.
CHROMIUMS = ("brave", "chrome", "chromium", "edge", "opera", "vivaldi")
FIREFOXES = ("firefox", "librewolf")
BROWSERS = (*CHROMIUMS, *FIREFOXES)

_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "firefox": (
        ".mozilla/firefox",
        ".config/mozilla/firefox",
        "snap/firefox/common/.mozilla/firefox",
        ".var/app/org.mozilla.firefox/.mozilla/firefox",
        "Library/Application Support/Firefox/Profiles",
    ),
    "librewolf": (
        ".librewolf",
        ".var/app/io.gitlab.librewolf-community/.librewolf",
        "Library/Application Support/librewolf/Profiles",
    ),
}
#: The first bytes of a file that Mozilla compressed with LZ4.
_LZ4_MAGIC = b"mozLz40\0"
_NAME_CHROMIUMS_PROFILE = 'Name the folder that its page chrome://version shows as profile path: "profile".'
_EXTRA = "Install what reads it: pip install 'argosy[browser]'."

#: Decides whether to take the cookies of a host (without a leading dot).
Wanted = Callable[[str], bool]


def browser_cookies(browser: str, profile: Path | None, wanted: Wanted) -> tuple[Path, list[Cookie]]:
    """Return a browser's cookie file and the selected cookies.

    Without `profile`, Firefox's most recent or Chromium's first profile is used. Raises ConfigError if a library is
    missing, and LoginFailed if there is no such browser or profile, or its cookies cannot be read.
    """
    if browser in FIREFOXES:
        path = _firefox_file(browser, profile)
        return path, [*_from_firefox(path, wanted), *_from_running_firefox(path.parent, wanted)]
    return _from_chromium(browser, profile, wanted)


# -- Firefox


def _firefox_file(browser: str, profile: Path | None) -> Path:
    if profile is not None:
        found = [profile / "cookies.sqlite"]
    else:
        folders = [Path.home() / folder for folder in _FOLDERS[browser]]
        found = [path for folder in folders for path in folder.glob("*/cookies.sqlite")]
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    if not found or not found[0].is_file():
        place = f"in {profile}" if profile is not None else "on this account"
        raise LoginFailed(
            f"There are no cookies of {browser} {place}.",
            hint='Name the folder that its page about:profiles shows as root directory: "profile".',
        )
    return found[0]


def _from_firefox(path: Path, wanted: Wanted) -> Iterator[Cookie]:
    # the running browser locks its database, and the newest cookies are in the log beside it
    with tempfile.TemporaryDirectory(prefix="argosy-") as folder:  # readable only by this user
        try:
            for name in (path.name, f"{path.name}-wal"):
                if path.with_name(name).exists():
                    shutil.copyfile(path.with_name(name), Path(folder, name))
            db = sqlite3.connect(Path(folder, path.name))
            try:
                yield from _rows(db, wanted)
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise _unreadable(path, error) from None


def _rows(db: sqlite3.Connection, wanted: Wanted) -> Iterator[Cookie]:
    columns = {row[1] for row in db.execute("PRAGMA table_info(moz_cookies)")}
    # cookies of containers, private windows and embedded pages belong to other sessions
    own = "originAttributes = ''" if "originAttributes" in columns else "1"
    query = f"SELECT host, name, value, path, expiry, isSecure, isHttpOnly FROM moz_cookies WHERE {own}"  # noqa: S608 - of constants
    for host, name, value, place, expiry, secure, http_only in db.execute(query):
        if wanted(str(host).lstrip(".")):
            cookie = entry_cookie(
                {
                    "domain": host,
                    "name": name,
                    "value": value,
                    "path": place,
                    "expires": expiry,
                    "secure": bool(secure),
                    "httpOnly": bool(http_only),
                }
            )
            if cookie is not None:
                yield cookie


def _from_running_firefox(profile: Path, wanted: Wanted) -> Iterator[Cookie]:
    """Yield the session cookies, which Firefox keeps in another file while it runs."""
    files = [profile / "sessionstore-backups" / "recovery.jsonlz4", profile / "sessionstore.jsonlz4"]
    path = next((path for path in files if path.exists()), None)
    if path is None:
        return
    try:
        import lz4.block
    except ImportError:
        raise ConfigError(
            "The browser keeps cookies in a compressed file, and what reads it is not installed.", hint=_EXTRA
        ) from None
    try:
        raw = path.read_bytes()
        state = json.loads(lz4.block.decompress(raw.removeprefix(_LZ4_MAGIC)))
        entries = [entry for entry in state.get("cookies", []) if isinstance(entry["name"], str)]
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, lz4.block.LZ4BlockError):
        raise LoginFailed(f"The session file {path} of the browser cannot be read.") from None
    for entry in entries:
        host = str(entry.get("host") or "")
        if any((entry.get("originAttributes") or {}).values()) or not wanted(host.lstrip(".")):
            continue
        cookie = entry_cookie({**entry, "domain": host, "httpOnly": entry.get("httponly", False)})
        if cookie is not None:
            yield cookie


# -- Chromium


def _from_chromium(browser: str, profile: Path | None, wanted: Wanted) -> tuple[Path, list[Cookie]]:
    try:
        import browser_cookie3
    except ImportError:
        raise ConfigError(
            f"The cookies of {browser} are encrypted, and what decrypts them is not installed.", hint=_EXTRA
        ) from None
    path = None if profile is None else _chromium_file(browser, profile)
    try:
        made = getattr(browser_cookie3, browser.capitalize())(cookie_file=None if path is None else str(path))
    except browser_cookie3.BrowserCookieError:
        raise LoginFailed(f"There are no cookies of {browser} on this account.", hint=_NAME_CHROMIUMS_PROFILE) from None
    except (
        KeyError,
        ValueError,
        OSError,
        RuntimeError,
    ) as error:  # a KeyError if no variable says where the keyring is
        raise LoginFailed(
            f"The key to the cookies of {browser} is in the desktop's keyring, which cannot be reached from here"
            f" ({type(error).__name__}).",
            hint="Run it in a terminal of that desktop, or export the cookies to a file.",
        ) from None
    path = Path(made.cookie_file)
    found: list[Any] = []
    try:
        for host in _chromium_hosts(path, wanted):
            made.domain_name = host
            found += [cookie for cookie in made.load() if wanted(cookie.domain.lstrip("."))]
    # AttributeError: the library's result if the file is not a browser's database
    except (
        browser_cookie3.BrowserCookieError,
        sqlite3.Error,
        OSError,
        RuntimeError,
        AttributeError,
    ) as error:
        raise _unreadable(path, error) from None
    cookies = {cookie.key: cookie for cookie in map(_of_library, found) if cookie is not None}
    return path, list(cookies.values())


def _chromium_file(browser: str, profile: Path) -> Path:
    for place in ("Network/Cookies", "Cookies"):  # its current and its former place
        if (profile / place).is_file():
            return profile / place
    raise LoginFailed(
        f"There are no cookies of {browser} in {profile}.",
        hint=_NAME_CHROMIUMS_PROFILE,
    )


def _chromium_hosts(path: Path, wanted: Wanted) -> list[str]:
    """Return the hosts with selected cookies, because the library only filters by a part of the name."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        return [host for (host,) in db.execute("SELECT DISTINCT host_key FROM cookies") if wanted(host.lstrip("."))]
    finally:
        db.close()


def _of_library(found: Any) -> Cookie | None:
    return entry_cookie(
        {
            "domain": found.domain,
            "name": found.name,
            "value": found.value,
            "path": found.path,
            "expires": found.expires,
            "secure": bool(found.secure),
            "httpOnly": found.has_nonstandard_attr("HTTPOnly"),
        }
    )


def _unreadable(path: Path, error: Exception) -> LoginFailed:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return LoginFailed(
        f"The cookies in {path} cannot be read: {reason}.",
        hint="Check the profile, or export the cookies from the browser to a file.",
    )
