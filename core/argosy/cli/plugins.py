"""``argosy plugins``: what is installed, and the options it takes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import no_plugin, plugin_file

if TYPE_CHECKING:
    from argosy.plugins.kinds import PluginInfo


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, for programs.")
@plugin_file
@no_plugin
def plugins(as_json: bool, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """List the installed plugins and their options."""
    from argosy.plugins.manager import PluginManager

    infos = PluginManager(excluded, plugin_files).plugins()
    if as_json:
        click.echo(json.dumps([to_json(info) for info in infos], indent=2))
        return
    # piped, every entry keeps its line, however long: that is what grep and cut expect
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    color = False if os.environ.get("NO_COLOR") else None
    for line in table(infos, width):
        click.echo(line, color=color)


def to_json(info: PluginInfo) -> dict[str, Any]:
    """Return a plugin as JSON values."""
    return {
        "kind": info.kind.value,
        "name": info.name,
        "summary": info.summary,
        "distribution": None if info.origin.file else info.origin.distribution,
        "version": None if info.origin.file else info.origin.version,
        "file": str(info.origin.file) if info.origin.file else None,
        "options": info.options_schema,
    }


def table(infos: tuple[PluginInfo, ...], width: int | None) -> Iterator[str]:
    """Yield the lines of the readable list.

    Parameters
    ----------
    infos
        The plugins, sorted.
    width
        Columns of the terminal, to which lines are wrapped; None for no wrapping. Nothing is ever cut off.
    """
    names = max((len(info.name) for info in infos), default=0)
    kinds = max((len(info.kind.value) for info in infos), default=0)
    for info in infos:
        head = f"{info.kind.value:<{kinds}}  {info.name:<{names}}  "
        lines = _wrapped(f"{info.summary}  [{info.origin.short}]", head, len(head), width)
        yield click.style(lines[0][: len(head)], bold=True) + lines[0][len(head) :]
        yield from lines[1:]
        yield from _options(info.options_schema, width)
    if not infos:
        yield "No plugins are installed."


def _options(schema: Mapping[str, Any], width: int | None) -> Iterator[str]:
    options: Mapping[str, Any] = schema.get("properties", {})
    longest = max(map(len, options), default=0)
    for key, option in options.items():
        facts = option_facts(option if isinstance(option, Mapping) else {}, key in schema.get("required", ()))
        yield from _wrapped(facts, f"    {key:<{longest}}  ", longest + 6, width)


def option_facts(option: Mapping[str, Any], needed: bool) -> str:
    """Return an option's type, default and description as one line."""
    facts = [type_words(option)]
    if needed:
        facts.append("needed")
    if "default" in option:
        facts.append(f"default {json.dumps(option['default'], ensure_ascii=False)}")
    description = " ".join(str(option.get("description", option.get("title", ""))).split())
    return f"({', '.join(facts)})  {description}".rstrip()


def type_words(option: Mapping[str, Any]) -> str:
    """Return the type of an option as its schema names it."""
    if "const" in option:
        return json.dumps(option["const"])
    if "enum" in option:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in option["enum"])
    if str(option.get("$ref", "")).endswith("/$defs/secret"):
        return "secret"
    for keyword in ("anyOf", "oneOf"):
        if keyword in option:
            return " | ".join(dict.fromkeys(type_words(branch) for branch in option[keyword]))
    kinds = option.get("type", "any")
    return kinds if isinstance(kinds, str) else " | ".join(kinds)


def _wrapped(text: str, head: str, indent: int, width: int | None) -> list[str]:
    if width is None:
        return [head + text]
    # never below 24 columns of text: on a very narrow terminal the terminal wraps, and nothing is lost
    room = max(width - 1, indent + 24)
    return textwrap.wrap(
        text, room, initial_indent=head, subsequent_indent=" " * indent, break_long_words=False
    ) or [head]
