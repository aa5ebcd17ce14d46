"""Remote target directories: their URLs, and the local folders with their ledgers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from argosy.errors import ConfigError, StorageError
from argosy.interfaces.storage import OBJECT_STORES
from argosy.toolkit.files import atomic_write

#: The start of a URL; no path of a folder starts like this.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")

#: A URL that went through `pathlib`, which drops a slash.
_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")

#: A URL with a user name or a password, perhaps within other text.
_USERINFO = re.compile(r"://[^/\s]*@")

#: Protocols with user names in URLs; elsewhere, the part before an @ is a key, half of a secret.
_WITH_USERS = frozenset({"sftp", "ssh", "ftp", "smb"})

#: Options that identify the service: two services may have buckets of the same name.
_PLACES = ("endpoint_url", "endpoint", "host", "port", "account_name")

#: The file in the local folder that holds the URL and the options.
_NOTE = "target.json"


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote target directory.

    Parameters
    ----------
    url
        Its URL, without a trailing slash.
    options
        Options of its storage plugin; secrets are references (``{"env": NAME}``), so it can be pickled.
    base
        The absolute folder that relative paths of references are relative to.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path("/")

    @property
    def protocol(self) -> str:
        """The scheme of its URL, such as ``s3`` or ``sftp``."""
        return self.url.partition("://")[0]

    @property
    def folder(self) -> Path:
        """The local folder of its ledger and staging; the same for every URL of the same place.

        Raises
        ------
        StorageError
            If the user's home folder is unknown.
        """
        client = self.options.get("client_kwargs")
        places = [self.options.get(key) for key in _PLACES]
        places.append(client.get("endpoint_url") if isinstance(client, Mapping) else None)
        where = [self.url, *(place.rstrip("/") if isinstance(place, str) else place for place in places)]
        mark = hashlib.blake2b(json.dumps(where, default=str).encode(), digest_size=8).hexdigest()
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.url).strip("-")[:40]
        return _targets() / f"{name}-{mark}"

    def configured(self) -> dict[str, Any]:
        """Return it as the value of ``directory`` in a configuration in any folder."""
        return {"url": self.url, "options": _absolute(self.options, self.base)}

    def note(self, private: Path) -> None:
        """Store the options in the local folder, for commands that get only the URL."""
        text = json.dumps({"url": self.url, "options": self.options, "base": str(self.base)}, indent=2)
        path = private / _NOTE
        if not path.exists() or path.read_bytes() != text.encode():  # a damaged file may not be UTF-8
            with atomic_write(path) as file:
                file.write(text)


def is_url(value: object) -> bool:
    """Return whether a directory is a URL."""
    return isinstance(value, str) and _URL.match(value) is not None


def refuse_one_slash(path: str) -> None:
    """Raise a ConfigError if a path is a URL that has lost a slash; the message does not repeat it."""
    if _ONE_SLASH.match(path):
        raise ConfigError(
            "The directory looks like a URL with one slash instead of two.",
            hint="Pass s3://bucket/folder as a string, not as a Path; or start with ./ if it is the name of a folder.",
        )


def remote_of(value: str | Mapping[str, Any], base: Path) -> Remote | None:
    """Return the remote directory for ``directory`` of a valid configuration, or None for a local one.

    Raises
    ------
    ConfigError
        If the URL is not valid. The message does not show a password in it.
    """
    if isinstance(value, Mapping):
        url, options = str(value["url"]), dict(value.get("options", {}))
    elif is_url(value):
        url, options = value, {}
    else:
        refuse_one_slash(value)
        return None
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    wrong = _problem(scheme, rest)
    if wrong is not None:
        found, hint = wrong
        raise ConfigError(f"The URL of the directory {found}.", hint=hint)
    secret = _with_password(options)
    if secret is not None:
        raise ConfigError(
            f"The option {secret} of the directory contains a URL with a user name or a password (not shown here).",
            hint='Store the whole URL elsewhere, and refer to it: {"env": NAME} or {"file": PATH}.',
        )
    host, slash, path = rest.rstrip("/").partition("/")
    if scheme in _WITH_USERS:
        user, at, name = host.rpartition("@")
        host = f"{user}{at}{name.lower()}"
    return Remote(f"{scheme}://{host}{slash}{path}", options, base)


def recalled(url: str) -> Remote:
    """Return the remote directory of a URL with the options of an earlier run.

    Raises
    ------
    ConfigError
        If the URL is not valid, or was used with two services.
    """
    plain = remote_of(url, Path.cwd())
    assert plain is not None  # noqa: S101 - it is a URL
    found = []
    for path in sorted(_targets().glob(f"*/*/{_NOTE}")):
        try:
            noted = json.loads(path.read_text("utf-8"))
            remote = Remote(str(noted["url"]), dict(noted["options"]), Path(noted["base"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # a run died while writing it, so its ledger is empty
        if remote.url == plain.url:
            found.append(remote)
    if len(found) > 1:
        raise ConfigError(
            f"{plain.url} was used at {len(found)} services.",
            hint="Give the configuration of the download instead of the URL.",
        )
    return found[0] if found else plain


def _absolute(value: Any, base: Path) -> Any:
    """Return options with absolute paths of secret files."""
    if isinstance(value, Mapping):
        if value.keys() == {"file"} and isinstance(value["file"], str):
            return {"file": str(base / Path(value["file"]).expanduser())}
        return {key: _absolute(inner, base) for key, inner in value.items()}
    return value


def _with_password(value: Any, place: str = "") -> str | None:
    """Return the place in options of a URL with a user name or a password, or None."""
    if isinstance(value, str):
        return place if _USERINFO.search(value) else None
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value, 1)
    found = (_with_password(v, f"{place}.{key}" if place else str(key)) for key, v in inner)
    return next((where for where in found if where is not None), None)


def _targets() -> Path:
    import platformdirs  # slow to import

    folder = platformdirs.user_state_path("argosy")
    if not folder.is_absolute():
        raise StorageError(
            "The directory is a URL, and its ledger has no place: the home folder of this user is unknown.",
            hint="Set HOME, or XDG_STATE_HOME, to an absolute path.",
        )
    return folder / "targets"


def _problem(scheme: str, rest: str) -> tuple[str, str] | None:
    """Return what is wrong with a URL, and a hint; neither repeats any part of it."""
    example = "It looks like s3://bucket/folder or sftp://host/folder."
    user, at, host = rest.partition("/")[0].rpartition("@")
    if at and (":" in user or scheme not in _WITH_USERS):
        return (
            "has a user name or a password in it (not shown here)",
            'Move it to the options, and secrets to another place: "directory": {"url": "sftp://host/folder", "options": {"username": "ada", "password": {"env": "STORAGE_PASSWORD"}}}.',
        )
    local, has_path = scheme in ("file", "local"), scheme not in ("memory", *OBJECT_STORES)
    path = rest.partition("/")[2]
    if has_path and path.split("/")[0] == "~":
        return (
            "begins with ~, which only a shell expands",
            "Give an absolute path: sftp://host/home/ada/library.",
        )
    problems = {
        "has two protocols": "::" in scheme,
        "is one of the web, where nothing can be written": scheme in ("http", "https"),
        "has a query or a fragment": "?" in rest or "#" in rest,
        "has an invalid port": not _has_valid_port(f"{scheme}://{rest}"),
        "names a folder, but not from the root": local and not rest.startswith("/"),
        "has no host or bucket": not local and scheme != "memory" and not host,
        "names no folder": has_path and not path.rstrip("/"),
        "has a space or a control character": re.search(r"[\x00-\x20\x7f]", rest) is not None,
        "has a part . or ..": not {".", ".."}.isdisjoint(rest.split("/")),
        "has an empty part (//)": "//" in rest.rstrip("/"),
    }
    return next(((what, example) for what, wrong in problems.items() if wrong), None)


def _has_valid_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - it raises
    except ValueError:
        return False
    return True
