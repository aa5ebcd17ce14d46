"""The rule for names."""

import doctest
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from argosy.toolkit import names
from argosy.toolkit.names import MAX_NAME, MAX_PART, collision_key, problem_of, safe_part

ANY = st.text(st.characters(codec=None), max_size=400)
# texts on which the rule has something to do, far more often than random ones
ODD = st.one_of(
    ANY,
    st.text(st.sampled_from("aAbB./\\:?*\u202e\x00\x1b \ud800e\u0301éß\u017f\u212a"), max_size=12),
    st.sampled_from(["", ".", "..", "CON", "con.txt", "lpt¹", "Aux .x", ".argosy", ".ARGOSY", "x" * 256, "é" * 200]),
)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/./b", "'.'"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\\b", "'\\\\'"),
        ("a\0b", "U+0000"),
        ("a\x1b[2Jb", "U+001B"),
        ("a\u202eb", "U+202E"),
        ("a\u200fb", "U+200F"),
        ("a\u2028b", "U+2028"),
        ("a\ud800b", "U+D800"),
        ("C:/x", "':'"),
        ("what?", "'?'"),
        ("CON", "device"),
        ("x/nul.txt", "device"),
        ("com1.tar.gz", "device"),
        ("LPT² .x", "device"),
        ("a./b", "dot or a space"),
        ("a ", "dot or a space"),
        ("x" * 256, "255"),
        ("é" * 128, "255"),
        ("/".join(["x" * 200] * 6), "1024"),
        (".argosy/ledger", ".argosy"),
        (".Argosy", ".argosy"),
    ],
)
@pytest.mark.torture(52)
def test_a_dangerous_name_is_refused_in_words_that_can_be_shown(name: str, problem: str) -> None:
    found = problem_of(name)
    assert found is not None
    assert problem in found
    assert found.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b.txt",
        ".hidden",
        "a/.argosy",
        "console.txt",
        "com0",
        "Dune - 2.epub",
        "x" * 255,
        "日本/語.pdf",
        "..a",
    ],
)
def test_an_ordinary_name_is_fine(name: str) -> None:
    assert problem_of(name) is None


@given(ANY)
def test_any_text_has_an_answer(name: str) -> None:
    problem = problem_of(name)
    if problem is None:
        assert len(name.encode()) <= MAX_NAME
        assert not {"", ".", ".."} & set(name.split("/"))


@given(ODD, st.sampled_from([32, 64, MAX_PART]), st.booleans())
def test_a_safe_part_has_no_problem(text: str, limit: int, keep_suffix: bool) -> None:
    part = safe_part(text, limit=limit, keep_suffix=keep_suffix)
    assert problem_of(part) is None
    assert "/" not in part
    assert len(part.encode()) <= limit
    assert unicodedata.is_normalized("NFC", part)


@given(ODD, st.booleans())
def test_a_safe_part_stays_as_it_is(text: str, keep_suffix: bool) -> None:
    part = safe_part(text, keep_suffix=keep_suffix)
    assert safe_part(part, keep_suffix=keep_suffix) == part


@given(ODD, ODD)
def test_different_ids_get_different_parts(one: str, other: str) -> None:
    assume(collision_key(one) != collision_key(other))
    assume(safe_part(one) != other)
    assume(safe_part(other) != one)
    assert collision_key(safe_part(one)) != collision_key(safe_part(other))


@pytest.mark.parametrize(
    ("one", "other"), [("a:b", "a?b"), ("a", "a."), ("", "_"), ("x" * 300, "x" * 301), ("CON", "_CON")]
)
def test_what_a_lossy_step_makes_equal_is_told_apart_by_a_digest(one: str, other: str) -> None:
    assert collision_key(safe_part(one)) != collision_key(safe_part(other))


def test_a_digest_goes_before_the_suffix_of_a_file() -> None:
    assert safe_part("a?.tar.gz", keep_suffix=True).startswith("a_-")
    assert safe_part("a?.tar.gz", keep_suffix=True).endswith(".tar.gz")
    long = safe_part("x" * 300 + ".pdf", keep_suffix=True)
    assert len(long) == MAX_PART
    assert long.endswith(".pdf")


def test_a_limit_too_small_for_a_digest_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        safe_part("a", limit=8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Readme", "README"),
        ("\u00e9", "e\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("\u212a", "k"),
        ("\u0345\u0391", "\u03b9\u0391"),
    ],
)
def test_names_that_some_file_system_takes_for_one_have_one_key(one: str, other: str) -> None:
    assert collision_key(one) == collision_key(other)


@given(ANY)
def test_a_key_is_the_same_in_every_unicode_form_and_case(text: str) -> None:
    key = collision_key(text)
    assert key == collision_key(unicodedata.normalize("NFD", text))
    assert key == collision_key(unicodedata.normalize("NFC", text))
    assert key == collision_key(key)


def test_the_examples_in_the_documentation_are_right() -> None:
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize("keep_suffix", [False, True])
def test_a_secret_in_a_url_comes_into_no_name(keep_suffix: bool) -> None:
    names = {
        safe_part(
            f"https://ada:hushhush@h/a;jsessionid={secret}/b.pdf?api_key={secret}&n=1",
            keep_suffix=keep_suffix,
        )
        for secret in ("hushhush", "hushhush2")
    }
    assert len(names) == 2, "and yet they stay apart"
    assert not any("hush" in name for name in names)
    assert all(safe_part(name, keep_suffix=keep_suffix) == name for name in names)
