"""The parts of a JSON login's options: values to send, places in responses, and what tells success."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from argosy.errors import ConfigError, LoginFailed
from argosy.interfaces.base import PluginContext
from argosy.toolkit.secrets import Secret
from argosy.toolkit.urls import check_url
from argosy_plugins.auth._codes import SENSITIVE, AskedCode, Field, TimeCode
from argosy_plugins.auth._csrf import FIELD_NAME

if TYPE_CHECKING:
    from argosy_plugins.auth._json_exchange import Answer

#: The name of a value that a step takes, or that is kept; a header token is named like its field.
NAME = "[A-Za-z_][A-Za-z0-9_-]*"
#: The most characters of a token; longer header fields are refused by most servers.
MAX_TOKEN = 16 * 1024
_TEMPLATE = re.compile(rf"\{{({NAME})\}}")
# visible ASCII, with spaces inside (RFC 9110 section 5.5)
_FIELD_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")
_TEXT = {"type": "string", "minLength": 1}
_SECRET = {"$ref": "argosy:common#/$defs/secret"}
#: The keys of a reference to a secret.
_REFERENCES = (frozenset({"env"}), frozenset({"file"}), frozenset({"keyring", "user"}), frozenset({"prompt"}))
#: The keys of other values that are more than JSON: codes, and what only looks like a secret.
_WRAPPED = (frozenset({"totp"}), frozenset({"one_time"}), frozenset({"json"}))
_ELSEWHERE = 'Keep it elsewhere: {"env": NAME}, {"file": PATH}, {"keyring": SERVICE, "user": NAME}.'

_PLACES: Mapping[str, Any] = {
    "json": {**_TEXT, "pattern": r"^\$", "description": "A JSONPath (RFC 9535) in the response, such as $.data.token."},
    "header": {"type": "string", "pattern": FIELD_NAME, "description": "A header field of the response."},
    "cookie": {**_TEXT, "description": "The name of a cookie that the response sets."},
}
#: The JSON Schema of a place in a response.
PLACE_SCHEMA: Mapping[str, Any] = {
    "anyOf": [
        {**_TEXT, "pattern": r"^\$"},
        {
            "type": "object",
            "properties": _PLACES,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
#: The JSON Schema of `Condition`.
CONDITION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **_PLACES,
        "status": {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 100, "maximum": 599}},
            ],
            "description": "The status code, or several.",
        },
        "value": {"description": "What is at that place; by default, anything but null and false."},
    },
    "additionalProperties": False,
    "minProperties": 1,
    "not": {
        "anyOf": [
            {"required": ["json", "header"]},
            {"required": ["json", "cookie"]},
            {"required": ["header", "cookie"]},
        ]
    },
}
#: The properties in the JSON Schema of a request.
REQUEST_PROPERTIES: Mapping[str, Any] = {
    "url": {**_TEXT, "description": "The URL to send the request to."},
    "method": {
        "type": "string",
        "pattern": "^[A-Z]+$",
        "description": "The method of the request; POST by default.",
    },
    "json": {
        "type": ["object", "array"],
        "description": "The JSON to send. Keep secrets elsewhere, at any depth: {env = NAME} and so on. A code for one"
        " login is {totp = ...} or {one_time = ...}. An object or a text that only looks like a secret is"
        " {json = ...}.",
    },
    "form": {"type": "object", "description": "Fields to send as a form instead of JSON; values are as in json."},
    "headers": {
        "type": "object",
        "propertyNames": {"pattern": FIELD_NAME},
        "additionalProperties": {"anyOf": [{"type": "string"}, _SECRET]},
        "description": "More header fields of the request.",
    },
    "success": {
        **CONDITION_SCHEMA,
        "description": "What the response to a successful request has; by default, a status from 200 to 299 and no"
        " errors in its JSON.",
    },
    "failure": {**CONDITION_SCHEMA, "description": "What only the response to a failed request has."},
}


@dataclass
class Scope:
    """The values of one login that are known so far; `spent` is the one-time code of the previous login."""

    spent: str = ""
    names: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    code: str = ""

    def value_of(self, name: str) -> Any:
        """Return the value of a name; raise LoginFailed if no response brought it."""
        if name not in self.names:
            raise LoginFailed(
                f"The auth json-login needs the value {{{name}}}, and no response brought it.",
                hint="A step that takes it was skipped by its option when.",
            )
        return self.names[name]

    def next_code(self, code: Field) -> str:
        """Return a one-time code to send."""
        self.code = code.value(self.spent)
        self.secrets.add(self.code)
        return self.code


#: Returns the value to send.
Render = Callable[[Scope], Any]


@dataclass(frozen=True)
class Values:
    """Reads the values of options; `names` are those that may stand in braces."""

    context: PluginContext
    names: frozenset[str] = frozenset()
    codes: list[Field] = field(default_factory=list)  # those found
    secrets: list[Secret] = field(default_factory=list)  # as well

    def value(self, raw: Any, where: str) -> Render:
        """Return what renders a JSON value; `where` is its place in the options."""
        if isinstance(raw, Mapping):
            return self._mapping(raw, where)
        if isinstance(raw, (list, tuple)):
            parts = [self.value(part, f"{where}[{n}]") for n, part in enumerate(raw)]
            return lambda scope: [part(scope) for part in parts]
        if isinstance(raw, str):
            return self.text(raw, where)
        return lambda scope: raw

    def _mapping(self, raw: Mapping[str, Any], where: str) -> Render:
        if _is_reference(raw):
            return self._secret(raw)
        if raw.keys() == {"json"}:
            return lambda scope: raw["json"]
        code = self._code(raw, where)
        if code is not None:
            self.codes.append(code)
            return lambda scope: scope.next_code(code)
        parts = {}
        for name, part in raw.items():
            if isinstance(part, str) and re.search(SENSITIVE, name):
                self._refuse_secret(part, f"{where}.{name}", 'If it is none: {"json": VALUE}.')
            parts[name] = self.value(part, f"{where}.{name}")
        return lambda scope: {name: part(scope) for name, part in parts.items()}

    def _code(self, raw: Mapping[str, Any], where: str) -> Field | None:
        for key in ("totp", "one_time"):
            if raw.keys() == {key} and isinstance(raw[key], Mapping) and _is_reference(raw[key]):
                if key == "totp":
                    return TimeCode(self.context.secret(raw[key]), where, self.context.notice)
                return AskedCode(raw[key], where, self.context)
        return None

    def _secret(self, reference: Mapping[str, Any]) -> Render:
        secret = self.context.secret(reference)
        self.secrets.append(secret)
        return lambda scope: secret.reveal()

    def _refuse_secret(self, value: str, where: str, otherwise: str = "") -> None:
        """Raise a ConfigError for a secret in the configuration; a value with a taken one in it is none."""
        if value and not set(_TEMPLATE.findall(value)) & self.names:
            raise ConfigError(
                f"The option {where} of the auth json-login looks like a secret, but its value is in the configuration.",
                hint=f"{_ELSEWHERE} {otherwise}".rstrip(),
            )

    def text(self, raw: str, where: str) -> Render:
        """Return what renders a text; one that is only a name in braces keeps its type.

        Other braces are text, as in GraphQL.
        """
        whole = _TEMPLATE.fullmatch(raw)
        if whole is not None:
            name = self._known(whole[1], where)
            return lambda scope: scope.value_of(name)
        if not set(_TEMPLATE.findall(raw)) & self.names:
            return lambda scope: raw

        def render(scope: Scope) -> str:
            return _TEMPLATE.sub(
                lambda found: as_text(scope.value_of(found[1])) if found[1] in self.names else found[0], raw
            )

        return render

    def _known(self, name: str, where: str) -> str:
        if name not in self.names:
            there = f"Known here: {', '.join(sorted(self.names))}." if self.names else "No step takes a value before."
            raise ConfigError(f"The option {where} of the auth json-login has the unknown name {{{name}}}.", hint=there)
        return name

    def header(self, name: str, raw: str | Mapping[str, Any], where: str) -> Callable[[Scope], str]:
        """Return what renders a header field."""
        if isinstance(raw, Mapping):
            render = self._secret(raw)
        else:
            if re.search(SENSITIVE, name) or name.lower() in ("authorization", "cookie"):
                self._refuse_secret(raw, where)
            for found in _TEMPLATE.findall(raw):
                self._known(found, where)
            render = self.text(raw, where)

        def checked(scope: Scope) -> str:
            value = as_text(render(scope))
            if value and not _FIELD_VALUE.match(value):
                # the libraries below would show it
                raise LoginFailed(
                    f"The option {where} of the auth json-login has characters that no header field may have.",
                    hint="Only printable ASCII is allowed, without spaces around it.",
                )
            return value

        return checked

    def url(self, raw: str, where: str) -> Callable[[Scope], str]:
        """Return what renders a URL; raise ConfigError if it is invalid."""
        for found in _TEMPLATE.findall(raw):
            self._known(found, where)
        problem = check_url(_TEMPLATE.sub("x", raw))
        if problem is None and "{" in "/".join(raw.split("/", 3)[:3]):
            problem = "has a name in braces in its host"
        if problem is not None:
            raise ConfigError(
                f"In the auth json-login, the option {where} {problem}.", hint="Write a whole URL: https://HOST/PATH."
            )
        return lambda scope: _TEMPLATE.sub(lambda found: quote(as_text(scope.value_of(found[1])), safe=""), raw)


def _is_reference(value: Mapping[str, Any]) -> bool:
    return value.keys() in _REFERENCES and all(isinstance(part, str) and part for part in value.values())


def as_text(value: Any) -> str:
    """Return a JSON value as text for a URL or a header field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def check_token(value: Any) -> str:
    """Return a token as text; raise ValueError, which does not show it, if no header field may have it."""
    text = as_text(value)
    if len(text) > MAX_TOKEN:
        raise ValueError(f"it is longer than {MAX_TOKEN} characters")
    if not _FIELD_VALUE.match(text):
        raise ValueError("it is empty" if not text.strip() else "it has characters that no header field may have")
    return text


def is_scalar(value: object) -> bool:
    """Return whether a JSON value is a text or a number."""
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != ""


@dataclass(frozen=True)
class JsonPath:
    """A JSONPath (RFC 9535) and the option that it comes from; raises ConfigError if it is invalid."""

    text: str
    where: str
    _query: Any = None

    @classmethod
    def read(cls, text: str, where: str) -> JsonPath:
        """Return a path; raise ConfigError if it is invalid, or the library is missing."""
        try:
            from jsonpath import JSONPathEnvironment, JSONPathError
        except ImportError:
            raise ConfigError(
                f"The option {where} of the auth json-login is a JSONPath, which needs the library python-jsonpath.",
                hint="Install it: pip install 'argosy[json-login]'.",
            ) from None
        try:
            query = JSONPathEnvironment(strict=True).compile(text)
        except (JSONPathError, RecursionError) as error:
            why = str(error.args[0]) if error.args else ""
            if isinstance(error, RecursionError) or not why or "recursion" in why:  # the library may catch it
                why = "it is nested too deeply"
            raise ConfigError(
                f"The option {where} of the auth json-login is not a JSONPath: {why}.",
                hint='Write it as in RFC 9535: $.data.token, or $["access-token"].',
            ) from None
        return cls(text, where, query)

    def find(self, value: Any) -> Any:
        """Return the first value there, or None; raise LoginFailed if the search does not end well."""
        from jsonpath import JSONPathError

        if isinstance(value, str):
            return value if self.text.strip() == "$" else None  # the library would read it as JSON
        try:
            found = self._query.match(value)
        except (JSONPathError, RecursionError):
            raise LoginFailed(
                f"The response cannot be searched with the option {self.where} of the auth json-login:"
                " its JSON is nested too deeply.",
                hint="Write the whole path to the value.",
            ) from None
        return None if found is None else found.obj


@dataclass(frozen=True)
class Place:
    """Where a value is in a response; `where` is the option that says so."""

    where: str
    path: JsonPath | None = None
    header: str = ""
    cookie: str = ""

    @classmethod
    def read(cls, raw: str | Mapping[str, Any], where: str) -> Place:
        """Return the place that an option describes."""
        if isinstance(raw, str):
            return cls(where, JsonPath.read(raw, where))
        path = JsonPath.read(raw["json"], f"{where}.json") if "json" in raw else None
        return cls(where, path, raw.get("header", ""), raw.get("cookie", ""))

    def find(self, answer: Answer) -> Any:
        """Return the value, or None; raise LoginFailed if the response should be JSON and is not."""
        if self.path is not None:
            return self.path.find(answer.json(self.where))
        if self.header:
            return answer.headers.get(self.header, "").strip() or None
        value = answer.cookies.get(self.cookie)
        # encoded by some services, and decoded by the scripts of their pages
        return unquote(value) if value else None

    def need(self, answer: Answer) -> Any:
        """Return the value, a text or a number; raise LoginFailed if it is missing or something else."""
        value = self.find(answer)
        if is_scalar(value):
            return value
        what = "has nothing" if value is None or value == "" else f"has {_kind_of(value)}, not a text,"
        raise LoginFailed(
            f"The response of {answer.place} (status {answer.status}) {what} {self}, where the option {self.where} of"
            " the auth json-login looks.",
            hint=f"{answer.overview()} Change the option, or check the login in a browser.".lstrip(),
        )

    def __str__(self) -> str:
        if self.path is not None:
            return f"at {self.path.text}"
        return f"in its header field {self.header}" if self.header else f"in a cookie {self.cookie}"


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "an object" if isinstance(value, dict) else "an array"


@dataclass(frozen=True)
class Condition:
    """What a response must have: a status, a value at a place, or both."""

    statuses: frozenset[int] | None
    place: Place | None
    value: Any
    has_value: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any], where: str) -> Condition:
        """Return the condition that an option describes."""
        status = raw.get("status")
        statuses = None if status is None else frozenset([status] if isinstance(status, int) else status)
        place = None
        if {"json", "header", "cookie"} & raw.keys():
            place = Place.read(raw, where)
        elif "value" in raw:
            raise ConfigError(
                f"The option {where} of the auth json-login has a value and no place for it.",
                hint='Name the place: "json", "header" or "cookie".',
            )
        return cls(statuses, place, raw.get("value"), "value" in raw)

    def holds(self, answer: Answer) -> bool:
        """Return whether a response has it."""
        if self.statuses is not None and answer.status not in self.statuses:
            return False
        if self.place is None:
            return True
        if self.place.path is not None and not answer.is_json:
            return False
        found = self.place.find(answer)
        if not self.has_value:
            return found is not None and found is not False
        return bool(found == self.value) and isinstance(found, bool) == isinstance(self.value, bool)


@dataclass(frozen=True)
class Request:
    """One request as configured."""

    where: str  # the option, such as ``steps[0]``; empty for the options themselves
    url: Callable[[Scope], str]
    origin_url: str  # the URL as configured
    method: str
    json: Render | None
    form: Render | None
    headers: Mapping[str, Callable[[Scope], str]]
    success: Condition | None
    failure: Condition | None
    used: frozenset[str]  # the names in braces

    @classmethod
    def read(cls, raw: Mapping[str, Any], where: str, values: Values) -> Request:
        """Return the request that options describe; raise ConfigError for a mistake."""
        at = f"{where}." if where else ""
        if "json" in raw and "form" in raw:
            raise ConfigError(
                f"The auth json-login has the options {at}json and {at}form, and a request has one body.",
                hint="Remove one of them.",
            )
        for name, part in raw.get("form", {}).items():
            is_known = isinstance(part, Mapping) and (part.keys() in _REFERENCES or part.keys() in _WRAPPED)
            if not is_known and not isinstance(part, (str, int, float)):
                raise ConfigError(
                    f"The option {at}form.{name} of the auth json-login is not a text, a number or a reference.",
                    hint="A form has no nested values. Write its field as the service names it.",
                )
        return cls(
            where,
            values.url(raw["url"], f"{at}url"),
            raw["url"],
            raw.get("method", "POST"),
            values.value(raw["json"], f"{at}json") if "json" in raw else None,
            values.value(raw["form"], f"{at}form") if "form" in raw else None,
            {name: values.header(name, value, f"{at}headers.{name}") for name, value in raw.get("headers", {}).items()},
            Condition.read(raw["success"], f"{at}success") if "success" in raw else None,
            Condition.read(raw["failure"], f"{at}failure") if "failure" in raw else None,
            frozenset(_names_in([raw["url"], raw.get("json"), raw.get("form"), raw.get("headers")])) & values.names,
        )


def _names_in(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield from _TEMPLATE.findall(value)
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _names_in(part)
