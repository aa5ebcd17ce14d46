"""``argosy status``: what is done, what is not, and which sessions there are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from argosy.cli.options import no_plugin, redactor
from argosy.cli.target import need_ledger, target
from argosy.run.text import size_text, time_text

if TYPE_CHECKING:
    from argosy.config import Settings
    from argosy.registry import Registry
    from argosy.run.ledger import Ledger, Owner

#: Failed items that are listed unless all are asked for.
LISTED = 20

#: Items in work that are named for each run.
NAMED = 4


@click.command()
@click.argument("what", metavar="CONFIG|DIR")
@click.option("--all", "everything", is_flag=True, help="List all failed items.")
@no_plugin
def status(what: str, everything: bool, excluded: tuple[str, ...]) -> None:
    """Show what is done, who is at work, what failed, and which sessions there are."""
    from argosy.run.ledger import Ledger

    directory, settings, registry = target(what, excluded)
    if settings is not None and registry is not None:
        _show_sessions(settings, registry)
    need_ledger(directory)
    ledger = Ledger(directory, read_only=True)
    try:
        _show_items(ledger, None if everything else LISTED)
    finally:
        ledger.close()


def _show_items(ledger: Ledger, most: int | None) -> None:
    scrub = redactor().scrub  # an id may be a URL, with a token in it
    checked: Counter[str] = Counter()
    failures: list[str] = []
    size = 0
    for row in ledger.all_rows():
        if row.state == "done":
            checked.update(file.verification.value for file in row.files)
            size += sum(file.size for file in row.files)
        elif row.state == "failed" and (most is None or len(failures) < most):
            failures.append(
                f"failed {scrub(row.id)}: {row.failure.message if row.failure else 'cause unknown'}"
            )
    counts = ledger.counts()
    click.echo(f"directory  {ledger.private.parent.absolute()}")
    click.echo(f"done       {counts.get('done', 0)} items, {size_text(size)}")
    if checked:
        click.echo(f"files      {', '.join(f'{number} {name}' for name, number in sorted(checked.items()))}")
    for owner in ledger.owners():
        click.echo(_at_work(owner, scrub))
    for name in ("pending", "failed"):
        if counts.get(name):
            click.echo(f"{name:<10} {counts[name]}")
    for line in failures:
        click.echo(line)
    if counts.get("failed", 0) > len(failures):
        click.echo(f"... and {counts['failed'] - len(failures)} more (--all)")


def _at_work(owner: Owner, scrub: Callable[[str], str]) -> str:
    number = len(owner.items)
    items = f"{number} item{'s'[: number != 1]}"
    who = f"process {owner.pid} on {owner.host}" if owner.pid else "a run"
    if not owner.alive:
        return f"left       {items} by {who}, which died (the next run takes them over)"
    named = ", ".join(map(scrub, owner.items[:NAMED])) + (", ..." if number > NAMED else "")
    age = time_text(max(time.time() - owner.since, 0.0))
    return f"at work    {who}, for {age}, on {items}{': ' if number else ''}{named}"


def _show_sessions(settings: Settings, registry: Registry) -> None:
    from argosy.contracts import PluginContext
    from argosy.session.auto import in_force
    from argosy.session.policy import Discipline
    from argosy.session.record import Status

    context = PluginContext(settings.base, settings.directory)
    store = registry.cookie_store(settings.cookie_store, context)
    try:
        for name in store.sessions():
            record = store.read(name)
            if record is None:
                continue
            age = time_text(max(time.time() - record.saved, 0.0))
            state = record.status.value
            if record.status is Status.IN_FLIGHT and record.holder is not None:
                state = f"in flight by process {record.holder.pid} on {record.holder.host}"
            names = ", ".join(sorted({cookie.name for cookie in record.cookies})) or "none"
            click.echo(
                f"session    {name}: {state}, {record.logins} logins, saved {age} ago, cookies: {names}"
            )
            lease, reason = in_force(Discipline(settings.lease), record.learned)
            click.echo(f"lease      {lease.value} ({reason})")
    finally:
        store.close()
