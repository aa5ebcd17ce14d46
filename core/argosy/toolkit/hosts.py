"""Hosts: which requests go to the same one, which site it belongs to, and whether the connection is safe."""

from __future__ import annotations

import ipaddress
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_key(url: str) -> str:
    """Return the host of a URL in lower case, with its port unless that is the default of the scheme.

    ``http`` and ``https`` of one host have the same key; two servers on two ports of it do not.

    Parameters
    ----------
    url
        An absolute URL.

    Examples
    --------
    >>> host_key("https://Library.example:8443/books")
    'library.example:8443'
    """
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


def is_secure_url(url: str) -> bool:
    """Return whether nobody can listen in on a request to a URL: it uses https or stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback((parts.hostname or "").rstrip("."))


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # reads a large file

    return PublicSuffixList()


def is_public_suffix(domain: str) -> bool:
    """Return whether people register names directly below a domain: ``com``, ``co.uk``, ``github.io``."""
    return bool(_suffixes().is_public(domain))


def site_of(host: str) -> str:
    """Return the site of a host, the name directly below a public suffix.

    An address, or a name without a dot, is its own site.

    Parameters
    ----------
    host
        A host's name, in lower case.

    Examples
    --------
    >>> site_of("www.library.example")
    'library.example'
    """
    if is_ip(host) or "." not in host:
        return host
    return _suffixes().privatesuffix(host) or host
