"""What counts as a refusal: a response that rejects the session's token.

Auth plugins have the option ``refusal`` (`refusal_schema`) and make `RefusalRules` of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import argosy_schemas
from argosy.toolkit.pages import HTML, START, is_html, is_of_a_file, media_type

if TYPE_CHECKING:
    from argosy.interfaces import ResponseHead

#: Refusals of any service: unauthorized, forbidden (RFC 9110 sections 15.5.2 and 15.5.4), "page expired" (Laravel),
#: "login time-out" (IIS).
STATUSES = (401, 403, 419, 440)


def refusal_schema(statuses: Collection[int] = STATUSES) -> Mapping[str, Any]:
    """Return the JSON Schema of the option ``refusal``, with the default status codes."""
    schema: dict[str, Any] = argosy_schemas.load("common.v1")["$defs"]["refusal"]
    schema["properties"]["statuses"]["default"] = sorted(statuses)
    return schema


# whole segments only: /login-howto.html is an ordinary page (no pattern here is compiled before it is used)
_LOGIN_PATH = (
    r"(?i)/(?:(?:wp-)?log[-_]?[io]n|sign[-_]?in|logged[-_]?out|session[-_]?expired|users/sign_in|sessions?/new"
    r"|log_?in_?(?:page|form)|sso|saml2?|shibboleth\.sso|wayf|adfs/ls|login-actions|realms/[^/]+/protocol"
    r"|(?:oauth2?|openid-connect)(?:/v[0-9.]+)?/auth(?:orize)?)(?:\.[a-z]{2,5})?(?:[/;]|\Z)"
)
# parameters of login requests: SAML 2.0 bindings section 3.4, OpenID Connect Core section 3.1.2.1
_SAML, _OPENID = "SAMLRequest", frozenset({"client_id", "redirect_uri", "response_type"})
# RFC 6750 section 3.1: the token itself, or only its scope
_INVALID = r"(?i)\berror\s*=\s*\"?invalid_token\b"
_NARROW = r"(?i)\berror\s*=\s*\"?insufficient_scope\b"


@dataclass(frozen=True, slots=True)
class RefusalRules:
    """Recognizes refusals; `refusal_schema` describes its fields."""

    statuses: Collection[int] = STATUSES
    #: None for the usual ones.
    redirects: Collection[str] | None = None
    marker: str | None = None
    password_form: bool = True
    html_for_files: bool = True
    json: Mapping[str, Any] | None = None
    content_types: Collection[str] | None = None
    min_size: int = 0

    @classmethod
    def from_options(cls, options: Mapping[str, Any], **defaults: Any) -> RefusalRules:
        """Return the rules of a plugin's options, or else its defaults."""
        return cls(**{**defaults, **options.get("refusal", {})})

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether a response rejects the session's token."""
        challenge = response.headers.get("WWW-Authenticate", "")
        if 400 <= response.status < 500 and re.search(_INVALID, challenge):
            return True
        if response.status in self.statuses:
            return response.status != 403 or not re.search(_NARROW, challenge)
        if self._leads_to_login(response.url, response.final_url) or self._is_marked(response):
            return True
        if not 200 <= response.status < 300:  # an error page may have a login form in its header
            return False
        if self._is_login_page(response, response.start[:START].decode("utf-8", "replace")):
            return True
        if response.status == 200 and response.body is not None and self._is_other(response, response.body):
            return True
        accepts_pages = any(kind in response.accept.lower() for kind in ("*/*", "text/*", *HTML))
        is_for_file = not accepts_pages or is_of_a_file(response.url)
        return self.html_for_files and is_for_file and is_html(response.headers)

    def _is_marked(self, response: ResponseHead) -> bool:
        """Return whether the body says that it is a refusal."""
        if self.marker is None and self.json is None:
            return False
        start = (response.start if response.body is None else response.body())[:START]
        is_marked = self.marker is not None and self.marker.encode() in start
        return is_marked or (self.json is not None and _has(start, **self.json))

    def _is_other(self, response: ResponseHead, body: Callable[[], bytes]) -> bool:
        """Return whether a body is not a file by its declared type or its size."""
        kind, headers = media_type(response.headers), response.headers
        if self.content_types and not any(fnmatchcase(kind, known.lower()) for known in self.content_types):
            return True
        length = headers.get("Content-Length", "")
        if length.isdecimal() and not (headers.get("Content-Encoding") or headers.get("Transfer-Encoding")):
            return int(length[:19]) < self.min_size
        return self.min_size > 0 and len(body()) < min(self.min_size, START)

    def _is_login_page(self, response: ResponseHead, text: str) -> bool:
        from argosy.toolkit.forms import parse_page  # downloads without a login look at no page

        page = parse_page(text)
        if self.password_form and any(form.passwords for form in page.forms):
            return True
        if self.redirects is None and any(form.has(_SAML) for form in page.forms):
            return True  # a script submits it: SAML 2.0 bindings section 3.5
        onward = urljoin(urljoin(response.final_url, page.base), page.refresh)
        return bool(page.refresh) and self._leads_to_login(response.url, onward)

    def _leads_to_login(self, asked: str, came: str) -> bool:
        return asked != came and self._is_login(came) and not self._is_login(asked)

    def _is_login(self, url: str) -> bool:
        parts = urlsplit(url)
        if self.redirects is not None:
            place = f"{parts.hostname or ''}{parts.path}".lower()
            return any(text.lower() in place for text in self.redirects)
        names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        return re.search(_LOGIN_PATH, parts.path) is not None or _SAML in names or names >= _OPENID


def _has(body: bytes, path: str, value: object = None) -> bool:
    """Return whether a JSON body has a value (None: any but null) at a path (``error.code``, or RFC 6901)."""
    keys = path.split(".")
    if path.startswith("/"):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in path[1:].split("/")]
    try:
        found: Any = json.loads(body)
        for key in keys:
            found = found[int(key) if isinstance(found, list) else key]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    if value is None:
        return found is not None
    # true is not 1
    return any(found == one and type(found) is type(one) for one in (value if isinstance(value, list) else [value]))
