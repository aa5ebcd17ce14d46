"""From settings to a shelf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.interfaces.storage import Patience, Storage
from argosy.storage.local import LocalStorage
from argosy.toolkit.secrets import Secret

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.interfaces.base import PluginContext
    from argosy.storage.location import Remote


def storage_of(
    settings: Settings, context: PluginContext, scrub: Callable[[str], str], patience: Patience | None = None
) -> Storage:
    """Return the shelf that settings mean; the parameters are those of `open_storage`."""
    return open_storage(settings.directory, settings.remote, context, scrub, patience)


def open_storage(
    directory: Path,
    remote: Remote | None,
    context: PluginContext,
    scrub: Callable[[str], str],
    patience: Patience | None = None,
) -> Storage:
    """Return the shelf of a target directory; nothing is asked of a storage yet.

    Parameters
    ----------
    directory
        The local folder.
    remote
        The target directory where it is not on this machine.
    context
        Finds out what a reference to a secret means, and is told the secret.
    scrub
        Takes secrets out of what a library says.
    patience
        How calls to a storage are tried again.
    """
    if remote is None:
        return LocalStorage(directory)
    from argosy.storage.remote import FsspecStorage

    def connect() -> tuple[Any, str]:
        # not before it is needed: a login, say, needs neither the library nor the secrets
        from argosy.storage.remote import made

        cls, options = storage_options(remote, replace(context, base=remote.base))
        # neither instances nor listings are shared with anybody: what others did meanwhile is to be seen
        fs = made(remote.protocol, cls, {**options, "skip_instance_cache": True})
        fs.dircache.use_listings_cache = False
        return fs, str(cls._strip_protocol(remote.url))

    return FsspecStorage(remote.url, remote.protocol, connect, str(directory), patience or Patience(), scrub)


def storage_options(remote: Remote, context: PluginContext) -> tuple[Any, dict[str, Any]]:
    """Return the class of a storage's file system and the options it is made with, secrets among them.

    Raises
    ------
    ConfigError
        If there is no such storage, its library is not installed, or a secret is not there.
    """
    from argosy.storage.remote import defaults, file_system

    cls = file_system(remote.protocol)
    return cls, {
        **_of_url(cls, remote.url),
        **defaults(remote.protocol, _resolved(remote.options, context.secret)),
    }


def _of_url(cls: Any, url: str) -> dict[str, Any]:
    """Return the options that a URL has in it: a host, a port, a user."""
    found = {key: value for key, value in cls._get_kwargs_from_urls(url).items() if key != "path"}
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if "host" in found and host.startswith("["):  # fsspec leaves the brackets, or cuts at the first colon
        found["host"] = host[1:].partition("]")[0]
    return found


def _resolved(value: Any, secret: Callable[[Mapping[str, Any]], Secret]) -> Any:
    """Return options with secrets in the place of references."""
    if isinstance(value, Mapping):
        if value.keys() & {"env", "file", "keyring", "prompt"}:
            return secret(value).reveal()
        return {key: _resolved(inner, secret) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(inner, secret) for inner in value]
    return value
