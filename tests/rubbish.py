"""What fuzz tests are fed with: rubbish that is close to what a parser expects, and how much of it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: For each fuzz test: ``ARGOSY_FUZZ_EXAMPLES`` inputs (default 200). A slow machine is no find, so no input has a
#: deadline of its own; the tests with large inputs see to that.
fuzzed = settings(
    max_examples=int(os.environ.get("ARGOSY_FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

#: Anything that `http.client` may hand on: bytes, read as ISO-8859-1.
header_text = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=200)


def made_of(*words: str, most: int = 12) -> st.SearchStrategy[str]:
    """Return texts of words that the parser knows, with rubbish between them."""
    return st.lists(st.sampled_from(words) | header_text, max_size=most).map("".join)


#: JSON values, and more: what a person can write into a file.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["http://h/a", "https://[::1]/", "../x", "CON", "a" * 300, "\u202e", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
