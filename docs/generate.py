"""Generates the reference pages, and the files that other pages show.

python docs/generate.py            writes the pages
python docs/generate.py --check    fails if a page is not up to date
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

import argosy_schemas
import contract_page
import man_pages
import surface
from argosy.cli.config import to_toml
from argosy.cli.plugins import option_facts
from argosy.cli.program import cli
from argosy.config.schema import SLOTS
from argosy.plugins import services
from argosy.plugins.manager import PluginManager

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
_MARKED = re.compile(r"<!-- file: (?P<path>\S+) -->\n```(?P<language>\w+)\n.*?^```\n", re.M | re.S)
COMMAND = "python docs/generate.py"
_NOTE = f"<!-- Written by `{COMMAND}`; do not edit. -->\n"
#: Columns of the help texts, as on a terminal of 80 columns.
_WIDTH = 78


def command_line() -> str:
    """Return the page with the help of every command."""
    blocks = [
        "# The command line\n",
        _NOTE,
        (
            "Every command with its `--help`. A configuration is a TOML or JSON file; options override it. "
            "`python -m argosy` is the same as `argosy`.\n"
        ),
    ]
    for path, command in _commands(cli, ("argosy",)):
        blocks.append(f"## {' '.join(path)}\n\n```text\n{help_of(command, path)}\n```\n")
    blocks.append("See also: [exit codes](exit-codes.md), [configuration](configuration.md).\n")
    return "\n".join(blocks)


def help_of(command: click.Command, path: Sequence[str]) -> str:
    """Return what a command prints for ``--help`` on a terminal of 80 columns."""
    settings: Mapping[str, Any] = {"terminal_width": _WIDTH, **cli.context_settings}
    context = click.Context(command, info_name=" ".join(path), **settings)
    return command.get_help(context)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _commands(below, (*path, name))


def configuration() -> str:
    """Return the page with every key of the configuration."""
    schema = argosy_schemas.load("config.v1")
    blocks = [
        "# The configuration\n",
        _NOTE,
        (
            f"{schema['description']} It is a `.toml` or `.json` file. Only `source` is required, unless the "
            "command line has URLs. An unknown key is an error. Relative paths are relative to the file.\n"
        ),
        (
            'A plugin is `{"use": NAME, ...options}`, or `NAME` if it needs no options. '
            "[Plugins](plugins.md) lists the names and the options.\n"
        ),
        (
            "`argosy init` writes a file, `argosy config new` prints one to start from, `argosy config check FILE` checks one, and `argosy config "
            "schema` prints a JSON Schema for editors.\n"
        ),
        "| key | takes | default |\n|---|---|---|",
    ]
    properties: Mapping[str, Any] = schema["properties"]
    rows = [
        f"| [`{key}`](#{_anchor(key)}) | {_takes(key, part)} | {_default(part)} |" for key, part in properties.items()
    ]
    blocks[-1] += "\n" + "\n".join(rows) + "\n"
    for key, part in properties.items():
        blocks.append(f"## {key}\n\n{part['description']}\n")
        for name, inner in part.get("properties", {}).items():
            blocks.append(f"- `{name}` {option_facts(inner, required=False)}")
        if part.get("properties"):
            blocks[-1] += "\n"
        if "examples" in part:
            shown = ", ".join(f"`{_json(example)}`" for example in part["examples"])
            blocks.append(f"For example: {shown}\n")
    return "\n".join(blocks)


def _anchor(key: str) -> str:
    return key.replace("$", "")


def _takes(key: str, schema: Mapping[str, Any]) -> str:
    if key in SLOTS:
        words = f"{SLOTS[key].words} plugin"
        return {"output": f"{words}, or a list of them", "observers": f"list of {words}s"}.get(key, words)
    if "enum" in schema:
        return ", ".join(f"`{_json(value)}`" for value in schema["enum"])
    kinds = schema["type"]
    words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        words += f", {low} to {high}" if high is not None else f", {low} or more"
    return words


def _default(schema: Mapping[str, Any]) -> str:
    return f"`{_json(schema['default'])}`" if "default" in schema else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def plugins() -> str:
    """Return the page of the built-in plugins."""
    blocks = [
        "# The built-in plugins\n",
        _NOTE,
        (
            "The plugins of argosy and their options. `argosy plugins` lists all installed plugins, including those of "
            "other packages.\n"
        ),
    ]
    infos = [info for info in PluginManager().plugins() if info.origin.distribution == "argosy"]
    for kind in SLOTS.values():
        blocks.append(f"## {kind.words}\n")
        for info in (info for info in infos if info.kind is kind):
            blocks.append(f"### {info.name}\n\n{info.summary}.\n")
            options: Mapping[str, Any] = info.options_schema.get("properties", {})
            required = info.options_schema.get("required", ())
            lines = [line for key, option in options.items() for line in _option(key, option, key in required)]
            blocks.append("\n".join(lines or ["No options."]) + "\n")
    return "\n".join(blocks)


def _option(key: str, option: Mapping[str, Any], required: bool) -> Iterator[str]:
    yield f"- `{key}` {option_facts(option, required)}"
    for name, inner in option.get("properties", {}).items():
        yield f"  - `{name}` {option_facts(inner, name in option.get('required', ()))}"


def with_files(page: Path) -> str:
    """Return a page with its marked blocks filled with files: ``<!-- file: PATH -->`` and a block."""

    def block(found: re.Match[str]) -> str:
        text = (page.parent / found["path"]).read_text("utf-8")
        return f"<!-- file: {found['path']} -->\n```{found['language']}\n{text}```\n"

    return _MARKED.sub(block, page.read_text("utf-8"))


def profiles() -> str:
    """Return the how-to about profiles with its tables."""
    page = (DOCS / "how-to" / "use-a-profile.md").read_text("utf-8")
    rows = ["| profile | what is documented | sets | why | source |", "|---|---|---|---|---|"]
    for name, profile in services.known()[0].items():
        settings = {"on_doubt": None, **profile.settings}
        sets = [f"`{key} = {to_toml(value)}`" if value else f"`{key}`: default" for key, value in settings.items()]
        sets = [entry for entry in sets if entry != '`lease = "auto"`']
        source = f"[{profile.title}]({profile.source})"
        rows.append(f"| `{name}` | {profile.fact} | {', '.join(sets)} | {profile.why} | {source} |")
    page = _table(page, "profiles", rows)
    rows = ["| of | names | source |", "|---|---|---|"]
    known = json.loads(files("argosy_plugins.services").joinpath("services.json").read_text("utf-8"))
    for cookies in known["cookies"]:
        names = ", ".join(f"`{name}`" for name in cookies["names"])
        rows.append(f"| {cookies['of']} | {names} | <{cookies['source']}> |")
    return _table(page, "cookies", rows)


def _table(page: str, name: str, rows: Sequence[str]) -> str:
    """Return a page with the part between its marks ``<!-- NAME -->`` and ``<!-- end -->`` replaced by a table."""
    before, mark, rest = page.partition(f"<!-- {name} -->\n")
    return "\n".join([before + mark.rstrip(), "", *rows, "", "<!-- end -->" + rest.partition("<!-- end -->")[2]])


_ROW = re.compile(r"^\| (?P<row>\d+) \|(?P<text>.*)\|[^|\n]*\|$", re.M)


def survives() -> str:
    """Return the page what-it-survives with the tests of each row in its last column."""
    page = (DOCS / "reference" / "what-it-survives.md").read_text("utf-8")
    if not TESTS.is_dir():
        return page  # a copy of the documents alone
    tests = torture_tests()

    def row(found: re.Match[str]) -> str:
        files: dict[str, list[str]] = {}
        for path, name in tests.get(int(found["row"]), ()):
            files.setdefault(path, []).append(f"`{name.removeprefix('test_')}`")
        cell = "; ".join(
            f"[{path.rpartition('/')[2]}](../../tests/{path}): {', '.join(names)}" for path, names in files.items()
        )
        return f"| {found['row']} |{found['text']}| {cell or '-'} |"

    return _ROW.sub(row, page)


def torture_tests() -> Mapping[int, list[tuple[str, str]]]:
    """Return the tests of each row of the torture table, as (file below ``tests``, name)."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            for mark in getattr(function, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.torture":
                    for row in map(ast.literal_eval, mark.args):
                        name = function.name  # type: ignore[attr-defined]  # it has decorators
                        found.setdefault(row, []).append((path.relative_to(TESTS).as_posix(), name))
    return found


#: The pages of the reference, by name.
PAGES: Mapping[str, Callable[[], str]] = {
    "command-line.md": command_line,
    "configuration.md": configuration,
    "plugins.md": plugins,
    "what-it-survives.md": survives,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    wanted = {DOCS / "reference" / name: page() for name, page in PAGES.items()}
    wanted |= {page: with_files(page) for page in sorted((DOCS / "plugins").glob("*.md"))}
    wanted[DOCS / "how-to" / "use-a-profile.md"] = profiles()
    wanted[DOCS / "plugins" / "contracts.md"] = contract_page.page(_NOTE)
    wanted[DOCS / "reference" / "plugin-surface.txt"] = surface.text(COMMAND)
    manual = man_pages.pages(list(_commands(cli, ("argosy",))), f"Written by `{COMMAND}`; do not edit.")
    wanted |= {DOCS / "man" / name: text for name, text in manual.items()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    left = [path for path in sorted((DOCS / "man").glob("*.1")) if manual and path.name not in manual]
    stale += left  # the commands are gone
    for path in stale if not arguments else ():
        if path in left:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], "utf-8")
        print(f"{path}: {'deleted' if path in left else 'written'}")
    if arguments and stale:
        print(
            f"Not up to date: {', '.join(path.name for path in stale)}. To update them: {COMMAND}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
