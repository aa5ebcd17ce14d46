"""The summary at the end of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from argosy.toolkit.text import one_line, size_text, time_text

if TYPE_CHECKING:
    from argosy.engine.report import Report

#: The most failures to list; the report file and ``argosy status`` have all of them.
_LISTED = 10


def print_summary(report: Report) -> None:
    """Print what a run did, as a small table on standard error."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    counts = report.counts
    rate = f", {size_text(report.bytes / report.seconds)}/s" if report.seconds and report.bytes else ""
    retries = f" ({report.retries} retries)" if report.retries else ""
    rows = [
        # without a request, the items are those that earlier runs downloaded
        ("downloaded" if report.requests or not counts.done else "made", f"{counts.done} of {counts.items} items"),
        ("done before", str(counts.skipped or "")),
        ("failed", f"[red]{counts.failed}[/red]" if counts.failed else ""),
        ("left", str(counts.left or "")),
        ("data", f"{size_text(report.bytes)} in {time_text(report.seconds)}{rate}"),
        ("requests", f"{report.requests}{retries}"),
        ("session", _session(report)),
        ("strategy", f"{report.strategy_used}, {report.max_workers} at most, lease {report.lease_used}"),
        ("directory", escape(report.where)),
    ]
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        if value:
            table.add_row(f"[bold]{name}[/bold]", value)
    console.print()
    console.print(table)
    for id_, _, failure in report.failures[:_LISTED]:
        console.print(f"[red]failed[/red] {escape(one_line(id_))}: {escape(one_line(failure.message))}")
    if counts.failed > _LISTED:
        console.print(f"... and {counts.failed - _LISTED} more: argosy status {escape(report.where)}")


def _session(report: Report) -> str:
    if not report.logins and not report.refreshes and report.lease_used == "shared":
        return ""
    refreshes = f"{report.refreshes} refreshes, " if report.refreshes else ""
    return f"{report.logins} logins, {refreshes}{report.refusals} refusals"
