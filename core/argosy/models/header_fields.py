"""Header fields that a configuration, a manifest or a plugin adds to requests."""

from __future__ import annotations

import re
from collections.abc import Mapping

from argosy.models.session import origin_of

#: Fields of argosy and of HTTP itself, and those that change what a response means.
_RESERVED = re.compile(
    r"(proxy-)?(authorization|connection)|accept-encoding|content-(encoding|length|type)|cookie2?|expect|host|keep-alive"
    r"|if-(match|modified-since|none-match|range|unmodified-since)|range|referer|te|trailer|transfer-encoding|upgrade"
    r"|user-agent",
    re.IGNORECASE,
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?")
_REFERER = re.compile(r"self|https?://[^/@?#\s]+([/?][!-\"$-~]*)?")


def problem_of(fields: Mapping[str, object], referer: str = "") -> str | None:
    """Return what is wrong with the first field that cannot be sent, or with a referer, or None; it repeats no value."""
    for name, value in fields.items():
        if not _NAME.fullmatch(name):
            return f"{name[:60]!a} is not the name of a header field"
        if _RESERVED.fullmatch(name):
            return f"the header field {name!r} is not one to set: argosy sends it itself, or cannot send it"
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            return f"the value of the header field {name!r} is empty, or has characters that no header field may have"
    is_wrong = referer and not _REFERER.fullmatch(referer)
    return 'the referer is neither an http or https URL nor "self"' if is_wrong else None


def referer_of(referer: str, url: str) -> dict[str, str]:
    """Return the header field for a request to `url`; RFC 9110 section 10.1.3 hides an https referer from http."""
    if not referer or (referer.startswith("https:") and not url.startswith("https:")):
        return {}
    return {"Referer": f"{origin_of(url)}/" if referer == "self" else referer}
