"""Did you mean."""

from __future__ import annotations

import pytest

from argosy.toolkit.text import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "near"),
    [("workers", "max_workers"), ("MAX-WORKERS", "max_workers"), ("form_login", "form-login"), ("zzz", None)],
)
def test_closest(word: str, near: str | None) -> None:
    assert closest(word, ["max_workers", "form-login", "tags"]) == near


def test_nothing_near_is_an_empty_text() -> None:
    assert did_you_mean("zzz", ["tags"]) == ""
    assert did_you_mean("tag", ["tags"]) == 'did you mean "tags"?'
