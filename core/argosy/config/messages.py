"""Turns validation errors into messages that never repeat a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from argosy.toolkit.text import did_you_mean, escape_controls

if TYPE_CHECKING:
    from jsonschema import ValidationError

KeyPath = tuple[str | int, ...]
#: The value found, and the value expected.
Finding = tuple[str, str]

_LONGEST = 60
_MOST = 12
_REFERENCE = (
    'a reference to the secret: {"env": NAME}, {"file": PATH}, {"keyring": SERVICE, "user": USER} or {"prompt": TEXT}'
)
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|credential|api_?key|cookie|authori[sz]ation|bearer|private", re.I
)
_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$-]{0,59}", re.ASCII)
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_CONDITIONS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "length at least {}",
    "maxItems": "length at most {}",
    "pattern": "matching {}",
    "format": "a valid {}",
}


def findings(error: ValidationError) -> Iterator[Finding]:
    """Yield what one error means."""
    keyword = str(error.validator)
    schema: Any = error.schema
    if keyword == "additionalProperties":
        yield from _unknown_keys(error)
    elif keyword in ("required", "dependentRequired"):
        yield from _missing_keys(error)
    elif keyword in ("anyOf", "oneOf"):
        yield _no_choice(error)
    else:
        inner_keys = list(error.absolute_path)[1:]  # none of the configuration's own keys is for a secret
        text = json.dumps(schema)  # at any level: a misplaced value may be the secret itself
        may_hold_secret = '"writeOnly": true' in text or '/$defs/secret"' in text
        is_secret = may_hold_secret or any(_SECRET_KEY.search(str(key)) for key in inner_keys)
        hidden = is_secret and not isinstance(error.instance, dict | list)
        expected = f"expected {_describe(schema, keyword)}"
        if keyword == "enum" and isinstance(error.instance, str):
            near = did_you_mean(error.instance, [word for word in schema["enum"] if isinstance(word, str)])
            expected += f"; {near}" if near else ""
        yield "found a value (not shown)" if hidden else f"found {_shown(error.instance)}", expected


def location(sources: Mapping[str, str], name: str, path: KeyPath) -> str:
    """Return ``file: key.path[0]``; `sources` has the top-level keys that did not come from the file."""
    keys = [
        f"[{key}]" if isinstance(key, int) else f".{key if _PLAIN_KEY.fullmatch(key) else _shown(key)}" for key in path
    ]
    source = sources.get(str(path[0]), name) if path else name
    return f"{source}: {''.join(keys).removeprefix('.')}" if path else source


def _shown(value: Any, *, content: bool = True) -> str:
    """Return a value on one short line; of containers, only the size."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if not content and not isinstance(value, bool) and value is not None:
        return "text" if isinstance(value, str) else "a number"
    if isinstance(value, str):
        if re.search(r"://[^/]*@", value):
            return "a URL with a user name or password (not shown)"
        text = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
        return escape_controls(json.dumps(text, ensure_ascii=False))
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:  # str() refuses more than 4,300 digits
        return "a very large number"
    return json.dumps(value)


def _listed(words: Sequence[Any]) -> str:
    return ", ".join([*map(_shown, words[:_MOST]), *(["..."] if len(words) > _MOST else [])]) or "none"


def _describe(schema: Any, keyword: str = "type") -> str:
    """Return what a schema expects; `keyword` is the one that failed."""
    if not isinstance(schema, Mapping):
        return "nothing here"
    if "const" in schema:
        return _shown(schema["const"])
    if "enum" in schema:
        return f"one of {_listed(schema['enum'])}"
    is_object = schema.get("type", "object") == "object"
    if "/$defs/secret" in schema.get("$ref", "") or (is_object and schema.get("writeOnly")):
        return _REFERENCE
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    words = [" or ".join(_TYPES[name] for name in names) or str(schema.get("title", "a value"))]
    words += [text.format(schema[key]) for key, text in _CONDITIONS.items() if key in schema]
    if keyword != "type" and keyword not in _CONDITIONS:
        words.append(f"{keyword}: {_shown(schema.get(keyword))}")
    return ", ".join(words)


def _unknown_keys(error: ValidationError) -> Iterator[Finding]:
    schema: Any = error.schema
    instance: Any = error.instance
    known = list(schema.get("properties", {}))
    for key in instance:
        if key not in known and not any(re.search(word, key) for word in schema.get("patternProperties", {})):
            expected = did_you_mean(key, known) or f"the keys here are {_listed(known)}"
            yield f"unknown key {_shown(key)}", expected


def _missing_keys(error: ValidationError) -> Iterator[Finding]:
    schema: Any = error.schema
    instance: Any = error.instance
    needed: Any = error.validator_value
    if error.validator == "dependentRequired":
        needed = [key for given, keys in needed.items() if given in instance for key in keys]
    for key in needed:
        if key not in instance:
            about = schema.get("properties", {}).get(key, {}).get("description", "")
            yield f'the key "{key}" is missing', f"it is required{about and f': {about}'}"


def _no_choice(error: ValidationError) -> Finding:
    """Describe a value that fits no branch of an anyOf or oneOf, or more than one."""
    branches: Any = error.validator_value
    keys = [branch.get("required", [None])[0] for branch in branches]
    if isinstance(error.instance, dict) and all(keys):
        given = [key for key in keys if key in error.instance]
        found = f"found {' and '.join(map(_shown, given))} together" if given else "a key is missing"
        number = "exactly one" if error.validator == "oneOf" else "at least one"
        return found, f"expected {number} of the keys {_listed(keys)}"
    # the value may be a secret in any branch, so only its type is shown
    expected = " or ".join(dict.fromkeys(map(_describe, branches)))
    return f"found {_shown(error.instance, content=False)}", f"expected {expected}"
