"""The closing summary of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from argosy.toolkit.text import one_line, size_text, time_text

if TYPE_CHECKING:
    from argosy.engine.report import Report

#: Failures that are listed; the report file and ``argosy status`` have all of them.
LISTED = 10


def print_summary(report: Report) -> None:
    """Print what a run did, as a small table on standard error."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    counts = report.counts
    rate = f", {size_text(report.bytes / report.seconds)}/s" if report.seconds and report.bytes else ""
    rows = [
        (
            "downloaded" if report.requests or not counts.done else "made",  # nothing, of what was there
            f"{counts.done} of {counts.items} items",
        ),
        ("done before", str(counts.skipped) if counts.skipped else ""),
        ("failed", f"[red]{counts.failed}[/red]" if counts.failed else ""),
        ("left", str(counts.left) if counts.left else ""),
        ("data", f"{size_text(report.bytes)} in {time_text(report.seconds)}{rate}"),
        (
            "requests",
            f"{report.requests} ({report.retries} again)" if report.retries else str(report.requests),
        ),
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
    for id_, _, failure in report.failures[:LISTED]:
        console.print(f"[red]failed[/red] {escape(one_line(id_))}: {escape(one_line(failure.message))}")
    if counts.failed > LISTED:
        console.print(f"... and {counts.failed - LISTED} more: argosy status {escape(report.where)}")


def _session(report: Report) -> str:
    refreshes = f"{report.refreshes} refreshes, " if report.refreshes else ""
    if not (report.logins or refreshes or report.lease_used != "shared"):
        return ""
    return f"{report.logins} logins, {refreshes}{report.refusals} refusals"
