"""Text of others made safe for a terminal or a log."""

from __future__ import annotations

import re
import unicodedata

#: The non-joiner that scripts need; every other format character (bidi overrides among them) is left out.
_NON_JOINER = "\u200c"

#: Zero-width joiner and variation selectors: terminals disagree about the width of what they make.
_WIDTH_CHANGERS = re.compile("[\u200d\ufe00-\ufe0f]")


def safe_text(text: str, longest: int = 2000) -> str:
    """Return text on one line, without anything that steers a terminal.

    Parameters
    ----------
    text
        Text that a manifest, a server or a plugin wrote.
    longest
        Characters that are kept.

    Returns
    -------
    str
        The text with white space as single spaces, control characters and lone surrogates escaped, and
        format characters (bidirectional overrides among them) left out.
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    text = _WIDTH_CHANGERS.sub("", text)
    if not text.isprintable():
        text = "".join(map(_safe, text))
    return " ".join(text.split())


def _safe(character: str) -> str:
    if character.isprintable() or character == _NON_JOINER:
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Cf":
        return ""
    return character.encode("unicode_escape").decode("ascii")
