"""``argosy status``: finished, active and failed items, and the sessions."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.failures import cause, lines
from argosy.cli.options import log_options, notify, plugin_context, plugin_options, redactor
from argosy.cli.target import Target, target
from argosy.models.items import Failure
from argosy.toolkit.text import plural, size_text, time_text

if TYPE_CHECKING:
    from argosy.api import SessionInfo
    from argosy.cli.ledgers import Homes
    from argosy.plugins.manager import PluginManager
    from argosy.state.ledger import Ledger, Row

#: The most failed items to list without --all.
_LISTED = 20
#: The most active items to name for each run.
_NAMED = 4


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--all", "everything", is_flag=True, help="List all failed items.")
@click.option("--failed", "only_failed", is_flag=True, help="Show only the failed items, all of them.")
@click.option("--json", "as_json", is_flag=True, help="With --failed: print a JSON object for each.")
@click.option("--failed-urls", is_flag=True, help="Print only the URLs of failed items, one per line.")
@log_options
@plugin_options
def status(
    what: str, everything: bool, only_failed: bool, as_json: bool, failed_urls: bool, plugins: PluginManager
) -> None:
    """Show finished, active and failed items, and the sessions."""
    from argosy.api import stored_sessions
    from argosy.state.shards import homes, need_ledger

    found = target(what, plugins)
    if only_failed or failed_urls:
        _show_failed(need_ledger(found.directory, found.where), as_json=as_json, only_urls=failed_urls)
        return
    if as_json:
        raise click.UsageError("--json needs --failed.")
    if found.settings is not None:
        context = plugin_context(found.settings.base, found.directory)
        for session in stored_sessions(found.settings, plugins, context):
            for line in _session_lines(session):
                click.echo(line)
        if not homes(found.directory):
            _show_directory(found)
            click.echo("done       0 items")
            return
    ledgers = need_ledger(found.directory, found.where)
    _show_directory(found)
    _show_items(ledgers, None if everything else _LISTED)


def _show_directory(found: Target) -> None:
    from argosy.state.ledger import PRIVATE

    click.echo(f"directory  {found.where}")
    if found.remote is not None:
        click.echo(f"ledger     {found.directory / PRIVATE}")


def _show_items(homes: Homes, most: int | None) -> None:
    from argosy.cli.ledgers import current_rows, read, shards_text

    scrub = redactor().scrub  # an id may be a URL with a token
    checked: Counter[str] = Counter()
    failures: list[Failure] = []
    made: Counter[str] = Counter()
    states: Counter[str] = Counter()
    size = failed = 0
    for _, row in current_rows(homes):
        states[row.state] += 1
        if row.state == "done":
            checked.update(file.verification.value for file in row.files)
            made.update(row.outputs)
            size += sum(file.size for file in row.files)
        if row.state == "failed" or (row.state == "done" and row.failure is not None):
            failed += 1
            if most is None or len(failures) < most:
                failures.append(_failed(row))
    _show(
        {
            "shards": shards_text(homes),
            "done": f"{plural(states['done'], 'item')}, {size_text(size)}",
            "files": ", ".join(f"{number} {name}" for name, number in sorted(checked.items())),
            "outputs": ", ".join(f"{name} {number}" for name, number in sorted(made.items())),
        }
    )
    for shard, ledger in read(homes):
        for line in _run_lines(ledger, scrub, "" if shard is None else f" (shard {shard})"):
            click.echo(line)
    _show({"pending": str(states["pending"] or ""), "failed": str(failed or "")})
    for line in lines(failures, most):
        click.echo(scrub(line))
    if failed > len(failures):
        click.echo(f"... and {failed - len(failures)} more (--all)")


def _show(facts: Mapping[str, str]) -> None:
    """Print the facts that there are."""
    for name, text in facts.items():
        if text:
            click.echo(f"{name:<10} {text}")


def _failed(row: Row) -> Failure:
    return row.failure or Failure("internal", "The cause is unknown.", id=row.id, title=row.title)


def _show_failed(homes: Homes, *, as_json: bool, only_urls: bool) -> None:
    """Print the failed items: grouped, as JSON, or only their URLs."""
    from argosy.cli.ledgers import current_rows, read

    scrub = redactor().scrub
    rows = (row for _, row in current_rows(homes) if row.failure is not None or row.state == "failed")
    failures = [_failed(row) for row in rows]
    if only_urls:
        posts = set[str]().union(*(_posts(ledger) for _, ledger in read(homes)))
        if left_out := sum(failure.id in posts for failure in failures):
            notify(f"Left out: {plural(left_out, 'item')} with a POST, which a list of URLs cannot say.")
        urls = dict.fromkeys(failure.url or failure.id for failure in failures if failure.id not in posts)
        shown: Iterable[str] = (url for url in urls if "://" in url)
    elif as_json:
        shown = (json.dumps({"cause": cause(failure), **asdict(failure)}) for failure in failures)
    else:
        shown = lines(failures, None)
    for line in shown:
        click.echo(scrub(line))


def _posts(ledger: Ledger) -> set[str]:
    """Return the ids of the unfinished items with a file that is the response to a POST."""
    from argosy.models.items import Item

    with ledger.guard():
        found = ledger.db.execute("SELECT id, item FROM items WHERE item LIKE '%\"body\":%'").fetchall()
    return {id_ for id_, text in found if any(resource.body is not None for resource in Item.from_json(text).resources)}


def _run_lines(ledger: Ledger, scrub: Callable[[str], str], shard: str) -> Iterator[str]:
    """Describe running runs, and dead ones that left items, the oldest first."""
    runs = [(_process_of(ledger, run), ids, run) for run, ids in ledger.runs().items()]
    for process, ids, run in sorted(runs, key=lambda entry: entry[0].get("since", 0.0)):
        items = plural(len(ids), "item")
        named = (f"process {process['pid']} on {process['host']}" if process else "a run") + shard
        if ledger.is_alive(run):
            age = f", for {time_text(max(time.time() - process['since'], 0.0))}" if process else ""
            listed = ", ".join(map(scrub, ids[:_NAMED])) + (", ..." if len(ids) > _NAMED else "")
            yield f"at work    {named}{age}, on {items}{': ' if ids else ''}{listed}"
        elif ids:
            yield f"left       {items} by {named}, which died (the next run takes them over)"


def _process_of(ledger: Ledger, run: str) -> dict[str, Any]:
    try:
        return dict(json.loads(ledger.lock_of(run).path.read_text("utf-8")))
    except (OSError, ValueError):  # it has just ended, or died before it wrote this
        return {}


def _session_lines(session: SessionInfo) -> Iterator[str]:
    now = time.time()
    facts = [f"in flight by {session.holder}" if session.holder is not None else session.state]
    if session.logged_in:
        facts.append(f"logged in {time_text(max(now - session.logged_in, 0.0))} ago")
    facts.append(f"changed {time_text(max(now - session.saved, 0.0))} ago")
    if session.expires:
        left = session.expires - now
        facts.append(f"expires in {time_text(left)}" if left > 0 else f"expired {time_text(-left)} ago")
    facts.append(plural(session.logins, "login"))
    if session.refreshes:
        facts.append(plural(session.refreshes, "refresh", "refreshes"))
    yield f"session    {session.name}: {', '.join(facts)}"
    headers = f"; header fields: {', '.join(session.headers)}" if session.headers else ""
    yield f"           cookies: {', '.join(session.cookies) or 'none'}{headers}"
    yield f"lease      {session.lease} ({session.lease_reason})"
