"""A strict JSON decoder: no duplicate keys, no NaN, no numbers out of range, no lone surrogates."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\n\r]*")


class Unreadable(ValueError):
    """A text is not one JSON value; the message can be shown, and `at` is the position in the text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class StrictDecoder:
    """Decodes JSON texts; `faults` lists errors that do not stop the decoder."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def decode(self, text: str) -> Any:
        """Return the value of a whole text; raise Unreadable if it is not one JSON value."""
        value, end = self.decode_at(text, 0)
        rest = _SPACE.match(text, end)
        if rest is not None and rest.end() != len(text):
            raise Unreadable("more text after the JSON value", rest.end())
        return value

    def decode_at(self, text: str, start: int) -> tuple[Any, int]:
        """Return the value at a position (after white space), and where it ends; raise Unreadable if it is incomplete."""
        self.faults.clear()
        space = _SPACE.match(text, start)
        start = space.end() if space else start
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise Unreadable(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
        except RecursionError:
            raise Unreadable("not JSON that can be read: it is nested too deep", start) from None
        except ValueError:  # the interpreter's limit on digits of an integer
            raise Unreadable("not JSON that can be read: a number has too many digits", start) from None
        if _SURROGATE.search(text, start, end):
            try:
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                self.faults.append("half of a surrogate pair (a \\ud800 to \\udfff alone)")
        return value, end

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.faults.append(f"the key {twice!a} twice")
        return value

    def _constant(self, text: str) -> None:
        self.faults.append(f"{text}, which is not a JSON number")

    def _float(self, text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            self.faults.append("a number that is out of range")
            return 0.0
        return value
