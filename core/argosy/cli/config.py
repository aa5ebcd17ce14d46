"""``argosy config``: check, explain or start a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import click

from argosy.cli.options import no_plugin, plugin_file, redactor
from argosy.errors import ConfigError, StorageError


@click.group()
def config() -> None:
    """Check, explain or start a configuration."""


@config.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@plugin_file
@no_plugin
def check_file(file: Path, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """Say whether FILE is a valid configuration, and everything that is wrong with it.

    The options of its plugins are checked too, and the manifest, the variables and the files that it names have to
    exist. Nothing is downloaded, nobody is logged in, and you are asked nothing.
    """
    from argosy.config.check import check
    from argosy.config.load import load_file
    from argosy.engine.check import trial
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(excluded, plugin_files)
    document = load_file(file)
    problems = [*check(document, registry, str(file)), *trial(document, registry, file, redactor().add)]
    if problems:
        raise ConfigError(f"The configuration {file} is not valid.", tuple(problems))
    click.echo(f"{file}: valid")
    if "source" not in document:
        click.echo("It has no source, so the URLs to download are to be given on the command line.")


@config.command("schema")
@plugin_file
@no_plugin
def schema(plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """Print the JSON Schema of a configuration with the plugins that are installed.

    Save it, and name it under "$schema" in a configuration: an editor then completes and explains the keys.
    """
    from argosy.config.schema import editor_schema
    from argosy.plugins.manager import PluginManager

    click.echo(json.dumps(editor_schema(PluginManager(excluded, plugin_files)), indent=2))


@config.command("new")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@plugin_file
@no_plugin
def new(file: Path | None, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """Print a configuration to start from, or write it to FILE (.toml), which must not exist yet."""
    from argosy.config.template import template
    from argosy.plugins.manager import PluginManager

    text = template(PluginManager(excluded, plugin_files))
    if file is None:
        click.echo(text, nl=False)
        return
    if file.suffix.lower() != ".toml":
        raise ConfigError(f"{file} does not end in .toml, and what would be written is TOML.")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{file} exists already, and is left as it is.", hint="Choose another name."
        ) from None
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(f"{file}: written. Fill in the source, then: argosy config check {file}")
