"""``--shard auto``: the task of a Slurm array, or of an indexed job of Kubernetes."""

from __future__ import annotations

import click
import pytest

from argosy.cli import main
from argosy.cli.ledgers import shards_text
from argosy.cli.shards import task
from argosy.models.shard import Shard


def slurm(number: object, first: object = 1, last: object = 3, count: object = 3) -> dict[str, str]:
    names = ("ID", "MIN", "MAX", "COUNT")
    return {f"SLURM_ARRAY_TASK_{name}": str(it) for name, it in zip(names, (number, first, last, count), strict=True)}


@pytest.mark.parametrize(
    ("text", "variables", "shard"),
    [
        ("auto", slurm(2), "2/3"),
        ("auto/10", slurm(7, 7, 7, 1), "7/10"),  # a task that is submitted again
        ("auto/10", {"JOB_COMPLETION_INDEX": "0"}, "1/10"),
        ("auto/10", {"JOB_COMPLETION_INDEX": "9"}, "10/10"),
    ],
)
def test_a_task_knows_its_shard(
    text: str, variables: dict[str, str], shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert task(text) == shard


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("auto", {}, "auto needs SLURM_ARRAY_TASK_ID .* or JOB_COMPLETION_INDEX"),
        ("auto/x", slurm(2), "'auto/x' is none of"),
        ("auto/0", slurm(2), "'auto/0' is none of"),
        ("automatic", slurm(2), "'automatic' is none of"),
        ("auto", slurm(0, 0, 2), "numbered from 0. Number them from 1"),
        ("auto", slurm(7, 7, 7, 1), "only some tasks of an array. Write auto/N"),
        ("auto", slurm(3, 1, 5, 3), "only some tasks of an array"),  # --array=1-5:2
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "only some tasks of an array"),
        ("auto/2", slurm(3), "this is task 3, but there are 2 shards"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "Kubernetes does not tell .* auto/10"),
        ("auto/9", {"JOB_COMPLETION_INDEX": "9"}, "this is task 10, but there are 9 shards"),
    ],
)
def test_a_task_that_is_not_certain_of_its_shard_says_what_to_write(
    text: str, variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(click.BadParameter, match=message):
        task(text)


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "1/3/2", "", "-1/3"])
def test_a_wrong_shard_is_a_wrong_configuration(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "https://library.example/a", "--shard", text]) == 2
    assert "shard" in capsys.readouterr().err


def test_the_shards_that_have_not_run_are_named() -> None:
    some = [Shard(1, 3), Shard(3, 3), None, Shard(2, 2), Shard(1, 2)]
    assert shards_text(some) == "2 of 3 (not started: 2); 2 of 2"
    assert shards_text([Shard(1, 100)]).endswith("18, 19, 20, 21, ...)")
    assert shards_text([None]) == ""
