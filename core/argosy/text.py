"""Text that others wrote, made safe to show: a terminal obeys control characters, and so does a person's eye.

A service's reason phrase, a manifest's title and a plugin's message may hold anything. All text that leaves argosy
goes through `escape_controls`: `argosy.redaction.Redactor.scrub` applies it to messages and events, `argosy.streams`
to whatever else is printed, and files in JSON or CSV to their lines.
"""

from __future__ import annotations

import re
import unicodedata

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
