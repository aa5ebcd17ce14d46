"""What counts as a refusal: a response that says the session's token is not accepted.

Auth plugins share this judgement. Their options take `REFUSAL_SCHEMA` under the key ``refusal``, and
`RefusalRules.from_options` makes the rules of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from argosy.contracts import ResponseHead
from argosy.html_forms import has_password_form
from argosy.urls import strip_fragment

#: How much of a body is looked at, in bytes.
START = 64 * 1024


def refusal_schema(statuses: Collection[int] = (401, 403)) -> Mapping[str, Any]:
    """Return the JSON Schema of the option ``refusal``.

    Parameters
    ----------
    statuses
        The status codes that are refusals where nobody says otherwise; the same as for `RefusalRules.from_options`.
    """
    return {
        "type": "object",
        "description": "What says that the service no longer accepts the session.",
        "additionalProperties": False,
        "properties": {
            "statuses": {
                "type": "array",
                "items": {"type": "integer", "minimum": 300, "maximum": 599},
                "default": sorted(statuses),
                "description": "Status codes that do. Take 403 out where single files may be forbidden.",
            },
            "redirects": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "description": "Parts of the URL (host and path) of the login page that a request is redirected to;"
                " where it is not said, paths such as /login, /signin, /sso.",
            },
            "marker": {
                "type": "string",
                "minLength": 1,
                "description": "A text that only the login page has.",
            },
            "password_form": {
                "type": "boolean",
                "default": True,
                "description": "Whether an HTML page with a password form does. Turn it off where every page has one.",
            },
        },
    }


#: The JSON Schema of the option ``refusal``.
REFUSAL_SCHEMA: Mapping[str, Any] = refusal_schema()

# whole segments only, so that /login-howto.html is an ordinary page
_LOGIN_PATH = re.compile(
    r"/(?:log[-_]?[io]n|sign[-_]?in|logged[-_]?out|users/sign_in|sessions?/new|(?:cas|auth|account|accounts)/login"
    r"|sso|saml2?|(?:oauth2?|openid-connect)(?:/v[0-9.]+)?/auth(?:orize)?)(?:\.[a-z]{2,5})?(?:[/;]|\Z)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class RefusalRules:
    """Tells refusals from other responses.

    Parameters
    ----------
    statuses
        Status codes that are refusals.
    redirects
        Parts of the host and path of a login page's URL; None for the usual paths.
    marker
        A text that only a login page has.
    password_form
        Whether an HTML page that has a form with a password field is one.
    """

    statuses: frozenset[int] = frozenset({401, 403})
    redirects: tuple[str, ...] | None = None
    marker: str | None = None
    password_form: bool = True

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], *, statuses: Collection[int] = (401, 403)
    ) -> RefusalRules:
        """Return the rules of a plugin's options, whose key ``refusal`` may be absent.

        Parameters
        ----------
        options
            The plugin's options.
        statuses
            The status codes that are refusals where the options name none.
        """
        chosen = options.get("refusal", {})
        redirects = chosen.get("redirects")
        return cls(
            statuses=frozenset(chosen.get("statuses", statuses)),
            redirects=None if redirects is None else tuple(redirects),
            marker=chosen.get("marker"),
            password_form=chosen.get("password_form", True),
        )

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether a response says that the session's token is not accepted."""
        if response.status in self.statuses:
            return True
        if self._is_login(response.final_url) and not self._is_login(response.url):
            return strip_fragment(response.final_url) != strip_fragment(response.url)
        start = response.start[:START]
        if self.marker is not None and self.marker.encode() in start:
            return True
        # the error page of a missing file may carry a login form in its header
        return self.password_form and 200 <= response.status < 300 and has_password_form(start)

    def _is_login(self, url: str) -> bool:
        parts = urlsplit(url)
        if self.redirects is None:
            return _LOGIN_PATH.search(parts.path) is not None
        place = f"{parts.hostname or ''}{parts.path}".lower()
        return any(text.lower() in place for text in self.redirects)
