"""Hosts: what identifies one, and of which kind it is."""

from __future__ import annotations

import ipaddress
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_key(url: str) -> str:
    """Return the lower-case host of a URL, with its port if it is not the default: ``library.example:8443``."""
    scheme, _, rest = url.partition("://")
    netloc = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return _host_key(scheme.lower(), netloc)


@lru_cache(maxsize=1024)
def _host_key(scheme: str, netloc: str) -> str:
    try:
        parts = urlsplit(f"//{netloc}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:  # an invalid port: the request will fail
        return netloc.rpartition("@")[2]
    return host if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{host}:{port}"


@lru_cache(maxsize=256)
def is_ip(host: str) -> bool:
    """Return whether a host is an IP address; an IPv6 address has no brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: ``localhost`` or a loopback address."""
    if is_ip(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # reads a large file

    return PublicSuffixList()


def is_public_suffix(domain: str) -> bool:
    """Return whether names can be registered directly below a domain: ``com``, ``co.uk``, ``github.io``."""
    return bool(_suffixes().is_public(domain))
