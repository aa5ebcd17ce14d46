"""Did you mean."""

from __future__ import annotations

import pytest

from argosy.toolkit.text import did_you_mean


@pytest.mark.parametrize(
    ("word", "near"),
    [("workers", "max_workers"), ("MAX-WORKERS", "max_workers"), ("form_login", "form-login")],
)
def test_the_closest_word_is_suggested(word: str, near: str) -> None:
    assert did_you_mean(word, ["max_workers", "form-login", "tags"]) == f'did you mean "{near}"?'


def test_nothing_near_is_an_empty_text() -> None:
    assert did_you_mean("zzz", ["tags"]) == ""
