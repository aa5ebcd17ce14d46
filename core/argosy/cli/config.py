"""``argosy config``: check, explain or start a configuration."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import ask, plugin_options, redactor
from argosy.cli.snippets import as_written
from argosy.errors import ConfigError, Problem, StorageError
from argosy.toolkit.text import one_line

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager

_HEAD = """\
# A configuration of argosy.
#
# Lines that start with "# " are explanations. Lines that start with "#" and a key are settings, most of them with
# their default value: remove the "#" to change one. Only the source is required.
# `argosy config check FILE` checks this file; `argosy plugins` lists all plugins and their options.
"""
_SHORT = """\
# A configuration of argosy. `argosy config check FILE` checks it; `argosy config new --all` explains every key.

# what to download: one URL per line, or { use = "manifest", path = "books.jsonl" }
source = { use = "urls", file = "urls.txt" }
directory = "library"
max_workers = 4  # the most items to work on at once

# For a service with a login form, remove the "#" and write the names of its fields. `argosy init` finds them.
# The password stays in the environment variable LIBRARY_PASSWORD; a keyring, a file or a prompt would do, too.
#cookie_store = { use = "json-file", path = "cookies.json" }  # keeps the session for the next run
#
#[auth]
#use = "form-login"
#url = "https://library.example/login"
#fields = { user = "ada", password = { env = "LIBRARY_PASSWORD" } }
"""
_WIDTH = 100


@click.group()
def config() -> None:
    """Check, explain or start a configuration."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--online/--offline",
    default=False,
    help="Also request the login page, without credentials, and compare its fields; by default, send no request.",
)
@plugin_options
def check_file(file: Path, online: bool, plugins: PluginManager) -> None:
    """Check the configuration FILE and list every problem.

    This also checks the options of its plugins, and that the manifest, the environment variables and the files it
    names exist. If it names a profile, this shows what the profile sets, and the source. It downloads nothing, does not
    log in, and does not ask for secrets. With --online, it also compares the fields of the auth form-login with those of
    the login page.
    """
    from argosy.cli.check import trial
    from argosy.config.load import load_file
    from argosy.config.schema import check
    from argosy.plugins import services

    document = load_file(file)
    problems = [*check(document, plugins, str(file)), *trial(document, plugins, file, redactor().add)]
    if online and not problems:
        problems = _look(file, plugins)
    if problems:
        raise ConfigError(f"The configuration {file} is not valid.", tuple(problems))
    click.echo(f"{file}: valid")
    if "profile" in document:
        profile = services.known()[0][document["profile"]]
        click.echo(f"The profile {document['profile']!r} ({profile.title}): {profile.fact}")
        for key, value in profile.settings.items():
            own = " (but this file has its own)" if key in document else ""
            click.echo(f"  It sets {key} = {to_toml(value)}{own}.")
        click.echo(f"  {profile.why}\n  Source: {profile.source}")
    if "source" not in document:
        click.echo("It has no source: give URLs on the command line.")


def _look(file: Path, plugins: PluginManager) -> list[Problem]:
    """Print what the login page has; return what the configuration has wrong about it."""
    from argosy.cli.login_page import compare
    from argosy.config.load import load

    facts, problems = compare(load(file, plugins), plugins, redactor().add, ask=ask())
    for fact in facts:
        click.echo(one_line(redactor().scrub(fact)))
    return [Problem(f"{file}: {problem.where}", problem.found, problem.expected) for problem in problems]


@config.command("schema")
@plugin_options
def schema(plugins: PluginManager) -> None:
    """Print a JSON Schema of configurations with the installed plugins.

    Save it and set "$schema" in a configuration to its path: editors then complete and explain the keys.
    """
    from argosy.config.schema import compose

    click.echo(json.dumps(compose(plugins), indent=2))


@config.command("new")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--all", "everything", is_flag=True, help="Explain every key.")
@plugin_options
def new(file: Path | None, everything: bool, plugins: PluginManager) -> None:
    """Print a short configuration to start from, or write it to FILE (.toml), which must not exist.

    `argosy init` writes one with your own values.
    """
    text = template(plugins) if everything else _SHORT
    if file is None:
        click.echo(text, nl=False)
        return
    if file.suffix.lower() != ".toml":
        raise ConfigError(f"{file} must end in .toml.")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(f"{file} already exists and was not changed.", hint="Choose another name.") from None
    except OSError as error:
        raise StorageError(f"Cannot write {file}: {error.strerror}.") from None
    click.echo(f"Wrote {file}. Set the source, then run: argosy config check {file}")


def template(plugins: PluginManager) -> str:
    """Return a TOML configuration that explains every key; the keys are commented out."""
    import argosy_schemas
    from argosy.config.schema import SLOTS

    blocks = [_HEAD]
    infos = plugins.plugins()
    for key, schema in argosy_schemas.load("config.v1")["properties"].items():
        value = schema["default"] if "default" in schema else schema["examples"][0]
        lines = _comment(as_written(schema["description"]))
        if key in SLOTS:
            installed = [f"{info.name} ({info.summary})" for info in infos if info.kind is SLOTS[key]]
            lines += _comment(f"Installed: {'; '.join(installed) or 'none'}.")
        blocks.append("\n".join([*lines, f"#{_key(key)} = {to_toml(value)}\n"]))
    return "\n".join(blocks)


def to_toml(value: Any) -> str:
    """Return a JSON value as TOML on one line; TOML has no null, so objects and lists omit it."""
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {to_toml(part)}" for key, part in value.items() if part is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_toml(part) for part in value if part is not None)}]"
    if isinstance(value, str):
        # the escapes of JSON are valid in TOML, which also wants DEL escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else to_toml(key)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
