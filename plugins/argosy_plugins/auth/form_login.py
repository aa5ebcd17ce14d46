"""The auth ``form-login``: fills in a login page's form, as a browser would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from argosy import hookimpl
from argosy.errors import ConfigError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.toolkit.login_pages import REFUSAL_SCHEMA, RefusalRules
from argosy.toolkit.secrets import Secret
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._codes import CODE_SCHEMA, AskedCode, Field, Given, TimeCode
from argosy_plugins.auth.form_exchange import FormExchange, Success
from argosy_plugins.auth.form_logout import log_out

_KEPT_ELSEWHERE = {"anyOf": [{"$ref": "argosy:common#/$defs/secret"}, CODE_SCHEMA]}
_FORM = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}]}
# what is kept with the session, so that no other program sends it again
_SPENT = "one-time code"
# the regular expressions of JSON Schema (ECMA-262) have no flag for "in any case"
_SENSITIVE = (
    "[Pp][Aa][Ss][Ss]|[Pp][Ww][Dd]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]"
    "|(^|[^A-Za-z])([Pp][Ii][Nn]|[Oo][Tt][Pp])($|[^A-Za-z])"
)


class FormLogin(Auth):
    """Logs in by the forms of web pages.

    The page is fetched, its hidden fields are kept, the configured ones are filled in, and the form is sent where
    the page says. Where the answer has a form for the fields that are left (the password after the user name, a
    code after the password), that is filled in too. A password never goes to another origin than the login page's,
    unless that is allowed, and never from https to http.
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
                "patternProperties": {_SENSITIVE: _KEPT_ELSEWHERE},
                "additionalProperties": {"anyOf": [{"type": "string"}, *_KEPT_ELSEWHERE["anyOf"]]},
                "description": "What goes into the form's fields, by their names, on whatever page each is asked"
                ' for. Secrets stand elsewhere: {"env": NAME} and the like. A code for one login is {"totp": ...} or'
                ' {"one_time": ...}.',
            },
            "form": {
                **_FORM,
                "description": "Which form of the page: its number from 0, its id or its name; the first one with"
                " a password field where it is not said.",
            },
            "success": {
                "type": "object",
                "properties": {key: {"type": "string", "minLength": 1} for key in ("cookie", "url", "text")},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
                "description": "What says that the login worked: a cookie of this name that the answer sets, a part"
                " of the URL it ends at, or a text in it; otherwise, that no login form comes again.",
            },
            "allow_other_origin": {
                "type": "boolean",
                "default": False,
                "description": "Whether the form may be sent to another host than the login page's.",
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
                "description": "For argosy logout: the page that logs out when it is asked for; or a page, and the"
                " form on it that does.",
            },
            "refusal": REFUSAL_SCHEMA,
        },
        "required": ["url", "fields"],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        logout = options.get("logout")
        self._logout: Mapping[str, Any] | None = (
            {"url": logout, "form": None} if isinstance(logout, str) else logout
        )
        # asked for here, and not in login, where everybody waits
        self._fields = {name: self._field(name, value) for name, value in options["fields"].items()}
        self._rules = RefusalRules.from_options(options)
        pages = {"url": options["url"], **({"logout": self._logout["url"]} if self._logout else {})}
        if wrong := [
            f"the option {key} {problem}" for key, url in pages.items() if (problem := check_url(url))
        ]:
            raise ConfigError(
                f"In the auth form-login, {' and '.join(wrong)}.",
                hint="Write a whole URL: https://HOST/PATH.",
            )

    def _field(self, name: str, value: str | Mapping[str, Any]) -> Field:
        if isinstance(value, str):
            if re.search(_SENSITIVE, name):
                raise ConfigError(
                    f"The field {name!r} of the auth form-login looks like a secret and stands in the configuration.",
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
        """Whether nobody has to be asked for a code."""
        return not any(isinstance(field, AskedCode) for field in self._fields.values())

    def login(self, session: LoginSession) -> None:
        """Fetch the login page, fill in its form and send it.

        Raises
        ------
        LoginFailed
            If there is no such form, it would go where it must not, or the service did not accept it. The message
            says what came back, and no value of a field.
        """
        sent = FormExchange(
            http=session.http,
            url=self.options["url"],
            values=self._fields,
            spent=session.credentials.get(_SPENT, ""),
            form=self.options.get("form"),
            success=Success(**self.options.get("success", {})),
            allow_other_origin=self.options.get("allow_other_origin", False),
        ).run()
        if sent:
            session.keep(_SPENT, sent)

    def logout(self, session: LoginSession) -> bool:
        """Ask for the page of the option ``logout``, and send its form if one is named.

        Raises
        ------
        LoginFailed
            If there is no such form, or the service answers with an error.
        """
        if self._logout is None:
            return False
        log_out(session.http, self._logout["url"], self._logout["form"])
        return True

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the response says that the session is not accepted."""
        return self._rules.is_refusal(response)


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``form-login``."""
    return FormLogin
