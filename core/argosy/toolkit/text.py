"""Makes text safe for terminals, formats numbers, and suggests words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# C0 except tab and line feed, DEL, C1, line and paragraph separators, bidirectional embeddings, overrides and isolates
# (Unicode TR 36, section 2), lone surrogates; compiled when it is used, which is seldom
_CONTROLS = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
# how programs style their output and redraw a line: SGR, cursor up, erase line, show and hide the cursor
_STYLED = rf"(\r|\x1b\[[0-9;]*[mAGK]|\x1b\[\?25[hl])|{_CONTROLS}"
# terminals disagree about the width of what variation selectors and joiners make
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_NON_JOINER = "\u200c"  # the only format character (Cf) that scripts need on a terminal


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def escape_controls(text: str) -> str:
    r"""Return text with JSON escapes (``\u001b``) for what controls a terminal; a JSON document keeps its values."""
    return text if text.isprintable() else re.sub(_CONTROLS, _escape, text)


def escape_printed(text: str) -> str:
    """Return a program's output with its controls escaped, except colors and redrawn lines."""
    return text if text.isprintable() else re.sub(_STYLED, lambda found: found[1] or _escape(found), text)


def one_line(text: str, longest: int = 2000) -> str:
    """Return text on one line for a display, cut to so many characters, without format characters."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    text = _SELECTORS.sub("", escape_controls(" ".join(text.split())))
    if text.isprintable():
        return text
    return "".join(c for c in text if c == _NON_JOINER or unicodedata.category(c) != "Cf")


def size_text(size: float) -> str:
    """Return a number of bytes in decimal units: ``1.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def time_text(seconds: float) -> str:
    """Return a duration: ``0.4 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 login``, ``2 logins``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean "..."?`` with the known word most like another (in any case), or "" if none is close."""
    import difflib  # only for messages

    words = {candidate.lower().replace("-", "_"): candidate for candidate in sorted(known)}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), words, n=1)
    return f'did you mean "{words[near[0]]}"?' if near else ""
