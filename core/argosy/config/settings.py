"""The settings of a run: a valid configuration with its defaults filled in, typed; can be pickled."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import argosy_schemas
from argosy.config.location import Remote, is_url, remote_of
from argosy.config.schema import SLOTS, default_options, expand
from argosy.errors import ConfigError
from argosy.interfaces.auth import Auth
from argosy.models.session import origin_of
from argosy.models.shard import Shard, shard_of
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.state.shards import home_of

#: Variables that name a file of certificate authorities, in the order in which requests and curl look at them.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

#: ``{"use": NAME, ...options}``, valid, with the plugin's defaults filled in; secrets are still references.
PluginOptions = Mapping[str, Any]
Lease = Literal["exclusive", "exclusive-to-end", "shared", "auto"]
OnDoubt = Literal["login", "ask", "wait"]


class Timeout(NamedTuple):
    """The time limits of one request, in seconds."""

    connect: float
    headers: float  # until all headers have arrived
    read: float  # without any data of the body
    total: float = math.inf  # for the whole body


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run; ``config.v1.json`` describes the keys, and None leaves a choice to the run."""

    path: Path | None  # the configuration file, absolute
    base: Path  # relative paths are relative to this folder
    source: PluginOptions | None
    auth: PluginOptions
    cookie_store: PluginOptions
    strategy: PluginOptions | None
    output: tuple[PluginOptions, ...]  # at least one
    observers: tuple[PluginOptions, ...]
    ratelimit: PluginOptions | None
    transport: PluginOptions
    directory: Path  # for a remote target, the local folder of its ledger and staging
    remote: Remote | None
    shard: Shard | None = None  # None: all items
    max_workers: int
    session: str
    sessions: int | None = None
    lease: Lease
    token_cookies: tuple[str, ...]  # empty: all cookies are tokens
    on_doubt: OnDoubt | None = None
    doubt_wait: float = 0.0  # seconds, for on_doubt "wait"
    doubt_within: float | None = None  # seconds, for on_doubt "wait" of refreshes only
    max_logins: int
    token_save_interval: int
    download_delay: float
    max_retries: int
    retry_delay: float
    max_outage: float
    timeout: Timeout
    low_speed_limit: float
    max_size: int | None = None
    disk_reserve: int | None = None
    durability: Literal["file", "run"]
    ca_bundle: Path | None = None
    allow_downgrade: bool
    trust_environment: bool = False  # use the proxies and certificate authorities that it names
    proxy: str | Mapping[str, Any] | None = None  # its URL, or a reference to it
    user_agent: str = ""  # empty: that of argosy
    referer: str = ""  # a URL, or "self"
    headers: Mapping[str, str | Mapping[str, str]]  # values, or references to them
    header_origins: tuple[str, ...]  # empty: all
    force_redownload: bool
    tags: tuple[str, ...]  # empty: all items
    strict: bool

    @property
    def syncs_files(self) -> bool:
        """Whether each file is synced before it counts as done; remote storages always see to that."""
        return self.durability == "file" or self.remote is not None

    @property
    def home(self) -> Path:
        """The folder of the ledger and staging; shards have their own, which only their run writes to."""
        return home_of(self.directory, self.shard)

    @property
    def where(self) -> str:
        """The target directory for messages."""
        return str(self.directory) if self.remote is None else self.remote.url


def build(document: Mapping[str, Any], plugins: PluginManager, base: Path, path: Path | None) -> Settings:
    """Return the settings for a valid configuration; raise a ConfigError if a path or a plugin cannot be used."""
    properties = argosy_schemas.load("config.v1")["properties"]
    defaults = {key: schema["default"] for key, schema in properties.items() if "default" in schema}
    keys = {**defaults, **expand(document)}
    keys.pop("$schema", None)  # for editors
    keys.pop("profile", None)  # has been applied (`argosy.config.load`)
    auth = plugins.find(Kind.AUTH, keys["auth"]["use"]).cls
    if "cookie_store" not in document and issubclass(auth, Auth) and auth.anonymous:
        keys["cookie_store"] = {"use": "memory"}
    if "ratelimit" not in keys and plugins.get(Kind.RATELIMIT, "host") is not None:
        keys["ratelimit"] = {"use": "host"}
    for slot, kind in SLOTS.items():
        value = keys.get(slot, [])
        filled = [
            {**default_options(plugins.find(kind, part["use"]).options_schema), **part}
            for part in (value if isinstance(value, list) else [value])
        ]
        keys[slot] = tuple(filled) if slot in ("output", "observers") else next(iter(filled), None)
    remote = remote_of(keys["directory"], base)
    keys["directory"] = absolute(keys["directory"], base) if remote is None else remote.folder
    if keys.get("shard") is not None:
        keys["shard"] = shard_of(keys["shard"])
    tags = keys["tags"].split(",") if isinstance(keys["tags"], str) else keys["tags"]
    keys["tags"] = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    keys["token_cookies"] = tuple(keys["token_cookies"])
    keys["timeout"] = Timeout(**{**defaults["timeout"], **keys["timeout"]})
    keys["header_origins"] = tuple(map(origin_of, keys["header_origins"]))
    if isinstance(doubt := keys.get("on_doubt"), dict):
        keys |= {"on_doubt": "wait", "doubt_wait": doubt["wait"], "doubt_within": doubt.get("within")}
        if doubt.get("within", math.inf) <= doubt["wait"]:
            raise ConfigError('"on_doubt" must have a "within" that is longer than its "wait".')
    variable = next(filter(os.environ.get, CA_VARIABLES), None) if keys["trust_environment"] else None
    if "ca_bundle" in keys:
        keys["ca_bundle"] = _certificates(absolute(keys["ca_bundle"], base), '"ca_bundle"')
    elif variable is not None:
        keys["ca_bundle"] = _certificates(Path(os.environ[variable]).absolute(), variable)
    return Settings(path=path, base=base, remote=remote, **keys)


def absolute(value: str, base: Path) -> Path:
    """Return a path of the configuration, absolute, with ``~`` expanded."""
    if is_url(value.replace(":/", "://", 1)):  # not repeated, as it may contain a password
        hint = "Pass a URL as text, not as a Path; start with ./ if it is the name of a folder."
        raise ConfigError("The path looks like a URL with one slash instead of two.", hint=hint)
    try:
        return (base / Path(value).expanduser()).absolute()
    except RuntimeError:
        hint = "If that is the name of the folder, write ./ in front of it."
        raise ConfigError(f"{value!r} names the home folder of an unknown user.", hint=hint) from None


def _certificates(path: Path, name: str) -> Path:
    """Return the path of a CA bundle; raise a ConfigError now if every request would fail with it."""
    import ssl  # slow to import, and few configurations need it

    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        hint = f"Set {name} to a file of PEM certificates."
        raise ConfigError(f"The CA bundle {path} cannot be used: {reason}.", hint=hint) from None
    return path
