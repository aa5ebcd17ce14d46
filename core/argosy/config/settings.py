"""The settings of a run: the configuration with every default filled in, typed, and fit to be pickled."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import argosy_schemas
from argosy.config.check import SLOTS, expand
from argosy.config.schema import default_options, plain
from argosy.errors import ConfigError
from argosy.interfaces.auth import Auth
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from argosy.storage.location import Remote, remote_of

#: ``{"use": NAME, ...options}``, valid, with the plugin's defaults filled in; secrets are still references.
PluginOptions = Mapping[str, Any]
Lease = Literal["exclusive", "exclusive-to-end", "shared", "auto"]
OnDoubt = Literal["login", "ask", "wait"]


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long one request may take to get on.

    Parameters
    ----------
    connect, headers, read, total
        Seconds until a connection is made, until the headers are in, that a body may stand still, and until
        it must be whole.
    """

    connect: float
    headers: float
    read: float
    total: float = math.inf


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings; the keys have the names and meanings of ``config.v1.json``.

    Parameters
    ----------
    path
        The configuration file, absolute; None where there is none.
    base
        The folder that relative paths of the configuration are relative to, absolute.
    source
        None where the configuration has none.
    ratelimit
        None to limit requests per process.
    strategy
        None where it is left to `max_workers`.
    output, observers
        One or more outputs, any number of observers.
    directory
        The target directory, absolute; of a remote one, the local folder of its ledger and its staging.
    remote
        The target directory where it is not on this machine; else None.
    sessions
        None where it is left to what the auth plugin has to give.
    token_cookies
        The names of the cookies that are tokens; empty where all are.
    on_doubt
        None where it is left to what the auth plugin can do.
    doubt_wait
        Seconds to wait, for ``on_doubt`` "wait"; else 0.
    download_delay, retry_delay, max_outage
        Seconds.
    low_speed_limit
        Bytes per second, over the seconds of ``timeout.read``.
    max_size, disk_reserve
        Bytes; None where they are left to the defaults of `argosy.transfer.limits`.
    ca_bundle
        The certificate authorities to trust, absolute; None for the usual ones.
    allow_downgrade
        Whether a redirect may lead from https to http.
    proxy
        The URL of a proxy, or where that is kept; None for no proxy.
    tags
        The chosen tags; empty for all items.
    excluded_plugins
        The names that ``--no-plugin`` left out: a worker process leaves them out, too.
    """

    path: Path | None
    base: Path
    source: PluginOptions | None
    auth: PluginOptions
    cookie_store: PluginOptions
    strategy: PluginOptions | None
    output: tuple[PluginOptions, ...]
    observers: tuple[PluginOptions, ...]
    ratelimit: PluginOptions | None
    directory: Path
    remote: Remote | None
    max_workers: int
    session: str
    sessions: int | None
    lease: Lease
    token_cookies: tuple[str, ...]
    on_doubt: OnDoubt | None
    doubt_wait: float
    max_logins: int
    token_save_interval: int
    download_delay: float
    max_retries: int
    retry_delay: float
    max_outage: float
    timeout: Timeout
    low_speed_limit: float
    max_size: int | None
    disk_reserve: int | None
    ca_bundle: Path | None
    allow_downgrade: bool
    proxy: str | Mapping[str, Any] | None
    force_redownload: bool
    tags: tuple[str, ...]
    strict: bool
    excluded_plugins: tuple[str, ...]

    @property
    def where(self) -> str:
        """The target directory, as it is shown."""
        return str(self.directory) if self.remote is None else self.remote.url


def build(document: Mapping[str, Any], registry: PluginManager, base: Path, path: Path | None) -> Settings:
    """Return the settings that a *valid* configuration means.

    Parameters
    ----------
    document
        The configuration, found valid by `check`.
    registry
        The installed plugins; their options' defaults are filled in.
    base
        The folder that relative paths are relative to, absolute.
    path
        The configuration file, absolute, if there is one.

    Raises
    ------
    ConfigError
        If the default of a key names a plugin that is not installed, or the directory is of no known user or no URL
        that can be used.
    """
    properties = argosy_schemas.load("config.v1")["properties"]
    defaults = {key: value["default"] for key, value in properties.items() if "default" in value}
    keys = {**defaults, **expand(plain(document), registry)}
    if "cookie_store" not in document and _is_anonymous(registry, keys["auth"]):
        keys["cookie_store"] = {"use": "memory"}
    if "ratelimit" not in keys and registry.get(Kind.RATELIMIT, "host") is not None:
        keys["ratelimit"] = {"use": "host"}
    plugins = {
        slot: [_filled(registry, kind, given) for given in _as_list(keys.get(slot))]
        for slot, kind in SLOTS.items()
    }
    doubt = keys.get("on_doubt")
    remote = remote_of(keys["directory"], base)
    return Settings(
        path=path,
        base=base,
        source=plugins["source"][0] if plugins["source"] else None,
        auth=plugins["auth"][0],
        cookie_store=plugins["cookie_store"][0],
        strategy=plugins["strategy"][0] if plugins["strategy"] else None,
        output=tuple(plugins["output"]),
        observers=tuple(plugins["observers"]),
        ratelimit=plugins["ratelimit"][0] if plugins["ratelimit"] else None,
        directory=absolute(keys["directory"], base) if remote is None else remote.folder,
        remote=remote,
        max_workers=int(keys["max_workers"]),
        session=keys["session"],
        sessions=int(keys["sessions"]) if "sessions" in keys else None,
        lease=keys["lease"],
        token_cookies=tuple(keys["token_cookies"]),
        on_doubt="wait" if isinstance(doubt, dict) else doubt,
        doubt_wait=float(doubt["wait"]) if isinstance(doubt, dict) else 0.0,
        max_logins=int(keys["max_logins"]),
        token_save_interval=int(keys["token_save_interval"]),
        download_delay=float(keys["download_delay"]),
        max_retries=int(keys["max_retries"]),
        retry_delay=float(keys["retry_delay"]),
        max_outage=float(keys["max_outage"]),
        timeout=Timeout(**{k: float(v) for k, v in {**defaults["timeout"], **keys["timeout"]}.items()}),
        low_speed_limit=float(keys["low_speed_limit"]),
        max_size=_whole(keys.get("max_size")),
        disk_reserve=_whole(keys.get("disk_reserve")),
        ca_bundle=_authorities(absolute(keys["ca_bundle"], base)) if "ca_bundle" in keys else None,
        allow_downgrade=keys["allow_downgrade"],
        proxy=keys.get("proxy"),
        force_redownload=keys["force_redownload"],
        tags=_tags(keys["tags"]),
        strict=keys["strict"],
        excluded_plugins=registry.excluded,
    )


def absolute(value: str, base: Path) -> Path:
    """Return a path of the configuration, absolute, with ``~`` expanded.

    Raises
    ------
    ConfigError
        If it begins with ``~NAME`` and there is no such user.
    """
    try:
        return (base / Path(value).expanduser()).absolute()
    except RuntimeError:
        raise ConfigError(
            f"The directory {value!r} begins with the home of a user who does not exist.",
            hint="Write ./ in front of it if that is the folder's name.",
        ) from None


def _authorities(path: Path) -> Path:
    """Return the path of a CA bundle that can be read: better said now than with every request."""
    import ssl  # takes its time, and few name one

    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # an SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"The CA bundle {path} cannot be used: {reason}.",
            hint='"ca_bundle" names a file with certificates in PEM form ("-----BEGIN CERTIFICATE-----").',
        ) from None
    return path


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _filled(registry: PluginManager, kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    info = registry.find(kind, given["use"])
    return {**copy.deepcopy(default_options(info.options_schema)), **given}


def _is_anonymous(registry: PluginManager, auth: PluginOptions) -> bool:
    cls = registry.find(Kind.AUTH, auth["use"]).cls
    return issubclass(cls, Auth) and cls.anonymous


def _tags(value: str | list[str]) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
