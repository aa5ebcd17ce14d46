"""Which service a gateway is for, and the URLs of it at the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import argosy
from argosy.errors import ArgosyError, ConfigError
from argosy.models.session import origin_of
from argosy.toolkit.urls import check_url

_OPTION = "Give it with --origin, for example: --origin https://library.example"
_REFRESH = re.compile(r"(?i)\s*+[0-9.]*+\s*+[;,]\s*+(?:url\s*+=\s*+)?")  # what comes before the URL
_LINK = re.compile(r"<([^<>]*)>")


def given_origins(given: Iterable[str]) -> tuple[str, ...]:
    """Return the origins that a user gave, or raise a ConfigError."""
    found = []
    for url in given:
        problem = check_url(url)
        if problem is None and (urlsplit(url).path.strip("/") or urlsplit(url).query or urlsplit(url).fragment):
            problem = "has a path, but a gateway is for a whole host"
        if problem is not None:
            raise ConfigError(
                f"A URL of --origin {problem}.",
                hint="Write scheme and host, and the port unless it is the default: https://library.example",
            )
        found.append(origin_of(url))
    return tuple(dict.fromkeys(found))


def configured_origin(config: Any, plugins: Sequence[Any] = ()) -> tuple[str, ...]:
    """Return the one origin that a configuration is about, or raise a ConfigError.

    It is that of the auth plugin's option ``origins``. Without this option, it is that of the login page and of the items,
    if they have the same one.
    """
    settings = argosy.read_config(config, plugins=plugins)
    auth: Mapping[str, Any] = settings["auth"]
    urls = list(auth.get("origins", ()))
    if not urls:
        urls = [url for url in (auth.get("url"),) if isinstance(url, str)]
        if settings["source"] is not None:
            try:
                items = argosy.preview(config, plugins=plugins)
            except ArgosyError:
                items = []  # a download would report it, but a gateway needs no source
            urls += [resource.url for item in items for resource in item.resources]
    found = sorted({origin_of(url) for url in urls if check_url(url) is None})
    if not found:
        raise ConfigError("The configuration does not say which service the gateway is for.", hint=_OPTION)
    if len(found) > 1:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        hint = f"{_OPTION} (repeat it for several)."
        raise ConfigError(f"The configuration is about several hosts: {shown}.", hint=hint)
    return tuple(found)


class Routes:
    """The URLs of some origins as paths of a gateway.

    The path of one origin is the same at the gateway. With several, the first segment of the path is the host, with its
    port unless it is the default: ``/api.example:8443/v1/books``.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self.origins = tuple(origins)
        hosts = [origin.partition("://")[2] for origin in origins]
        if len(set(hosts)) < len(hosts):
            raise ConfigError("Two of the origins differ only in http and https.", hint="Give one of them.")
        self._prefixes = (
            {"": origins[0]} if len(origins) == 1 else {f"/{h}": o for h, o in zip(hosts, origins, strict=True)}
        )

    @property
    def paths(self) -> list[str]:
        """The first segments of paths; none for one origin."""
        return [prefix for prefix in self._prefixes if prefix]

    def url(self, path: str) -> str | None:
        """Return the service's URL for a path of the gateway with its query, or None."""
        for prefix, origin in self._prefixes.items():
            rest = path[len(prefix) :]
            if path.startswith(prefix) and rest[:1] in ("/", "?", ""):
                return origin + (rest if rest.startswith("/") else f"/{rest}")
        return None

    def path(self, url: str) -> str | None:
        """Return the path of the gateway for a URL, with query and fragment; None for another origin."""
        try:
            origin = origin_of(url)
        except ValueError:
            return None
        for prefix, ours in self._prefixes.items():
            if origin == ours:
                rest = url.partition("://")[2]
                start = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
                below = rest[start:]
                return prefix + (below if below.startswith("/") else f"/{below}")
        return None

    def localized(self, name: str, value: str, url: str, base: str) -> str:
        """Return the value of a header field of the response from `url`, with URLs of the gateway at `base`."""

        def local(reference: str) -> str:
            try:
                path = self.path(urljoin(url, reference))
            except ValueError:
                return reference
            return reference if path is None else base + path

        if name == "refresh":
            found = _REFRESH.match(value)
            before, after = (value, "") if found is None else (found[0], value[found.end() :].strip())
            bare = after.strip("'\"")
            return before + (after.replace(bare, local(bare), 1) if bare else after)
        if name == "link":
            return _LINK.sub(lambda found: f"<{local(found[1])}>", value)
        return local(value.strip())
