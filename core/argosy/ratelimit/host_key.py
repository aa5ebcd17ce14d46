"""What counts as one host."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=1024)
def _place(scheme: str, netloc: str) -> str:
    try:
        parts = urlsplit(f"//{netloc}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:  # no such port: the request will fail, and is paced with its like
        return netloc.rpartition("@")[2]
    return host if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{host}:{port}"


def place_of(url: str) -> str:
    """Return the host that a URL's requests are paced with.

    The host's name in lower case, with its port where that is not the scheme's own. So ``http`` and
    ``https`` of one host are paced together, and two servers on two ports of it are not.
    """
    scheme, _, rest = url.partition("://")
    netloc = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return _place(scheme.lower(), netloc)
