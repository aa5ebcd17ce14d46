"""``argosy status``: what is done, what is not, and which sessions there are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from argosy.cli.download import ask
from argosy.cli.options import log_options, no_plugin, plugin_file, redactor
from argosy.cli.target import Target, target
from argosy.toolkit.text import one_line, size_text, time_text

if TYPE_CHECKING:
    from argosy.api import SessionInfo
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager
    from argosy.state.ledger import Ledger, Owner

#: Failed items that are listed unless all are asked for.
LISTED = 20

#: Items in work that are named for each run.
NAMED = 4


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--all", "everything", is_flag=True, help="List all failed items.")
@log_options
@plugin_file
@no_plugin
def status(what: str, everything: bool, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """Show what is done, who is at work, what failed, and which sessions there are."""
    from argosy.state.ledger import FILE, PRIVATE, Ledger, need_ledger

    found = target(what, excluded, plugin_files)
    if found.settings is not None and found.registry is not None:
        _show_sessions(found.settings, found.registry)
        if not (found.directory / PRIVATE / FILE).exists():
            _show_places(found)
            click.echo("done       0 items")
            return
    need_ledger(found.directory, found.where)
    ledger = Ledger(found.directory, read_only=True)
    _show_places(found)
    try:
        _show_items(ledger, None if everything else LISTED)
    finally:
        ledger.close()


def _show_places(found: Target) -> None:
    from argosy.state.ledger import PRIVATE

    click.echo(f"directory  {found.where}")
    if found.remote is not None:
        click.echo(f"ledger     {found.directory / PRIVATE}")


def _show_items(ledger: Ledger, most: int | None) -> None:
    scrub = redactor().scrub  # an id may be a URL, with a token in it
    checked: Counter[str] = Counter()
    failures: list[str] = []
    made: Counter[str] = Counter()
    size = failed = 0
    for row in ledger.all_rows():
        if row.state == "done":
            checked.update(file.verification.value for file in row.files)
            made.update(row.outputs)
            size += sum(file.size for file in row.files)
        if row.state == "failed" or (row.state == "done" and row.failure is not None):
            failed += 1
            if most is None or len(failures) < most:
                what = f" ({row.failure.kind}): {row.failure.message}" if row.failure else ": cause unknown"
                failures.append(one_line(scrub(f"failed {row.id}{what}")))
    counts = ledger.counts()
    click.echo(f"done       {counts.get('done', 0)} items, {size_text(size)}")
    if checked:
        click.echo(f"files      {', '.join(f'{number} {name}' for name, number in sorted(checked.items()))}")
    if made:
        click.echo(f"outputs    {', '.join(f'{name} {number}' for name, number in sorted(made.items()))}")
    for owner in ledger.owners():
        click.echo(_at_work(owner, scrub))
    for name, number in (("pending", counts.get("pending", 0)), ("failed", failed)):
        if number:
            click.echo(f"{name:<10} {number}")
    for line in failures:
        click.echo(line)
    if failed > len(failures):
        click.echo(f"... and {failed - len(failures)} more (--all)")


def _at_work(owner: Owner, scrub: Callable[[str], str]) -> str:
    number = len(owner.items)
    items = f"{number} item{'s'[: number != 1]}"
    who = f"process {owner.pid} on {owner.host}" if owner.pid else "a run"
    if not owner.alive:
        return f"left       {items} by {who}, which died (the next run takes them over)"
    named = ", ".join(map(scrub, owner.items[:NAMED])) + (", ..." if number > NAMED else "")
    age = time_text(max(time.time() - owner.since, 0.0))
    return f"at work    {who}, for {age}, on {items}{': ' if number else ''}{named}"


def _show_sessions(settings: Settings, registry: PluginManager) -> None:
    from argosy.api import stored

    for session in stored(settings, registry, redactor(), ask()):
        for line in _session_lines(session):
            click.echo(line)


def _session_lines(session: SessionInfo) -> Iterator[str]:
    from argosy.api import expiry_text

    now = time.time()
    counts = f"{session.logins} logins" + (f", {session.refreshes} refreshes" if session.refreshes else "")
    since = f"logged in {time_text(max(now - session.logged_in, 0.0))} ago" if session.logged_in else ""
    facts = [
        f"in flight by {session.holder}" if session.holder is not None else session.state,
        since,
        f"changed {time_text(max(now - session.saved, 0.0))} ago",
        expiry_text(session.expires, now),
        counts,
    ]
    yield f"session    {session.name}: {', '.join(fact for fact in facts if fact)}"
    names = f"cookies: {', '.join(session.cookies) or 'none'}"
    yield f"           {names}" + (
        f"; header fields: {', '.join(session.headers)}" if session.headers else ""
    )
    yield f"lease      {session.lease} ({session.lease_reason})"
