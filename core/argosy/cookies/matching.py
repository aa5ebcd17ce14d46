"""Which cookie belongs to which host and path: RFC 6265bis sections 5.1.3, 5.1.4 and 5.7."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from argosy.toolkit.hosts import is_ip, is_loopback


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that decide which cookies a request carries."""

    host: str  # lower case, without port; an IPv6 address without brackets
    path: str
    secure: bool  # https, or this machine itself
    scheme: str
    port: int

    @staticmethod
    @lru_cache(maxsize=256)  # asked several times for each request
    def of(url: str) -> Target:
        """Return the target of a URL."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        return Target(host, parts.path or "/", secure or is_loopback(host), parts.scheme, port)


def domain_match(host: str, domain: str) -> bool:
    """Return whether a host is a domain or below it (section 5.1.3)."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def path_match(path: str, cookie_path: str) -> bool:
    """Return whether a request path is a cookie's path or below it (section 5.1.4)."""
    if path == cookie_path:
        return True
    return path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")


def default_path(path: str) -> str:
    """Return the path of a cookie that names none: the folder of the request's path (section 5.1.4)."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"
