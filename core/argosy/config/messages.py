"""Says in plain words what is wrong with a value, without repeating a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from argosy.toolkit.text import closest, escape_controls

if TYPE_CHECKING:
    import jsonschema

_LONGEST = 60
_MOST = 12
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
#: Conditions on values, in the order in which a message lists them. jsonschema's own messages repeat the value.
_CONDITIONS: Mapping[str, str] = {
    "exclusiveMinimum": "above {}",
    "minimum": "of at least {}",
    "maximum": "of at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "of at least {} characters",
    "maxLength": "of at most {} characters",
    "minItems": "of at least {}",
    "maxItems": "of at most {}",
    "pattern": "that matches {}",
}


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return text that is safe to print: control characters are escaped, and what is too long is cut."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def shown(value: Any, *, content: bool = True) -> str:
    """Return a value as a message shows it: short, one line, containers by their size alone.

    Parameters
    ----------
    value
        A JSON value.
    content
        Whether the content of a text or number is shown, or only its type.
    """
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if not content:
        return "text" if isinstance(value, str) else "a number"
    if isinstance(value, str) and re.search(r"://[^/]*@", value):
        return "a URL with a user name or password in it (not shown)"
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:
        return "a number of more than 60 digits"
    if isinstance(value, str):  # cut before it is quoted, so that the quotes stay whole
        return json.dumps(printable(value), ensure_ascii=False).replace("\\\\", "\\")
    return json.dumps(value)


def listed(words: Sequence[Any]) -> str:
    """Return some words as a list for a sentence; of very many, the first."""
    if not words:
        return "none"
    quoted = [shown(word) for word in words[:_MOST]]
    return ", ".join(quoted) + (", ..." if len(words) > _MOST else "")


def describe(schema: Any, keyword: str) -> str:
    """Return what a schema asks for, in words.

    Parameters
    ----------
    schema
        The schema that the value did not meet.
    keyword
        The keyword of it that failed; it is mentioned where there are no better words.
    """
    if not isinstance(schema, Mapping):
        return "nothing here"
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        options = schema["enum"]
        return f"one of {listed(options)}" if options else "something that is not installed"
    if (schema.get("writeOnly") and schema.get("type") == "object") or str(schema.get("$ref", "")).endswith(
        "/$defs/secret"
    ):
        return 'where the secret is kept: {"env": NAME}, {"file": PATH}, {"keyring": SERVICE, "user": USER} or {"prompt": TEXT}'
    return " ".join([_type_words(schema), *_conditions(schema, keyword)])


def _type_words(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    if names:
        return " or ".join(_TYPES.get(name, str(name)) for name in names)
    return str(schema.get("title", "a value"))


def _conditions(schema: Mapping[str, Any], keyword: str) -> list[str]:
    words = [text.format(schema[key]) for key, text in _CONDITIONS.items() if key in schema]
    if "minimum" in schema and "maximum" in schema:
        words = [f"from {schema['minimum']} to {schema['maximum']}", *words[2:]]
    if "exclusiveMinimum" in schema and len(words) > 1:
        words[0] += ","
    if schema.get("minLength") == 1:
        words[words.index("of at least 1 characters")] = "that is not empty"
    if "format" in schema:
        words.append(f"that is a {str(schema['format']).upper()}")
    if schema.get("uniqueItems"):
        words.append("without duplicates")
    if schema.get("maxProperties") == 1 and "properties" in schema:
        words.append(f"with one of the keys {listed(list(schema['properties']))}")
    if not words and keyword and keyword not in ("type", "None"):
        words.append(f"that fulfils {keyword}: {printable(json.dumps(schema.get(keyword), default=str))}")
    return words


KeyPath = tuple[str | int, ...]
#: Where, what was found, what would be right.
Finding = tuple[KeyPath, str, str]

_SECRET = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|credential|api_?key|cookie|authori[sz]ation|bearer|private", re.I
)
_HIDDEN = "found a value that is not shown here"


def problems_of(error: jsonschema.ValidationError, top: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is to be said about one error of the validator.

    Parameters
    ----------
    error
        The error.
    top
        The configuration's own keys; none of them is a secret, whatever it sounds like.
    """
    path: KeyPath = tuple(error.absolute_path)
    render = _RENDERERS.get(str(error.validator))
    if render is not None:
        yield from render(error, path)
    else:
        yield path, _found(error, path, top), _expected(error)


def location(owners: Mapping[str, str], name: str, path: Iterable[str | int]) -> str:
    """Return ``file: key.path[0]``; `owners` tells the top-level keys that did not come from the file."""
    text = ""
    parts = tuple(path)
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$-]*", part)
            key = part if plain else json.dumps(part, ensure_ascii=False)
            text += f".{printable(key, 60)}" if text else printable(key, 60)
    owner = owners.get(str(parts[0]), name) if parts else name
    return f"{owner}: {text}" if text else owner


def is_secret(schema: Any, path: KeyPath, top: Mapping[str, Any]) -> bool:
    """Return whether a value at `path` must not be shown, by its key or by what its schema refers to."""
    keys = [part for part in path if isinstance(part, str)]
    if keys and keys[0] in top:
        keys = keys[1:]
    return any(_SECRET.search(key) for key in keys) or _is_write_only(schema)


def _is_write_only(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        if schema.get("writeOnly") is True or str(schema.get("$ref", "")).endswith("/$defs/secret"):
            return True
        # a value of the wrong type may be the secret itself that belongs into it, one level lower
        parts = [part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, ())]
        parts += [schema.get("items"), schema.get("additionalProperties")]
        return any(map(_is_write_only, [*parts, *schema.get("properties", {}).values()]))
    return False


def _found(error: jsonschema.ValidationError, path: KeyPath, top: Mapping[str, Any]) -> str:
    if isinstance(error.instance, dict | list):
        return f"found {shown(error.instance)}"
    return _HIDDEN if is_secret(error.schema, path, top) else f"found {shown(error.instance)}"


def _expected(error: jsonschema.ValidationError) -> str:
    schema: Any = error.schema
    text = f"expected {describe(schema, str(error.validator))}"
    options = schema.get("enum") if isinstance(schema, Mapping) else None
    if isinstance(options, list) and isinstance(error.instance, str):
        near = closest(error.instance, [option for option in options if isinstance(option, str)])
        return f'{text}; did you mean "{near}"?' if near else text
    return text


def _unknown_keys(error: jsonschema.ValidationError, path: KeyPath) -> Iterator[Finding]:
    schema: Any = error.schema
    known = list(schema.get("properties", {}))
    patterns = list(schema.get("patternProperties", {}))
    instance: Any = error.instance
    for key in instance:
        if key in known or any(re.search(pattern, key) for pattern in patterns):
            continue
        near = closest(key, known)
        found = f"unknown key {shown(key)}"
        yield path, found, f'did you mean "{near}"?' if near else f"the keys here are {listed(known)}"


def _missing_keys(error: jsonschema.ValidationError, path: KeyPath) -> Iterator[Finding]:
    schema: Any = error.schema
    instance: Any = error.instance
    wanted = schema["required"] if error.validator == "required" else _dependent(schema, instance)
    for key in wanted:
        if key not in instance:
            option = schema.get("properties", {}).get(key, {})
            about = option.get("description") if isinstance(option, Mapping) else None
            yield path, f'the key "{key}" is missing', f"it is needed{f': {about}' if about else ''}"


def _dependent(schema: Mapping[str, Any], instance: Mapping[str, Any]) -> list[str]:
    rules = schema["dependentRequired"].items()
    return [wanted for key, all_wanted in rules if key in instance for wanted in all_wanted]


def _choice(error: jsonschema.ValidationError, path: KeyPath) -> Iterator[Finding]:
    """Say that no branch of an anyOf or oneOf fits, or more than one."""
    branches = error.validator_value if isinstance(error.validator_value, list) else []
    keys = [branch.get("required", [None])[0] for branch in branches if isinstance(branch, Mapping)]
    if isinstance(error.instance, dict) and keys and all(keys):
        has = [key for key in keys if key in error.instance]
        found = (
            f"found {' and '.join(map(shown, has))} together" if has else "found none of the keys it needs"
        )
        how_many = "exactly one" if error.validator == "oneOf" else "at least one"
        yield path, found, f"expected {how_many} of the keys {listed(keys)}"
        return
    # the value may be a secret in any branch, so nothing but its type is said
    expected = " or ".join(dict.fromkeys(describe(branch, "") for branch in branches))
    yield path, f"found {shown(error.instance, content=False)}", f"expected {expected}"


_RENDERERS: Mapping[str, Callable[[jsonschema.ValidationError, KeyPath], Iterator[Finding]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "dependentRequired": _missing_keys,
    "anyOf": _choice,
    "oneOf": _choice,
}
