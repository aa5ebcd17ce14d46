"""``argosy report``: the page of a run from its events."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("events", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("page", type=click.Path(dir_okay=False, path_type=Path))
def report(events: Path, page: Path) -> None:
    """Write a page about a run, PAGE.html, from its EVENTS (argosy download --events FILE)."""
    from argosy_report.observer import write_page
    from argosy_report.reading import read_events

    write_page(read_events(events), page)
    click.echo(f"Wrote {page}", err=True)
