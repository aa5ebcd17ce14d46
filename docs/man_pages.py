"""Generates the manual pages from the commands: ``argosy(1)``, and one page for each command below it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from argosy import __version__
from argosy.cli.commands import COMMANDS
from argosy.cli.program import cli

ROOT = Path(__file__).parent.parent
#: What roff would print as something else, or read as a request.
_ESCAPES = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
_RELEASE = re.compile(r"^## \[[\d.]+\] - ([\d-]+)$", re.M)
_EXAMPLES = re.compile(r"^\*\*(?:Just URLs|More commands)[^`]*```sh\n(.*?)```", re.M | re.S)
_EXIT_CODE = re.compile(r"^\| ([\d, ]+) \|[^|]*\| ((?:\\\||[^|])+) \|", re.M)


def pages(commands: Sequence[tuple[tuple[str, ...], click.Command]], note: str) -> Mapping[str, str]:
    """Return the pages by file name; no pages for a copy of the documents without the README."""
    if not (ROOT / "README.md").is_file():
        return {}
    return {f"{'-'.join(path)}.1": _page(path, command, commands, note) for path, command in commands}


def _page(
    path: tuple[str, ...],
    command: click.Command,
    commands: Sequence[tuple[tuple[str, ...], click.Command]],
    note: str,
) -> str:
    context = click.Context(command, info_name=" ".join(path), **cli.context_settings)
    name = "-".join(path)
    released = _RELEASE.search((ROOT / "CHANGELOG.md").read_text("utf-8"))
    below = [(other, its) for other, its in commands if other[:-1] == path]
    lines = [rf".\" {note}", f'.TH {name.upper()} 1 "{released[1] if released else ""}" "argosy {__version__}"']
    summary = _summary(path, command).removesuffix(".").replace("`", "")
    lines += [".SH NAME", rf"{_escaped(name)} \- {_escaped(summary)}", ".SH SYNOPSIS"]
    lines += _text(f"`{' '.join(path)}` {' '.join(command.collect_usage_pieces(context))}")
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    if below:
        lines += [".SH COMMANDS", *_terms((f"`{' '.join(other)}`", _summary(other, its)) for other, its in below)]
    options = [part for part in command.get_params(context) if isinstance(part, click.Option)]
    lines += [".SH OPTIONS", *_terms(_option(part, context) for part in options if not part.hidden)]
    if command.epilog:
        lines += [".SH NOTES", *_paragraphs(command.epilog)]
    if len(path) == 1:
        lines += [".SH EXAMPLES", ".nf", *map(_line, _examples()), ".fi", ".SH EXIT STATUS", *_terms(_exit_codes())]
    related = [other for other, _ in commands if other in (("argosy",), path[:-1]) or other[:-1] == path]
    lines += [".SH SEE ALSO", *_text(", ".join(f"`{'-'.join(other)}`(1)" for other in related if other != path))]
    return "\n".join(line for line in lines if line) + "\n"


def _summary(path: tuple[str, ...], command: click.Command) -> str:
    """Return the line of ``argosy --help`` or ``argosy GROUP --help`` about a command, in full."""
    if len(path) == 2 and path[1] in COMMANDS:
        return COMMANDS[path[1]][1]
    return command.get_short_help_str(limit=1000)


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    """Return an option with its names in bold, and its help."""
    names, text = option.get_help_record(context) or ("", "")
    names = re.sub(r"(?:^|(?<=, ))-[^ ,]+", r"`\g<0>`", names)
    return names, text


def _examples() -> Iterator[str]:
    for block in _EXAMPLES.findall((ROOT / "README.md").read_text("utf-8")):
        yield from block.splitlines()


def _exit_codes() -> Iterator[tuple[str, str]]:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text("utf-8")
    for code, text in _EXIT_CODE.findall(page):
        yield code, re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace(r"\|", "|")


def _terms(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in entries:
        yield ".TP"
        yield from _text(term)
        yield from _text(text)


def _paragraphs(help_text: str) -> Iterator[str]:
    """Return the paragraphs of a help text; click wraps no paragraph that begins with a backspace."""
    for number, paragraph in enumerate(inspect.cleandoc(help_text).split("\f")[0].split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):
            yield from (".nf", *map(_line, paragraph.splitlines()[1:]), ".fi")
        else:
            yield from _text(" ".join(paragraph.split()))


def _text(text: str) -> Iterator[str]:
    """Return text as lines, with what is between backquotes in bold."""
    for line in textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False):
        yield _line(line)


def _line(line: str) -> str:
    parts = [_escaped(part) for part in line.split("`")]
    line = "".join(rf"\fB{part}\fR" if number % 2 else part for number, part in enumerate(parts))
    return rf"\&{line}" if line.startswith(".") else line


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)
