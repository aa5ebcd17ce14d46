"""An auth plugin for argosy: logs in through the form of a web page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import argosy
from argosy.errors import LoginFailed
from argosy.toolkit.forms import Form, parse_page
from argosy_plugins.refusals import RefusalRules, refusal_schema


class ExampleAuth(argosy.Auth):
    """Fetches the login page, fills in its form, and submits it."""

    name = "example"
    summary = "A user name and a password in the form of a web page"
    options_schema = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "minLength": 1, "description": "The login page."},
            "user": {"type": "string", "minLength": 1, "description": "The user name."},
            "password": {
                "$ref": "argosy:common#/$defs/secret",
                "description": "A reference to the password.",
            },
            "fields": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 2,
                "maxItems": 2,
                "default": ["user", "password"],
                "description": "The names of the form's fields for the user name and the password.",
            },
            "refusal": refusal_schema(),
        },
        "required": ["url", "user", "password"],
    }

    def __init__(self, options: Mapping[str, Any], context: argosy.PluginContext) -> None:
        super().__init__(options, context)
        # here rather than in login(), where everybody waits: this may ask a person
        self._password = context.secret(options["password"])
        self._rules = RefusalRules.from_options(options)

    # Cookies need nothing else. If responses replace a token in a header field or a body, declare it as `carriers`.

    def login(self, session: argosy.LoginSession) -> None:
        """Log in; the session keeps the cookies of the responses.

        Raises
        ------
        LoginFailed
            If there is no form, or the response contains it again.
        """
        url = self.options["url"]
        page = session.http.get(url)
        form = self._form(page.text)
        if form is None:
            raise LoginFailed("The login page has no form with a password.", hint="Check the option url in a browser.")
        user, password = self.options["fields"]
        fields = dict(form.fields) | {user: self.options["user"], password: self._password.reveal()}
        target = urljoin(page.url, form.action or page.url)
        if urljoin(target, "/") != urljoin(url, "/"):
            raise LoginFailed("The form leads to another host than the login page. Nothing was sent there.")
        answer = session.http.post(target, data=fields)
        if answer.status_code >= 400 or self._form(answer.text) is not None:
            raise LoginFailed(
                f"The service did not accept the login (status {answer.status_code}).",
                hint="Check the user name and the password in a browser.",
            )

    def is_refusal(self, response: argosy.ResponseHead) -> bool:
        """Return whether the service rejects the session, by the rules of the built-in plugins and the option ``refusal``."""
        return self._rules.is_refusal(response)

    @staticmethod
    def _form(page: str) -> Form | None:
        return next((form for form in parse_page(page).forms if form.passwords), None)


@argosy.hookimpl
def argosy_auth() -> type[argosy.Auth]:
    """Register the plugin."""
    return ExampleAuth
