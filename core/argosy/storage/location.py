"""A target directory that is not on this machine: its URL, and the local folder that belongs to it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from argosy.errors import ConfigError, StorageError

#: What a URL begins with; a folder's path does not.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")

#: A URL with a slash too few, as a path is written anew that was one.
_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")

#: A URL with a user name or a password in it, perhaps within other text.
_USERINFO = re.compile(r"://[^/\s]*@")

#: Where users of the place are named in its URL. What stands before an @ elsewhere is half of a secret.
_WITH_USERS = frozenset({"sftp", "ssh", "ftp", "smb"})

#: Protocols of object storage: a file appears there under its name at the end of its upload, or not at all.
OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "obs", "oci"})

#: Options that say which service is meant: two services may each have a bucket of one name.
_PLACES = ("endpoint_url", "endpoint", "host", "port", "account_name")

#: The file in the local folder that says what it belongs to.
_NOTE = "target.json"


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote target directory; it may be pickled, as secrets in it are references.

    Parameters
    ----------
    url
        Its URL, without a slash at its end.
    options
        Options of the file system; secrets in them are references (``{"env": NAME}``).
    base
        The folder that relative paths of references are relative to, absolute.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path("/")

    @property
    def protocol(self) -> str:
        """Which kind of storage it is: ``s3``, ``sftp``, ..."""
        return self.url.partition("://")[0]

    @property
    def folder(self) -> Path:
        """The local folder of its ledger and its staging: always the same one for the same place.

        Raises
        ------
        StorageError
            If nobody knows where this user's files lie.
        """
        client = self.options.get("client_kwargs")
        places = [self.options.get(key) for key in _PLACES]
        places.append(client.get("endpoint_url") if isinstance(client, Mapping) else None)
        # one service has one ledger, with a slash at the end of its URL or without
        where = [self.url, *(place.rstrip("/") if isinstance(place, str) else place for place in places)]
        mark = hashlib.blake2b(json.dumps(where, default=str).encode(), digest_size=8).hexdigest()
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.url).strip("-")[:40]
        return _targets() / f"{name}-{mark}"

    def configured(self) -> dict[str, Any]:
        """Return it as a configuration has it, whose folder may be any other."""
        return {"url": self.url, "options": _absolute(self.options, self.base)}

    def note(self, private: Path) -> None:
        """Write down what a local folder belongs to, for commands that are given nothing but the URL.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        text = json.dumps({"url": self.url, "options": self.options, "base": str(self.base)}, indent=2)
        path = private / _NOTE
        if not path.exists() or path.read_bytes() != text.encode():  # a damaged one need not be text
            temporary = path.with_suffix(f".{os.getpid()}")  # another run may be starting at this very moment
            temporary.write_text(text, "utf-8")
            temporary.replace(path)


def is_url(value: object) -> bool:
    """Return whether a directory is given as a URL."""
    return isinstance(value, str) and _URL.match(value) is not None


def refuse_one_slash(path: str) -> None:
    """Raise where a folder is a URL that has lost a slash, as `pathlib` takes it for one too many.

    Raises
    ------
    ConfigError
        If it is; nothing of it is repeated.
    """
    if _ONE_SLASH.match(path):
        raise ConfigError(
            "The directory looks like a URL with one slash where there should be two.",
            hint="Write s3://bucket/folder, as a text and not as a path; or ./ in front if that is the folder's name.",
        )


def remote_of(value: str | Mapping[str, Any], base: Path) -> Remote | None:
    """Return the remote directory that a valid ``directory`` of a configuration means; None for a local one.

    Raises
    ------
    ConfigError
        If the URL cannot be that of a directory, or a folder is one with a slash too few. The message does not show a password in it.
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
            f"The option {secret} of the directory is a URL with a user name or a password in it (it is not shown here).",
            hint='Keep the whole URL elsewhere, and refer to it: {"env": NAME} or {"file": PATH}.',
        )
    host, slash, path = rest.rstrip("/").partition("/")
    if scheme in _WITH_USERS:
        user, at, name = host.rpartition("@")
        host = f"{user}{at}{name.lower()}"
    return Remote(f"{scheme}://{host}{slash}{path}", options, base)


def recalled(url: str) -> Remote:
    """Return the remote directory of a URL with the options that an earlier run had.

    Raises
    ------
    ConfigError
        If the URL is none of a directory, or two services have one of this URL.
    """
    plain = remote_of(url, Path.cwd())
    assert plain is not None  # noqa: S101 - it is a URL
    found = []
    for path in sorted(_targets().glob(f"*/*/{_NOTE}")):
        try:
            noted = json.loads(path.read_text("utf-8"))
            remote = Remote(str(noted["url"]), dict(noted["options"]), Path(noted["base"]))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # of a run that died while it was written: its ledger is empty
        if remote.url == plain.url:
            found.append(remote)
    if len(found) > 1:
        raise ConfigError(
            f"{plain.url} is a directory at {len(found)} services that were used here.",
            hint="Give the configuration of the download instead: it says which one is meant.",
        )
    return found[0] if found else plain


def _absolute(value: Any, base: Path) -> Any:
    """Return options in which the files of secrets have absolute paths."""
    if isinstance(value, Mapping):
        if value.keys() == {"file"} and isinstance(value["file"], str):
            return {"file": str(base / Path(value["file"]).expanduser())}
        return {key: _absolute(inner, base) for key, inner in value.items()}
    return value


def _with_password(value: Any, place: str = "") -> str | None:
    """Return where in options there is a URL with a user name or a password in it."""
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
    import platformdirs  # takes its time, and few results are remote

    folder = platformdirs.user_state_path("argosy")
    if not folder.is_absolute():
        raise StorageError(
            "The directory is a URL, and nobody knows the home folder of this user, where its ledger would lie.",
            hint="Set HOME, or XDG_STATE_HOME, to an absolute path.",
        )
    return folder / "targets"


def _problem(scheme: str, rest: str) -> tuple[str, str] | None:
    """Return what is wrong with a URL, and what to do; nothing of it is repeated."""
    example = "It looks like s3://bucket/folder or sftp://host/folder."
    if "::" in scheme:
        return "has two protocols", example
    if scheme in ("http", "https"):
        return "is one of the web, where nothing can be written", example
    user, at, host = rest.partition("/")[0].rpartition("@")
    if at and (":" in user or scheme not in _WITH_USERS):
        return (
            "has a user name or a password in it (it is not shown here)",
            'Options stand beside it, and secrets somewhere else: "directory": {"url": "sftp://host/folder", "options": {"username": "ada", "password": {"env": "STORAGE_PASSWORD"}}}.',
        )
    if "?" in rest or "#" in rest:
        return "has a query or a fragment", f"{example} Options stand beside it, in 'options'."
    try:
        urlsplit(f"{scheme}://{rest}").port  # noqa: B018 - it raises
    except ValueError:
        return "has a port that is none", example
    if scheme in ("file", "local") and not rest.startswith("/"):
        return "names a folder, but not from the root", "It looks like file:///srv/library."
    if scheme not in ("file", "local", "memory") and not host:
        return "has no host or bucket", example
    if scheme not in ("memory", *OBJECTS) and not rest.rstrip("/").partition("/")[2]:
        return "names no folder", example
    return _problem_of_path(scheme, rest, example)


def _problem_of_path(scheme: str, rest: str, example: str) -> tuple[str, str] | None:
    if re.search(r"[\x00-\x20\x7f]", rest):
        return "has a space or a control character", example
    if any(part in (".", "..") for part in rest.split("/")):
        return "has a part . or ..", example
    if "//" in rest.rstrip("/"):
        return "has an empty part (//)", example
    if scheme not in ("memory", *OBJECTS) and rest.split("/")[1] == "~":
        return (
            "begins with ~, which is a home folder only for a shell",
            "Give the path from the root: sftp://host/home/ada/library.",
        )
    return None
