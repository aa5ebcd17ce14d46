"""Did you mean: the known word that is closest to one a person wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
