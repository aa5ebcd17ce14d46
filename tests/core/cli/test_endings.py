"""The ways a command can end, each with its exit code. The command is a real one in a table of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Runs `main` with one more command, whose body is put in.
PROGRAM = """
import sys
import click
from argosy.cli import commands, program
from argosy.errors import StoreDamaged

@click.command()
def command():
    {body}

commands.COMMANDS = {{"command": ("__main__:command", "A command.")}}
sys.exit(program.main(["command"]))
"""


def run(body: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    environment = {**os.environ, "ARGOSY_DEBUG": "", **env}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("body", "code", "stderr"),
    [
        ("print('done')", 0, ""),
        ("click.get_current_context().exit(1)", 1, ""),
        (
            "raise StoreDamaged('It is damaged.', hint='Repair it.')",
            5,
            "argosy: error: It is damaged.\n  Repair it.\n",
        ),
        ("raise KeyboardInterrupt", 130, "\nargosy: interrupted\n"),
        ("raise click.UsageError('No.')", 2, None),
        ("sys.exit(9)", 9, ""),
    ],
)
def test_exit_codes(body: str, code: int, stderr: str | None) -> None:
    done = run(body)
    assert done.returncode == code
    assert stderr is None or done.stderr == stderr


def test_a_mistake_in_argosy_is_one_line_without_its_message() -> None:
    done = run("raise KeyError('hunter2')")
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "unexpected KeyError" in done.stderr
    assert "report it" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" in run("raise KeyError('x')", ARGOSY_DEBUG="1").stderr


@pytest.mark.parametrize("body", ["print('line\\n' * 100_000)", "print('a short line')"])
def test_a_closed_pipe_is_quiet(body: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_title_that_the_encoding_lacks_does_not_fail() -> None:
    done = run(r"print('\u2192 \udc80')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "\\u2192 \\udc80\n")


def test_every_command_of_the_table_is_there() -> None:
    from argosy.cli.commands import COMMANDS, added, load

    assert {"demo", "plugin"} <= set(added())
    for name in (*COMMANDS, *added()):
        command = load(name)
        assert command is not None
        assert command.name == name
    assert all(text.endswith(".") for _, text in COMMANDS.values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_streams_that_fail_are_no_traceback(unbuffered: str) -> None:
    """The exit code is not that of an interpreter that cannot flush what is left."""
    argosy, environment = [sys.executable, "-m", "argosy"], {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        failed = subprocess.run([*argosy, "download", "no-such-file.toml"], env=environment, stderr=full, check=False)
        assert failed.returncode == 5
        done = subprocess.run([*argosy, "--help"], env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (5, 2), done.stderr


def test_a_report_for_a_reader_that_went_away_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "argosy", "download", "none.jsonl", "--quiet", "--report", "-"]
    done = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
