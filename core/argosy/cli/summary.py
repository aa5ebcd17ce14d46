"""The summary at the end of a run."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from argosy.cli.failures import counted, lines
from argosy.toolkit.text import plural, size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from argosy.engine.report import Report

#: Files over all items that the summary names.
_MOST_WRITTEN = 5


def print_summary(report: Report, left_out: str = "", written: Sequence[str] = ()) -> None:
    """Print what a run did, as a small table on standard error.

    `left_out` are the items that it was not to take, `written` the names of the files over all items.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    counts = report.counts
    if counts.items == counts.skipped and report.error is None:
        if not counts.items and not left_out:
            console.print("Nothing to do: the list has no items.")
            return
        items = f"{counts.items} items are" if counts.items != 1 else "1 item is"
        console.print(f"Nothing to do: {items} up to date in {escape(report.where)}.")
        if left_out:
            console.print(f"Left out: {escape(left_out)}.")
        return
    rate = f", {size_text(report.bytes / report.seconds)}/s" if report.seconds and report.bytes else ""
    retries = f" ({plural(report.retries, 'retry', 'retries')})" if report.retries else ""
    rows = [
        # without a request, the items are those that earlier runs downloaded
        (
            "downloaded" if report.requests or not counts.done else "made",
            f"{counts.done} of {plural(counts.items, 'item')}",
        ),
        ("done before", str(counts.skipped or "")),
        ("failed", f"[red]{counts.failed}[/red]: {escape(counted(report.failures))}" if counts.failed else ""),
        ("left", str(counts.left or "")),
        ("left out", escape(left_out)),
        ("data", f"{size_text(report.bytes)} in {time_text(report.seconds)}{rate}"),
        ("requests", f"{report.requests}{retries}"),
        ("session", _session(report)),
        ("strategy", f"{report.strategy_used}, {report.max_workers} at most, lease {report.lease_used}"),
        ("directory", escape(report.where)),
        ("wrote", escape(_named(written))),
    ]
    given = [(name, value) for name, value in rows if value]
    width = max(len(name) for name, _ in given) + 2
    console.print()
    for name, value in given:  # no table, which would cut a long path
        console.print(f"[bold]{name:<{width}}[/bold]{value}", soft_wrap=True)
    if not counts.failed:
        return
    console.print()
    for line in lines(report.failures):
        style = "red" if not line.startswith(" ") else None
        console.print(Text(line, style or ""), soft_wrap=True)  # a URL stays whole
    where = shlex.quote(report.where)
    console.print(
        f"All failures: argosy status --failed {escape(where)}. To try them again, run the same command.",
        soft_wrap=True,
    )


def _named(files: Sequence[str]) -> str:
    more = len(files) - _MOST_WRITTEN
    return ", ".join(files[:_MOST_WRITTEN]) + (f" and {more} more" if more > 0 else "")


def _session(report: Report) -> str:
    if not report.logins and not report.refreshes and report.lease_used == "shared":
        return ""
    refreshes = f"{plural(report.refreshes, 'refresh', 'refreshes')}, " if report.refreshes else ""
    return f"{plural(report.logins, 'login')}, {refreshes}{plural(report.refusals, 'refusal')}"
