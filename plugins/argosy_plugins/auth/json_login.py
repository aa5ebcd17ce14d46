"""The auth ``json-login``: sends JSON to the login of an API, and keeps the tokens of its response."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import requests
from requests.auth import AuthBase

from argosy import hookimpl
from argosy.errors import ConfigError, LoginFailed, RefreshRefused, TransferError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.models.session import Carrier, origin_of
from argosy.toolkit.failures import kind_of, reason_of
from argosy.toolkit.secrets import Secret
from argosy_plugins.auth._bound import BoundSessions
from argosy_plugins.auth._codes import SPENT, AskedCode, Field
from argosy_plugins.auth._csrf import FIELD_NAME, CsrfEcho
from argosy_plugins.auth._expiry import jwt_expiry, lifetime, moment
from argosy_plugins.auth._json_exchange import Answer, Exchange
from argosy_plugins.auth._json_values import (
    CONDITION_SCHEMA,
    NAME,
    PLACE_SCHEMA,
    REQUEST_PROPERTIES,
    Condition,
    Place,
    Request,
    Scope,
    Values,
    check_token,
    is_scalar,
)
from argosy_plugins.auth._origins import ORIGINS_SCHEMA, is_secure_url, origins_of
from argosy_plugins.refusals import RefusalRules, refusal_schema

#: Numbers above are times in seconds since the epoch, not lifetimes; and above that, in milliseconds.
_EPOCH, _MILLISECONDS = 1e9, 1e11
# kept with the session: which configuration it is from
_MADE_BY = "json-login"

_NAMED_PLACES = {
    "type": "object",
    "propertyNames": {"pattern": f"^{NAME}$"},
    "additionalProperties": PLACE_SCHEMA,
    "minProperties": 1,
}
_FIELD = {"type": "string", "pattern": FIELD_NAME}
_SCHEME = {
    "type": "string",
    "pattern": "^[!-~]*$",
    "description": "The word before the token; by default Bearer in the field Authorization, and none in others.",
}
_STEP_PROPERTIES = {
    **REQUEST_PROPERTIES,
    "take": {
        **_NAMED_PLACES,
        "description": "Values of the response that later requests, tokens and keep use, by name: {NAME} in a text.",
    },
    "when": {
        **CONDITION_SCHEMA,
        "description": "Send this request only if the response before has this; by default, always.",
    },
}
_PLACE_OR_NAME = {"anyOf": [{"type": "string", "pattern": f"^{NAME}$"}, *PLACE_SCHEMA["anyOf"]]}
_TOKEN = {
    "type": "object",
    "properties": {
        "path": {
            **_PLACE_OR_NAME,
            "description": "Where the token is in the response: a JSONPath such as $.data.token, or the name of a value"
            " that a step takes.",
        },
        "header": {**_FIELD, "default": "Authorization", "description": "The header field to send it in."},
        "scheme": _SCHEME,
    },
    "required": ["path"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class _Token:
    """A token of the responses, and how requests carry it."""

    place: Place | str  # or the name of a taken value
    header: str
    scheme: str

    def value(self, found: Any) -> str:
        """Return the value of the header field; raise ValueError if it is no token."""
        text = check_token(found)
        if self.scheme and not text.lower().startswith(f"{self.scheme.lower()} "):
            text = f"{self.scheme} {text}"
        return text


class JsonLogin(Auth):
    """Logs in at an API with JSON.

    It sends one request or several; the session is the cookies of the responses, and the tokens in their header fields or
    their JSON. Passwords and codes go to no other origin than the configured one, and never from https to http.
    """

    name = "json-login"
    summary = "JSON sent to the login of an API; tokens from its response (JSONPath needs argosy[json-login])"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            **REQUEST_PROPERTIES,
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": 10,
                "items": {
                    "type": "object",
                    "properties": _STEP_PROPERTIES,
                    "required": ["url"],
                    "additionalProperties": False,
                },
                "description": "Several requests instead of one (url); the last response has the tokens.",
            },
            "csrf": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "minLength": 1, "description": "What to request first."},
                    **{key: part for option in PLACE_SCHEMA["anyOf"][1:] for key, part in option["properties"].items()},
                    "send": {
                        **_FIELD,
                        "default": "X-CSRF-Token",
                        "description": "The header field to send the value in, with each request of the login, the"
                        " refresh and the logout.",
                    },
                    "headers": REQUEST_PROPERTIES["headers"],
                    "each": {
                        "type": "boolean",
                        "default": False,
                        "description": "Also send the newest value with each later request; not if it is in JSON.",
                    },
                },
                "anyOf": [{"required": ["url"]}, {"required": ["each"], "properties": {"each": {"const": True}}}],
                "oneOf": [{"required": ["json"]}, {"required": ["header"]}, {"required": ["cookie"]}],
                "additionalProperties": False,
                "description": "A value against forged requests, which the service wants back in a header field.",
            },
            "tokens": {
                "type": "object",
                "properties": {
                    "headers": {
                        "type": "array",
                        "minItems": 1,
                        "uniqueItems": True,
                        "items": {
                            "anyOf": [
                                _FIELD,
                                {
                                    "type": "object",
                                    "properties": {
                                        "name": {**_FIELD, "description": "The field of the response."},
                                        "header": {**_FIELD, "description": "The field of requests."},
                                        "scheme": _SCHEME,
                                    },
                                    "required": ["name"],
                                    "additionalProperties": False,
                                },
                            ]
                        },
                        "description": "Header fields of the response to send with each request. If responses replace"
                        " the first one, they replace all.",
                    },
                    "json": {
                        "anyOf": [_TOKEN, {"type": "array", "minItems": 1, "items": _TOKEN}],
                        "description": "Tokens in the JSON of the response, and the header fields to send them in.",
                    },
                    "cookies": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "minLength": 1},
                        "description": "Cookies that the login must set. All cookies are kept, named or not.",
                    },
                },
                "additionalProperties": False,
                "minProperties": 1,
                "description": "Where the tokens are; by default, in cookies.",
            },
            "rotate": {
                "enum": [True, False, "body"],
                "default": True,
                "description": "Whether later responses may replace the tokens: those in header fields, or with"
                ' "body" also those in JSON, which needs the lease exclusive-to-end.',
            },
            "origins": {
                **ORIGINS_SCHEMA,
                "description": "The only origins that receive tokens in header fields; by default, that of the last"
                " login request.",
            },
            "expires": {
                "anyOf": [{"type": "number", "exclusiveMinimum": 0}, *PLACE_SCHEMA["anyOf"]],
                "description": "When the tokens expire: a number of seconds, or where the response says it (seconds, or"
                " a time). By default, a JSON Web Token says it.",
            },
            "keep": {
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME}$"},
                "additionalProperties": _PLACE_OR_NAME,
                "minProperties": 1,
                "description": "Values of the last response (or of steps, by their name) to keep with the session,"
                " such as a refresh token: {NAME} in refresh and logout.",
            },
            "message": {
                **PLACE_SCHEMA,
                "description": "Where a response says why it failed, if it is not at a usual place.",
            },
            "refresh": {
                "type": "object",
                "properties": {
                    **REQUEST_PROPERTIES,
                    "refused": {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 400, "maximum": 499},
                        "default": [400, 401],
                        "description": "The status codes that say that the session cannot be renewed.",
                    },
                },
                "required": ["url"],
                "additionalProperties": False,
                "description": "The request that renews the session. It is sent once for all programs, and its response"
                " has tokens and values to keep like that to the login.",
            },
            "logout": {
                "type": "object",
                "properties": REQUEST_PROPERTIES,
                "required": ["url"],
                "additionalProperties": False,
                "description": "For argosy logout: the request that ends the session. It carries the tokens.",
            },
            "refusal": refusal_schema(),
        },
        "oneOf": [{"required": ["url"]}, {"required": ["steps"]}],
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._codes: list[Field] = []
        self._secrets: list[Secret] = []
        self._read_steps(options)
        last = self._steps[-1]
        self._origins = (
            origins_of(options, context, self.name) if "origins" in options else (origin_of(last.origin_url),)
        )
        self._read_tokens(options)
        self._read_rest(options)
        self._check_unencrypted()
        self._rules = RefusalRules.from_options(options)
        # the numbers of sessions that were renewed and not accepted since, and whether the service refused one
        self._renewed: dict[int, bool] = {}
        self._bound = BoundSessions(context.notice)

    # -- reading the options

    def _read_steps(self, options: Mapping[str, Any]) -> None:
        alone = {key: options[key] for key in REQUEST_PROPERTIES if key in options}
        if "steps" in options and alone:
            raise ConfigError(
                f"The auth json-login has steps, and beside them {', '.join(sorted(alone))}.",
                hint="Write it into one of the steps.",
            )
        raw = options.get("steps") or [alone]
        names: frozenset[str] = frozenset()
        self._steps: list[Request] = []
        self._takes: list[Mapping[str, Place]] = []
        self._when: list[Condition | None] = []
        for n, step in enumerate(raw):
            where = f"steps[{n}]" if "steps" in options else ""
            self._steps.append(Request.read(step, where, self._values(names)))
            take = {name: Place.read(place, f"{where}.take.{name}") for name, place in step.get("take", {}).items()}
            self._takes.append(take)
            self._when.append(Condition.read(step["when"], f"{where}.when") if "when" in step else None)
            names |= frozenset(take)
        if self._when[0] is not None:
            raise ConfigError("The first of the steps of the auth json-login has a when, and no response comes before.")
        self._taken = names

    def _values(self, names: frozenset[str] = frozenset()) -> Values:
        return Values(self.context, names, self._codes, self._secrets)

    def _check_unencrypted(self) -> None:
        others = (self._csrf and self._csrf[0], self._refresh, self._logout)
        requests = [*self._steps, *(request for request in others if request is not None)]
        for origin in dict.fromkeys(origin_of(request.origin_url) for request in requests):
            if not is_secure_url(origin):
                self.context.notice(f"The login goes to {origin} unencrypted; others on the network can read it.")

    def _read_tokens(self, options: Mapping[str, Any]) -> None:
        tokens = options.get("tokens", {})
        self._of_headers: list[_Token] = []
        for n, raw in enumerate(tokens.get("headers", ())):
            given = {"name": raw} if isinstance(raw, str) else raw
            place = Place(f"tokens.headers[{n}]", header=given["name"])
            self._of_headers.append(_Token(place, given.get("header", given["name"]), given.get("scheme", "")))
        self._of_json: list[_Token] = []
        found = tokens.get("json", ())
        for n, raw in enumerate([found] if isinstance(found, Mapping) else found):
            where = "tokens.json.path" if isinstance(found, Mapping) else f"tokens.json[{n}].path"
            header = raw.get("header", "Authorization")
            scheme = raw.get("scheme", "Bearer" if header.lower() == "authorization" else "")
            self._of_json.append(_Token(self._place_or_name(raw["path"], where), header, scheme))
        self._of_cookies = [Place(f"tokens.cookies[{n}]", cookie=c) for n, c in enumerate(tokens.get("cookies", ()))]
        fields = [token.header.lower() for token in self._tokens]
        if twice := sorted({name for name in fields if fields.count(name) > 1}):
            raise ConfigError(f"Two tokens of the auth json-login have the same header field: {twice[0]}.")
        if options.get("rotate") == "body" and not self._of_json:
            raise ConfigError(
                'The auth json-login has "rotate": "body", and no tokens in JSON.', hint='Add "tokens": {"json": ...}.'
            )

    def _place_or_name(self, raw: str | Mapping[str, Any], where: str) -> Place | str:
        if not isinstance(raw, str) or raw.startswith("$"):
            return Place.read(raw, where)
        if raw not in self._taken:
            raise ConfigError(
                f"The option {where} of the auth json-login is {raw!r}, and no step takes a value of this name.",
                hint="A JSONPath begins with $, as in $.data.token.",
            )
        return raw

    def _read_rest(self, options: Mapping[str, Any]) -> None:
        expires = options.get("expires")
        self._lifetime = float(expires) if isinstance(expires, (int, float)) else None
        self._expires = None if expires is None or self._lifetime is not None else Place.read(expires, "expires")
        self._keep = {name: self._place_or_name(raw, f"keep.{name}") for name, raw in options.get("keep", {}).items()}
        self._message = Place.read(options["message"], "message") if "message" in options else None
        self._csrf: tuple[Request, Place, str] | None = None
        self._echo: CsrfEcho | None = None
        csrf = options.get("csrf", {})
        if csrf.get("each"):
            if "json" in csrf:
                raise ConfigError(
                    'The option csrf of the auth json-login has "each", and its value is in JSON.',
                    hint="Later responses bring it in a header field or in a cookie: name that.",
                )
            self._echo = CsrfEcho.from_options(csrf, self._origins, self.name)
        if "url" in csrf:
            asked = {"url": csrf["url"], "method": "GET", "headers": csrf.get("headers", {})}
            place = Place.read({key: csrf[key] for key in ("json", "header", "cookie") if key in csrf}, "csrf")
            request = Request.read(asked, "csrf", self._values())
            self._csrf = request, place, csrf.get("send", "X-CSRF-Token")
        # a header token is kept under the name of its field as well
        names = frozenset(self._keep) | frozenset(token.header for token in self._tokens)
        self._refresh = self._logout = None
        if "refresh" in options:
            self._refresh = Request.read(options["refresh"], "refresh", self._values(names))
            self._refused = frozenset(options["refresh"].get("refused", (400, 401)))
        if "logout" in options:
            self._logout = Request.read(options["logout"], "logout", self._values(names))
        # never renew a session of another configuration in the same store; the digest is of references, not of secrets
        made = {key: options.get(key) for key in ("url", "json", "form", "steps", "refresh")}
        self._mark = hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()

    # -- the interface

    @property
    def _tokens(self) -> list[_Token]:
        return [*self._of_headers, *self._of_json]

    @property
    def can_login(self) -> bool:
        """Whether a login works without asking a person for a code."""
        return not any(isinstance(code, AskedCode) for code in self._codes)

    @property
    def carriers(self) -> tuple[Carrier, ...]:
        """The header tokens that responses replace; the first one of the option ``tokens.headers`` leads the others."""
        rotate = self.options.get("rotate", True)
        found: list[Carrier] = []
        if rotate is not False:
            found += self._carriers(self._of_headers, lambda token: {"field": _place(token).header})
        if rotate == "body":
            found += self._carriers(self._of_json, lambda token: {"find": partial(_in_body, token)})
        if self._echo:
            found += self._echo.carriers
        return tuple(found)

    def signer(self) -> AuthBase | None:
        """Return what copies the cookie of the option ``csrf``, if each request is to send it."""
        return self._echo.signer() if self._echo else None

    def _carriers(self, tokens: list[_Token], source: Callable[[_Token], Mapping[str, Any]]) -> list[Carrier]:
        found: list[Carrier] = []
        for token in tokens:
            if isinstance(token.place, str):
                continue  # from another response than the last: nothing shows where a new one is
            leader = found[0].name if found else ""
            found.append(Carrier(token.header, origins=self._origins, follows=leader, **source(token)))
        return found

    def login(self, session: LoginSession) -> None:
        """Send the requests of the login and keep the tokens.

        Raises LoginFailed if the service rejects it, or a response lacks what it should have; the message shows no secret.
        Raises TransferError if the service may answer later.
        """
        self._bound.listen(session.http)
        exchange = self._exchange(session, "login")
        exchange.scope.spent = session.credentials.get(SPENT, "")
        self._fetch_csrf(exchange)
        answer: Answer | None = None
        cookies: dict[str, str] = {}
        for request, take, when in zip(self._steps, self._takes, self._when, strict=True):
            if when is not None and answer is not None and not when.holds(answer):
                continue
            answer = exchange.send(request)
            cookies |= answer.cookies
            exchange.judge(answer, request)
            for name, place in take.items():
                self._take(exchange, name, place.need(answer))
        assert answer is not None  # noqa: S101 - the first step is always sent
        answer.cookies = cookies
        self._keep_all(session, answer, exchange.scope)
        for place in self._of_cookies:
            place.need(answer)
        if not self._tokens and not cookies:
            raise LoginFailed(
                f"The login at {answer.place} was accepted (status {answer.status}), but it brought no cookie.",
                hint=f'{answer.overview()} If the token is in a header field or in JSON, say so in "tokens".'.lstrip(),
            )
        session.keep(_MADE_BY, self._mark)
        if exchange.scope.code:
            session.keep(SPENT, exchange.scope.code)

    def can_refresh(self, credentials: Mapping[str, str]) -> bool:
        """Return whether the session is of this configuration, and has all that the refresh sends."""
        if self._refresh is None or credentials.get(_MADE_BY) != self._mark:
            return False
        return all(name in credentials for name in self._refresh.used & self._keep.keys())

    def refresh(self, session: LoginSession) -> None:
        """Send the request ``refresh`` and keep what it brings.

        Raises RefreshRefused if the service rejects it (400, 401, or errors in its JSON), LoginFailed for other errors,
        and TransferError if the outcome is not known.
        """
        assert self._refresh is not None  # noqa: S101 - `can_refresh` was asked
        if self._renewed.get(session.number) and self.can_login:
            # Simple JWT, for example, renews the tokens of a user whose password has changed, and refuses them all
            raise RefreshRefused(
                "The service refused the session that it had just renewed.", hint="Log in again: argosy login CONFIG"
            )
        exchange = self._exchange(session, "refresh")
        exchange.scope.names |= self._known_names(session)
        if self._echo and origin_of(self._refresh.url(exchange.scope)) in self._origins:
            exchange.extra |= {name: value for name, value in session.headers.items() if name == self._echo.send}
        try:
            self._fetch_csrf(exchange)
        except (requests.RequestException, TransferError) as error:
            if isinstance(error, TransferError):
                why, kind = error.message.rstrip("."), error.kind
            else:
                why, kind = f"its csrf.url gave no answer: {reason_of(error)}", kind_of(error, sent=True)
            raise TransferError(f"The refresh was not sent: {why}.", kind=kind, retryable=True, unsent=True) from None
        answer = exchange.send(self._refresh)
        exchange.judge(answer, self._refresh, refused=self._refused)
        try:
            self._keep_all(session, answer, exchange.scope, again=True)
        except LoginFailed as error:
            # the service may have replaced what was sent, which must not be sent again
            message = f"{error.message} The session may have been renewed."
            raise TransferError(message, kind="answer", retryable=False, unsent=False) from None
        self._renewed = {**self._renewed, session.number: False}

    def logout(self, session: LoginSession) -> bool:
        """Send the request ``logout`` with the tokens; raise LoginFailed if the service rejects it."""
        if self._logout is None:
            return False
        exchange = self._exchange(session, "logout")
        exchange.scope.names |= self._known_names(session)
        tokens = session.headers
        if self._csrf and origin_of(self._csrf[0].origin_url) in self._origins:
            exchange.extra |= tokens
        self._fetch_csrf(exchange)
        exchange.extra = {name: value for name, value in exchange.extra.items() if name not in tokens}
        if origin_of(self._logout.url(exchange.scope)) in self._origins:
            exchange.extra = {**tokens, **exchange.extra}
        exchange.judge(exchange.send(self._logout), self._logout)
        return True

    def is_refusal(self, response: ResponseHead) -> bool:
        """Return whether the service rejects the session."""
        self._bound.look(response.final_url, response.headers)
        refused = self._rules.is_refusal(response)
        if self._renewed:
            self._renewed = dict.fromkeys(self._renewed, True) if refused else {}
        return refused

    # -- implementation

    def _exchange(self, session: LoginSession, what: str) -> Exchange:
        scope = Scope(secrets={secret.reveal() for secret in self._secrets})
        tokens = session.headers.values()
        scope.secrets.update(session.credentials.values(), tokens, [value.rpartition(" ")[2] for value in tokens])
        exchange = Exchange(session.http, scope, what, self._message)
        if self._echo:
            send = self._echo.send
            self._echo.listen(session, lambda value: exchange.extra.__setitem__(send, value))
        return exchange

    def _fetch_csrf(self, exchange: Exchange) -> None:
        if self._csrf is None:
            return
        request, place, send = self._csrf
        answer = exchange.send(request)
        exchange.judge(answer, request)
        value = place.need(answer)
        try:
            exchange.extra[send] = check_token(value)
        except ValueError as error:
            raise _no_token("csrf", error) from None
        exchange.scope.secrets.add(str(value))
        # what Django and others check beside the value
        exchange.extra |= {"Origin": origin_of(request.origin_url), "Referer": request.origin_url.partition("?")[0]}

    def _take(self, exchange: Exchange, name: str, value: Any) -> None:
        exchange.scope.names[name] = value
        if isinstance(value, str):
            exchange.scope.secrets.add(value)
            self.context.on_secret(value)

    def _known_names(self, session: LoginSession) -> dict[str, str]:
        """Return the values for refresh and logout by name."""
        kept = {name: session.credentials[name] for name in self._keep if name in session.credentials}
        tokens = {name.lower(): value for name, value in session.headers.items()}
        return {t.header: tokens[t.header.lower()] for t in self._tokens if t.header.lower() in tokens} | kept

    def _keep_all(self, session: LoginSession, answer: Answer, scope: Scope, *, again: bool = False) -> None:
        """Keep what a response brings: tokens, other values, and when they expire; `again` for a refresh."""
        values: list[str] = []
        for token in self._tokens:
            found = self._value_at(token.place, answer, scope, again=again)
            try:
                value = token.value(found)
            except ValueError as error:
                where = token.place if isinstance(token.place, str) else token.place.where
                raise _no_token(where, error) from None
            values.append(value)
            session.add_header(token.header, value, self._origins)
        for name, kept in self._keep.items():
            if not again:
                session.keep(name, str(self._value_at(kept, answer, scope, again=False)))
            elif is_scalar(new := self._place_of(kept).find(answer)):
                session.keep(name, str(new))
        self._set_expiry(session, answer, values)

    def _place_of(self, place: Place | str) -> Place:
        """Return a place itself, or the one where a step takes a value of this name."""
        if isinstance(place, Place):
            return place
        return next(take[place] for take in reversed(self._takes) if place in take)

    def _value_at(self, place: Place | str, answer: Answer, scope: Scope, *, again: bool) -> Any:
        """Return a value of a response; a refresh does not repeat the steps, so its response has what they took."""
        if isinstance(place, str) and not again:
            return scope.value_of(place)
        return self._place_of(place).need(answer)

    def _set_expiry(self, session: LoginSession, answer: Answer, tokens: list[str]) -> None:
        seconds = self._lifetime
        now = time.time()
        if self._expires is not None:
            seconds = _seconds_left(self._expires.find(answer), now)
        elif seconds is None and (self.options.get("rotate", True) is False or not self.carriers):
            # one that is replaced in time does not expire
            when = [at for at in (jwt_expiry(token.rpartition(" ")[2]) for token in tokens) if at is not None]
            seconds = min(when) - now if when else None
        if seconds is not None and seconds <= 0:
            raise LoginFailed(
                f"The tokens that {answer.place} gave have expired already.", hint="Check the clock of this machine."
            )
        if seconds is not None:
            session.expires_in(seconds)


def _seconds_left(value: Any, now: float) -> float | None:
    """Return the seconds until a time: a lifetime, or a time since the epoch in seconds or milliseconds, or ISO 8601."""
    number = lifetime(value)
    if number is None:
        if is_scalar(value) and _is_number(value):
            milliseconds = float(value)
            return milliseconds / 1000 - now if _MILLISECONDS <= milliseconds < 1e14 else None
        at = moment(value)
        return None if at is None else at - now
    return number if number <= _EPOCH else number - now


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _place(token: _Token) -> Place:
    assert isinstance(token.place, Place)  # noqa: S101 - header fields are places
    return token.place


def _in_body(token: _Token, body: Any) -> str | None:
    """Return the new value of a token in the JSON of a response, or None."""
    path = _place(token).path
    if path is None:
        return None
    try:
        found = path.find(body)
        return token.value(found) if is_scalar(found) else None
    except (LoginFailed, ValueError):
        return None


def _no_token(where: str, error: ValueError) -> LoginFailed:
    return LoginFailed(
        f"What the response has for the option {where} of the auth json-login is no token: {error}.",
        hint="Change the option, or check the login in a browser.",
    )


@hookimpl
def argosy_auth() -> type[Auth]:
    """Register the auth ``json-login``."""
    return JsonLogin
