"""``argosy plugins``: the installed plugins and their options."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import plugin_options
from argosy.cli.snippets import as_written
from argosy.toolkit.text import did_you_mean

if TYPE_CHECKING:
    from argosy.plugins.kinds import PluginInfo
    from argosy.plugins.manager import PluginManager


@click.command("plugins")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@plugin_options
def plugins(names: tuple[str, ...], as_json: bool, plugins: PluginManager) -> None:
    """List the installed plugins and their options; NAME shows only those of that name or kind."""
    infos = plugins.plugins()
    for name in names:
        known = {word for info in infos for word in (info.name, info.kind.value)}
        if name not in known:
            hint = did_you_mean(name, known)
            raise click.UsageError(f"There is no plugin {name!r}{f'; {hint}' if hint else '.'}")
    if names:
        infos = tuple(info for info in infos if {info.name, info.kind.value} & set(names))
    if as_json:
        click.echo(json.dumps([to_json(info) for info in infos], indent=2))
        return
    # in a pipe, one line per entry, for grep and cut
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


def table(infos: Sequence[PluginInfo], width: int | None) -> Iterator[str]:
    """Yield the lines of the readable list, wrapped to the width of the terminal, or not if it is None."""
    names = max((len(info.name) for info in infos), default=0)
    kinds = max((len(info.kind.value) for info in infos), default=0)
    for info in infos:
        head = f"{info.kind.value:<{kinds}}  {info.name:<{names}}  "
        lines = _wrapped(f"{info.summary}  [{info.origin.short}]", head, width)
        yield click.style(lines[0][: len(head)], bold=True) + lines[0][len(head) :]
        yield from lines[1:]
        options: Mapping[str, Any] = info.options_schema.get("properties", {})
        longest = max(map(len, options), default=0)
        for key, option in options.items():
            facts = option_facts(option, key in info.options_schema.get("required", ()))
            yield from _wrapped(facts, f"    {key:<{longest}}  ", width)
    if not infos:
        yield "No plugins are installed."


def option_facts(option: Mapping[str, Any], required: bool) -> str:
    """Return an option's type, default and description as one line."""
    facts = [type_words(option)]
    if required:
        facts.append("required")
    if "default" in option:
        facts.append(f"default {json.dumps(option['default'], ensure_ascii=False)}")
    description = as_written(" ".join(str(option.get("description", option.get("title", ""))).split()))
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
    types = option.get("type", "any")
    return types if isinstance(types, str) else " | ".join(types)


def _wrapped(text: str, head: str, width: int | None) -> list[str]:
    if width is None:
        return [head + text]
    # at least 24 columns of text: on a narrower terminal, the terminal wraps
    room = max(width - 1, len(head) + 24)
    return textwrap.wrap(
        text, room, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False
    ) or [head]
