"""The auth ``form-login``: fills in the form of a login page, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from requests.auth import AuthBase

from argosy import hookimpl
from argosy.errors import ConfigError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.session import Carrier
from argosy.toolkit.secrets import Secret
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._bound import BoundSessions
from argosy_plugins.auth._codes import CODE_SCHEMA, SENSITIVE, SPENT, AskedCode, Field, Given, TimeCode
from argosy_plugins.auth._csrf import CSRF_SCHEMA, CsrfEcho
from argosy_plugins.auth.form_exchange import FormExchange, Success
from argosy_plugins.auth.form_logout import log_out
from argosy_plugins.refusals import RefusalRules, refusal_schema

_KEPT_ELSEWHERE = {"anyOf": [{"$ref": "argosy:common#/$defs/secret"}, CODE_SCHEMA]}
_FORM = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}


class FormLogin(Auth):
    """Logs in through the forms of web pages.

    It fetches the page, keeps hidden fields, fills in the configured ones, and submits the form. If the response has a form
    for the remaining fields (the password after the user name, or a code after the password), it fills in that one, too. A
    password never goes to another origin than the login page's, unless allowed, and never from https to http.
    """

    name = "form-login"
    summary = "A user name and a password in the form of a web page"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "minLength": 1, "description": "The login page."},
            "fields": {
                "type": "object",
                "minProperties": 1,
                "patternProperties": {SENSITIVE: _KEPT_ELSEWHERE},
                "additionalProperties": {"anyOf": [{"type": "string"}, *_KEPT_ELSEWHERE["anyOf"]]},
                "description": "The values of the form's fields by name, on any page that has them."
                ' Keep secrets elsewhere: {"env": NAME} and so on. A code for one login'
                ' is {"totp": ...} or {"one_time": ...}.',
            },
            "form": {
                **_FORM,
                "description": "The form on the page: its number from 0, its id or its name; by"
                " default the first one with a password field.",
            },
            "success": {
                "type": "object",
                "properties": {key: {"type": "string", "minLength": 1} for key in ("cookie", "url", "text")},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
                "description": "The sign of a successful login: the name of a cookie that the response"
                " sets, a part of its final URL, or a text in it; by default, that no"
                " further login form appears.",
            },
            "allow_other_origin": {
                "type": "boolean",
                "default": False,
                "description": "Allow the form to be sent to another host than that of the login page.",
            },
            "logout": {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "object",
                        "properties": {"url": {"type": "string", "minLength": 1}, "form": _FORM},
                        "required": ["url", "form"],
                        "additionalProperties": False,
                    },
                ],
                "description": "For argosy logout: a page that logs out when it is requested, or a"
                " page and the form on it to submit.",
            },
            "csrf": CSRF_SCHEMA,
            "refusal": refusal_schema(),
        },
        "required": ["url", "fields"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        logout = options.get("logout")
        self._logout: Mapping[str, Any] | None = {"url": logout, "form": None} if isinstance(logout, str) else logout
        # resolved here, because everybody waits during login
        self._fields = {name: self._field(name, value) for name, value in options["fields"].items()}
        self._rules = RefusalRules.from_options(options)
        self._bound = BoundSessions(context.notice)
        pages = {"url": options["url"], **({"logout": self._logout["url"]} if self._logout else {})}
        if wrong := [f"the option {key} {problem}" for key, url in pages.items() if (problem := check_url(url))]:
            raise ConfigError(
                f"In the auth form-login, {' and '.join(wrong)}.",
                hint="Write a whole URL: https://HOST/PATH.",
            )

        self._csrf: CsrfEcho | None = None
        if "csrf" in options:
            self._csrf = CsrfEcho.from_options(options["csrf"], [options["url"]], self.name)

    def _field(self, name: str, value: str | Mapping[str, Any]) -> Field:
        if isinstance(value, str):
            if re.search(SENSITIVE, name):
                raise ConfigError(
                    f"The field {name!r} of the auth form-login looks like a secret, but its value is in the configuration.",
                    hint='Keep it elsewhere: {"env": NAME}, {"file": PATH}, {"keyring": SERVICE, "user": NAME}.',
                )
            return Given(Secret(value), plain=True)
        if "totp" in value:
            return TimeCode(self.context.secret(value["totp"]), name, self.context.notice)
        if "one_time" in value:
            return AskedCode(value["one_time"], name, self.context)
        return Given(self.context.secret(value))

    @property
    def can_login(self) -> bool:
        """Whether a login works without asking a person for a code."""
        return not any(isinstance(field, AskedCode) for field in self._fields.values())

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The header field of the option ``csrf``."""
        return self._csrf.carriers if self._csrf else ()

    def signer(self) -> AuthBase | None:
        """Return what copies the cookie of the option ``csrf``."""
        return self._csrf.signer() if self._csrf else None

    def login(self, session: LoginSession) -> None:
        """Fetch the login page, fill in its form and submit it.

        Raises LoginFailed if there is no such form, it leads to a forbidden place, or the service rejects it. The message
        describes the response without the values of fields.
        """
        self._bound.listen(session.http)
        if self._csrf:
            self._csrf.listen(session)
        sent = FormExchange(
            http=session.http,
            url=self.options["url"],
            values=self._fields,
            spent=session.credentials.get(SPENT, ""),
            form=self.options.get("form"),
            success=Success(**self.options.get("success", {})),
            allow_other_origin=self.options.get("allow_other_origin", False),
        ).run()
        if sent:
            session.keep(SPENT, sent)

    def logout(self, session: LoginSession) -> bool:
        """Request the page of the option ``logout``, and submit its form if configured; raise LoginFailed if that fails."""
        if self._logout is None:
            return False
        log_out(session.http, self._logout["url"], self._logout["form"])
        return True

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the session."""
        self._bound.look(response.final_url, response.headers)
        return self._rules.is_refusal(response)


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``form-login``."""
    return FormLogin
