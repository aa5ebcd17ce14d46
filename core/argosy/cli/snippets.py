"""Shows pieces of a configuration in messages as their reader writes them: in TOML, or in JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence

# "key": before a value; in manifests, which are always JSON, only one of these is the first key of an example
_KEY = re.compile(r'"([A-Za-z_][A-Za-z0-9_-]{0,59})": (?=\S)')
_OF_A_MANIFEST = re.compile(r'\{"(?:url|X-Requested-With)": "')

_in_json = False


def remember(words: Sequence[str]) -> None:
    """Take the words of the command line, whose first configuration decides; without one, messages are in TOML."""
    global _in_json
    before = ("", *words)
    # the values of options are other files, such as reports, and `session` takes stores in JSON
    given = [word.lower() for option, word in zip(before, words, strict=False) if not option.startswith("-")]
    first = next((word for word in given if word.endswith((".toml", ".json"))), "")
    _in_json = first.endswith(".json") or given[:1] == ["session"]


def as_written(text: str) -> str:
    """Return a message with pieces of a configuration in the reader's language.

    Examples
    --------
    >>> as_written('Set "auth", for example to {"use": "form-login", ...}.')
    'Set "auth", for example to {use = "form-login", ...}.'
    """
    if _in_json or _OF_A_MANIFEST.search(text):
        return text
    return _KEY.sub(r"\1 = ", text)
