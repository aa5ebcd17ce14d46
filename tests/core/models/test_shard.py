"""How items are dealt to shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import ConfigError
from argosy.models.shard import Shard, shard_of


@given(st.text(), st.integers(1, 50))
def test_each_item_is_in_one_shard(id_: str, count: int) -> None:
    assert sum(Shard(number, count).has(id_) for number in range(1, count + 1)) == 1


def test_a_list_is_divided_in_the_same_way_in_each_version_and_about_evenly() -> None:
    """Another hash would let every item move to another ledger."""
    dealt = [sum(Shard(number, 3).has(f"item-{n}") for n in range(3000)) for number in (1, 2, 3)]
    assert sum(dealt) == 3000
    assert min(dealt) > 900
    assert [n for n in range(12) if Shard(2, 3).has(f"item-{n}")] == DEALT


#: Of the items 0 to 11.
DEALT = [1, 2, 4, 10]


def test_a_shard_is_written_with_its_number_and_how_many_there_are() -> None:
    assert (shard_of("2/3"), str(Shard(2, 3)), Shard(2, 3).name) == (Shard(2, 3), "2/3", "2-of-3")
    with pytest.raises(ConfigError, match="no shard 4/3") as error:
        shard_of("4/3")
    assert "numbered from 1" in (error.value.hint or "")


def test_files_over_all_items_have_the_shard_in_their_names() -> None:
    assert [Shard(1, 3).mark(path) for path in ("index.jsonl", "a/b.tar.gz", "list")] == [
        "index-1-of-3.jsonl",
        "a/b.tar-1-of-3.gz",
        "list-1-of-3",
    ]
