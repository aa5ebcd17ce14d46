"""Words for values and for schemas, as messages need them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from argosy.text import escape_controls

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
    words = []
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        words.append(f"from {low} to {high}")
    elif low is not None:
        words.append(f"of at least {low}")
    elif high is not None:
        words.append(f"of at most {high}")
    if "exclusiveMinimum" in schema:
        words.insert(0, f"above {schema['exclusiveMinimum']}{',' if words else ''}")
    if "exclusiveMaximum" in schema:
        words.append(f"below {schema['exclusiveMaximum']}")
    words += _size_words(schema)
    if schema.get("maxProperties") == 1 and "properties" in schema:
        words.append(f"with one of the keys {listed(list(schema['properties']))}")
    if "format" in schema:
        words.append(f"that is a {str(schema['format']).upper()}")
    if "pattern" in schema:
        words.append(f"that matches {schema['pattern']}")
    if not words and keyword and keyword not in ("type", "None"):
        words.append(f"that fulfils {keyword}: {printable(json.dumps(schema.get(keyword), default=str))}")
    return words


def _size_words(schema: Mapping[str, Any]) -> list[str]:
    words = []
    if schema.get("minLength") == 1:
        words.append("that is not empty")
    elif "minLength" in schema:
        words.append(f"of at least {schema['minLength']} characters")
    if "maxLength" in schema:
        words.append(f"of at most {schema['maxLength']} characters")
    if "minItems" in schema:
        words.append(f"of at least {schema['minItems']}")
    if "maxItems" in schema:
        words.append(f"of at most {schema['maxItems']}")
    if schema.get("uniqueItems"):
        words.append("without doubles")
    return words
