"""Header fields that are added to requests."""

from __future__ import annotations

import pytest

from argosy import Item, Resource
from argosy.models.header_fields import problem_of, referer_of


@pytest.mark.parametrize(
    ("referer", "url", "sent"),
    [
        ("", "https://h/a", {}),
        ("self", "https://h:8443/a/b?c", {"Referer": "https://h:8443/"}),
        ("self", "http://[::1]:80/a", {"Referer": "http://[::1]/"}),
        ("https://page.example/x", "https://h/a", {"Referer": "https://page.example/x"}),
        ("http://page.example/x", "http://h/a", {"Referer": "http://page.example/x"}),
        ("https://page.example/x", "http://h/a", {}),
    ],
)
def test_referer(referer: str, url: str, sent: dict[str, str]) -> None:
    assert referer_of(referer, url) == sent


@pytest.mark.parametrize(
    "name", ["Cookie", "COOKIE", "Proxy-Authorization", "if-range", "Transfer-Encoding", "a b", "", "\u00e9"]
)
def test_names_that_are_refused(name: str) -> None:
    assert problem_of({name: "x"}) is not None


@pytest.mark.parametrize("value", ["", " ", "a\r\nb", "a\0b", "a ", "\u20ac", 7, None])
def test_values_that_are_refused_and_not_repeated(value: object) -> None:
    problem = problem_of({"X-A": value})
    assert problem == "the value of the header field 'X-A' is empty, or has characters that no header field may have"


@pytest.mark.parametrize(
    "referer", ["origin", "https://ada:pw@h/", "ftp://h/", "https://h/a b", "https://h/#x", "https://h\n"]
)
def test_referers_that_are_refused(referer: str) -> None:
    assert problem_of({}, referer) is not None
    with pytest.raises(ValueError, match="referer"):
        Resource("https://h/", "a", referer=referer)


def test_other_fields_are_taken() -> None:
    assert problem_of({"X-A": "b c", "Accept": "*/*", "X-B": "\xe9", "Origin": "https://h"}, "https://h/?q=1") is None


def test_they_survive_storage_and_do_not_identify_an_item() -> None:
    plain = Item("a", "A", (Resource("https://h/a?s=1", "a", ignore_query=True), Resource("https://h/b", "b")))
    dressed = Item(
        "a",
        "A",
        (
            Resource("https://h/a?s=2", "a", ignore_query=True, headers={"X-A": "b"}),
            Resource("https://h/b", "b", referer="self"),
        ),
    )
    assert Item.from_json(dressed.to_json()) == dressed
    assert dressed.fingerprint() == plain.fingerprint()
    assert "headers" not in plain.to_json()
