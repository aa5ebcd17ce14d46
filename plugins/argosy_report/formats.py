"""A `Report` of the Python interface as JSON, as a page, and as the table that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from argosy import ItemReport, Report
from argosy.events import Event, EventKind
from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import open_result
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.text import one_line, plural, size_text, time_text

#: Rows of a table, and characters of a cell.
MOST_ROWS, LONGEST_CELL = 20, 200


def write_json(report: Report, path: Path) -> None:
    """Write a report with its items to a file, a pipe or a device; raise `StorageError` if that fails."""
    as_json = Redactor().json
    try:
        with open_result(path) as file:
            items = ",".join(f"\n    {as_json(_item(item))}" for item in report.items)
            head = as_json(report.to_dict(), indent=2).removesuffix("\n}")
            file.write(f'{head},\n  "items": [{items}\n  ]\n}}\n')
    except OSError as error:
        raise disk_error(path, error) from None


def write_html(report: Report, path: Path) -> None:
    """Write the page of a report, without a timeline, which needs the events of the run."""
    from argosy_report.observer import write_page
    from argosy_report.timeline import Timeline

    timeline = Timeline()
    for event in _events(report):
        timeline.take(event)
    write_page(timeline, path)


def _item(item: ItemReport) -> dict[str, Any]:
    return {
        **{name: getattr(item, name) for name in ("id", "title", "state", "bytes")},
        "files": [asdict(file) for file in item.files],
        "error": item.failure.message if item.failure else None,
    }


def _events(report: Report) -> Iterator[Event]:
    """Yield what the page needs to list the items; nobody knows any more when each of them was done."""
    start, end = report.started, report.started + report.seconds
    facts = {"directory": report.where, "max_workers": 1}
    yield Event(EventKind.RUN_STARTED, start, None, facts)
    for item in report.items:
        yield Event(EventKind.ITEM_STARTED, start, item.id, {"title": item.title})
    for item in report.items:
        failure = item.failure.message if item.failure else None
        data = {"state": item.state, "bytes": item.bytes, "failure": failure}
        yield Event(EventKind.ITEM_FINISHED, end, item.id, data)
    yield Event(EventKind.RUN_FINISHED, end, None, report.to_dict())


def table(report: Report) -> str:
    """Return HTML for a notebook: the counts, then a table of the failures or, without any, of the files."""
    counts = report.counts
    named = {"done": counts.done, "done before": counts.skipped, "failed": counts.failed, "left": counts.left}
    words = [f"{number} {name}" for name, number in named.items() if number]
    words.append(f"{size_text(report.bytes)} in {time_text(report.seconds)}")
    parts = [
        f"<p>{plural(counts.items, 'item')}: {escape(', '.join(words))}. <code>{escape(one_line(report.where))}</code></p>"
    ]
    if report.error is not None:
        parts.append(f"<p><b>{escape(one_line(str(report.error)))}</b></p>")
    head, rows, total = _rows(report)
    if rows:
        parts.append("<table><thead>" + _row(head, "th") + "</thead><tbody>")
        parts += [_row(row, "td") for row in rows]
        parts.append("</tbody></table>")
    if total > len(rows):
        parts.append(f"<p>… and {total - len(rows)} more</p>")
    return "\n".join(["<div>", *parts, "</div>"])


def _rows(report: Report) -> tuple[tuple[str, ...], list[tuple[str, ...]], int]:
    """Return the head and the first rows of the table, and how many rows there are."""
    if report.failures:
        failures = report.failures[:MOST_ROWS]
        rows: list[tuple[str, ...]] = [(one.title or one.id, one.kind, one.message, one.url or "") for one in failures]
        return ("failed", "cause", "message", "URL"), rows, report.counts.failed
    items = report.items[:MOST_ROWS]
    rows = [(one.title or one.id, one.state, ", ".join(file.name for file in one.files)) for one in items]
    return ("item", "state", "files"), rows, len(report.items)


def _row(cells: tuple[str, ...], name: str) -> str:
    style = ' style="text-align: left"'
    inner = "".join(f"<{name}{style}>{escape(one_line(cell, LONGEST_CELL))}</{name}>" for cell in cells)
    return f"<tr>{inner}</tr>"
