"""Target directories: the URLs of remote ones, the local folders with their ledgers, and their storage."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from argosy.errors import ConfigError, StorageError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.storage import OBJECT_STORES, Storage
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.toolkit.files import atomic_write

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")
#: Protocols with user names in URLs; in others, the part before an @ is a key, half of a secret.
_WITH_USERS = frozenset({"sftp", "ssh", "ftp", "smb"})
#: Options that identify the service: two services may have buckets of the same name.
_PLACES = ("endpoint_url", "endpoint", "host", "port", "account_name")
#: Schemes that a plugin of another name is for.
_ALIASES = {"s3a": "s3", "ssh": "sftp"}
#: The file in the local folder that holds the URL and the options.
NOTE = "target.json"


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote target directory."""

    url: str  # without a trailing slash
    options: Mapping[str, Any] = field(default_factory=dict)  # secrets are references, with absolute paths

    @property
    def folder(self) -> Path:
        """The local folder of its ledger and staging; the same for every URL of the same place."""
        places = [self.options.get(key) for key in _PLACES]
        places.append(self.options.get("client_kwargs", {}).get("endpoint_url"))
        where = [self.url, *(place.rstrip("/") if isinstance(place, str) else place for place in places)]
        mark = hashlib.blake2b(json.dumps(where, default=str).encode(), digest_size=8).hexdigest()
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.url).strip("-")[:40]
        return targets() / f"{name}-{mark}"

    def note(self, private: Path) -> None:
        """Store the options in the local folder, for commands that get only the URL."""
        text = json.dumps(asdict(self), indent=2)
        path = private / NOTE
        if not path.exists() or path.read_bytes() != text.encode():
            with atomic_write(path) as file:
                file.write(text)


def is_url(value: object) -> TypeGuard[str]:
    """Return whether a directory is a URL."""
    return isinstance(value, str) and _URL.match(value) is not None


def remote_of(value: str | Mapping[str, Any], base: Path) -> Remote | None:
    """Return the remote directory for ``directory`` of a valid configuration, or None for a local one."""
    if isinstance(value, Mapping):
        return _remote(str(value["url"]), _absolute(value.get("options", {}), base))
    return _remote(value, {}) if is_url(value) else None


def open_storage(remote: Remote | None, plugins: PluginManager, context: PluginContext) -> Storage:
    """Return the storage of a local or remote target directory, without connecting to it."""
    if remote is None:
        return plugins.make(Storage, {"use": "folder"}, context)
    scheme = remote.url.partition("://")[0]
    name = _ALIASES.get(scheme, scheme)
    if plugins.get(Kind.STORAGE, name) is None:
        name = "fsspec"
    return plugins.make(Storage, {"use": name, "url": remote.url, "options": remote.options}, context)


def _remote(url: str, options: Mapping[str, Any]) -> Remote:
    for key, option in options.items():
        if re.search(r"://[^/\s]*@", json.dumps(option, default=str)):
            hint = 'Store the whole URL elsewhere, and refer to it: {"env": NAME} or {"file": PATH}.'
            message = f"The option {key} of the directory contains a URL with a user name or password."
            raise ConfigError(message, hint=hint)
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if (problem := _problem(scheme, rest)) is not None:
        hint = "Write s3://bucket/folder or sftp://host/absolute/folder; put user names and passwords into the options."
        raise ConfigError(f"The URL of the directory {problem}.", hint=hint)
    host, slash, path = rest.rstrip("/").partition("/")
    if scheme in _WITH_USERS:
        user, at, name = host.rpartition("@")
        host = f"{user}{at}{name.lower()}"
    return Remote(f"{scheme}://{host}{slash}{path}", options)


def _absolute(value: Any, base: Path) -> Any:
    """Return options with absolute paths of secret files."""
    if isinstance(value, list | tuple):
        return [_absolute(inner, base) for inner in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"file"} and isinstance(value["file"], str):
        return {"file": str(base / Path(value["file"]).expanduser())}
    return {key: _absolute(inner, base) for key, inner in value.items()}


def targets() -> Path:
    """Return the folder of the local folders of remote target directories."""
    import platformdirs  # slow to import

    folder = platformdirs.user_state_path("argosy")
    if not folder.is_absolute():
        raise StorageError("The home folder of this user is unknown.", hint="Set HOME to an absolute path.")
    return folder / "targets"


def _problem(scheme: str, rest: str) -> str | None:
    """Return what is wrong with a URL, without repeating any part of it, as it may contain a password."""
    host, _, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    is_local, has_folder = scheme in ("file", "local"), scheme not in ("memory", *OBJECT_STORES)
    problems = {
        "has a user name or a password in it": at and (":" in user or scheme not in _WITH_USERS),
        "begins with ~, which only a shell expands": has_folder and path.split("/")[0] == "~",
        "is one of the web, where nothing can be written": scheme in ("http", "https"),
        "has an invalid port": not re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:[0-9]{1,5})?", host),
        "names a folder, but not from the root": is_local and not rest.startswith("/"),
        "has no host or bucket": not is_local and scheme != "memory" and not host,
        "names no folder": has_folder and not path.rstrip("/"),
        "has a query, a fragment, a space or a control character": re.search(r"[\x00-\x20\x7f?#]", rest),
        "has an empty part, or a part . or ..": re.search(r"//|(^|/)\.\.?(/|$)", rest.rstrip("/")),
    }
    return next((problem for problem, is_wrong in problems.items() if is_wrong), None)
