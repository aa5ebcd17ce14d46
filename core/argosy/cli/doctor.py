"""``argosy doctor``: finds out why downloads do not work, and says what to do."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from argosy.cli.options import ask, notify, plugin_options, redactor
from argosy.cli.snippets import as_written
from argosy.errors import ArgosyError
from argosy.toolkit.text import plural

if TYPE_CHECKING:
    from argosy.cli.health import Finding
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

#: Columns of the names of checks with their marks, and of a line at most.
_NAMES, _WIDTH = 26, 110

_MARKS = {"ok": ("ok", "green"), "warning": ("!", "yellow"), "problem": ("X", "red")}


@click.command()
@click.argument("config", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--requests",
    "number",
    type=click.IntRange(2, 20),
    metavar="N",
    help="Also log in, and request the first byte of a file N times: what does the service do with its token?",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per check.")
@plugin_options
def doctor(config: Path | None, number: int | None, as_json: bool, plugins: PluginManager) -> int:
    """Check this machine and, with CONFIG, its directory, its session store and its service.

    Each line is ok, a warning (!) or a problem (X), with what to do about it. The service gets a HEAD request and one for
    its login page, without credentials; with --requests, a login and N requests more. The exit code is 1 if there is a
    problem.
    """
    problems = warnings = 0
    for finding in _findings(config, number, plugins):
        problems += finding.level == "problem"
        warnings += finding.level == "warning"
        finding = replace(finding, text=redactor().scrub(finding.text), cure=as_written(redactor().scrub(finding.cure)))
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    if not as_json:
        if problems:
            told = f"{plural(problems, 'problem')} found."
        else:
            told = "No problem found." if not warnings else "No problem found; see the lines with an exclamation mark."
        more = "" if config else " To check a service: argosy doctor CONFIG"
        click.echo(f"\n{told}{more}")
    return 1 if problems else 0


def _line(finding: Finding) -> str:
    mark, color = _MARKS[finding.level]
    width = max(min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH), 2 * _NAMES)
    lines = [line for text in finding.text.splitlines() for line in textwrap.wrap(text, width - _NAMES)]
    lines += textwrap.wrap(finding.cure, width - _NAMES - 2, initial_indent="> ", subsequent_indent="  ")
    name = finding.check if len(finding.check) < _NAMES - 4 else f"{finding.check[: _NAMES - 6]}…"
    head = f"{click.style(f'{mark:<3}', fg=color)} {name:<{_NAMES - 4}}"
    return head + f"\n{' ' * _NAMES}".join(lines)


def _findings(config: Path | None, number: int | None, plugins: PluginManager) -> Iterator[Finding]:
    from argosy.cli import health

    yield from health.of_machine(plugins)
    if config is not None:
        try:
            yield from _of_configuration(config, number, plugins)
        except ArgosyError as error:
            yield health.problem("configuration", error)


def _of_configuration(config: Path, number: int | None, plugins: PluginManager) -> Iterator[Finding]:
    from argosy.cli import health
    from argosy.cli.check import trial
    from argosy.cli.download import unused_environment
    from argosy.config.load import load, load_file
    from argosy.config.schema import check

    document = load_file(config)
    wrong = [*check(document, plugins, str(config)), *trial(document, plugins, config, redactor().add)]
    for one in wrong:
        yield health.problem("configuration", str(one))
    if wrong:
        return
    settings = load(config, plugins)
    yield health.ok("configuration", f"{config} is valid")
    if text := unused_environment(settings):
        unused, to_use, cure = text.partition(" To use")
        yield health.warning("environment", unused, f"{to_use.strip()}{cure}")
    yield from health.of_storage(settings, plugins)
    yield from _of_service(settings, number, plugins)


def _of_service(settings: Settings, number: int | None, plugins: PluginManager) -> Iterator[Finding]:
    from argosy.api import open_context
    from argosy.cli import health
    from argosy.cli.login_page import compare, plain_session

    (urls, file), failed = health.urls_of(settings, plugins), False
    with plain_session(settings, plugins, redactor().add, ask=ask()) as http:
        for url in urls:
            for finding in health.of_host(url, settings, http):
                failed = failed or finding.level == "problem"
                yield finding
    if failed:
        return
    if settings.auth["use"] == "form-login":
        facts, wrong = compare(settings, plugins, redactor().add, ask=ask())
        for fact in facts:
            yield health.ok("login page", fact)
        for one in wrong:
            yield health.problem("login page", f"{one.where}: {one.found}", f"Expected: {one.expected}.")
        if wrong:
            return
    if number and file is None:
        yield health.warning("token", "the configuration lists no file to request")
    elif number and file is not None:
        with open_context(settings, plugins, notify, redactor(), ask=ask()) as context:
            yield from health.of_token(context, file, number)
