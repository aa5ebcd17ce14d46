"""Text that others wrote, made safe to show: a terminal obeys control characters, and so does a person's eye.

A service's reason phrase, a manifest's title and a plugin's message may hold anything. All text that leaves argosy
goes through `escape_controls`: `argosy.toolkit.redaction.Redactor.scrub` applies it to messages and events, `argosy.toolkit.redaction`
to whatever else is printed, and files in JSON or CSV to their lines.

Figures as people read them.

Did you mean: the known word that is closest to one a person wrote.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

# C0 but for tab and line feed, DEL, C1, the line and paragraph separators, bidirectional embeddings, overrides and
# isolates (Unicode TR 36, section 2), lone surrogates
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# how programs style their own output and redraw a line: SGR, cursor up, erase line, show and hide the cursor
_STYLED = re.compile(rf"(\r|\x1b\[[0-9;]*[mAGK]|\x1b\[\?25[hl])|{_CONTROLS.pattern}")
# terminals disagree about the width of what variation selectors and joiners make
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_NON_JOINER = "\u200c"  # the one format character (Cf) that scripts need on a terminal


def escape_controls(text: str) -> str:
    r"""Return text in which everything that steers a terminal is spelled out: ``\u001b`` for ESC.

    Tabs and line feeds stay. The escapes are those of JSON, so a JSON document keeps its values.

    Examples
    --------
    >>> print(escape_controls("404 No\x1b]52;c;aGk=\x07"))
    404 No\u001b]52;c;aGk=\u0007
    """
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def escape_printed(text: str) -> str:
    """Return what a program prints with its controls spelled out, but for colors and the redrawing of lines."""
    return text if text.isprintable() else _STYLED.sub(lambda found: found[1] or _escape(found), text)


def one_line(text: str, longest: int = 2000) -> str:
    """Return text on one line for a display, cut to so many characters, without format characters."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    text = _SELECTORS.sub("", escape_controls(" ".join(text.split())))
    if text.isprintable():
        return text
    return "".join(c for c in text if c == _NON_JOINER or unicodedata.category(c) != "Cf")


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


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
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word`, or None where nothing is near.

    Case and the difference between hyphen and underscore count for nothing.
    """
    words = {_fold(candidate): candidate for candidate in sorted(known)}
    near = difflib.get_close_matches(_fold(word), words, n=1, cutoff=0.6)
    return words[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean "..."?``, or an empty text where nothing is near."""
    near = closest(word, known)
    return f'did you mean "{near}"?' if near else ""


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
