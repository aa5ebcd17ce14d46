"""The commands in the documents have only options that there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from argosy.cli import logs
from argosy.cli.program import cli
from documents import Block, blocks

END = {"|", "&&", "<", ">", ";"}


def commands(block: Block) -> list[list[str]]:
    """Return the arguments of each argosy command in a block, up to a pipe or a redirection."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        starts = [n for n in range(len(words)) if n == 0 or words[n - 1] in END]
        for start in [n for n in starts if words[n].rpartition("/")[2] == "argosy"]:
            rest = words[start + 1 :]
            end = next((n for n, word in enumerate(rest) if word in END), len(rest))
            found.append(rest[:end])
    return found


WITH_COMMANDS = [block for block in blocks("sh") if commands(block)]


def parse(arguments: list[str]) -> click.Command:
    """Parse arguments as the program does, and return the command that would run."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        context = click.Context(command)
        _, below, arguments = command.resolve_command(context, arguments)
        assert below is not None
        command = below
    command.make_context(command.name, list(arguments))
    return command


@pytest.fixture(autouse=True)
def logs_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the logs that parsing ``--log-file`` or ``-v`` starts: later tests of this process must not write to them."""
    monkeypatch.chdir(tmp_path)
    yield
    logs.stop()


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=str)
def test_they_are_understood(block: Block) -> None:
    for arguments in commands(block):
        assert parse(arguments).callback is not None


def test_what_is_wrong_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["download", "--no-such-option"])
