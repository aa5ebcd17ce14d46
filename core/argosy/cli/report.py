"""The report of a run with all its items, for ``--report``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import open_result

if TYPE_CHECKING:
    from argosy.engine.report import Report
    from argosy.state.ledger import Row


def write_report(path: Path, as_json: Callable[..., str], report: Report, items: Iterable[tuple[Row, bool]]) -> None:
    """Write a report with all items, each with whether it had a job, to a complete file, a pipe or a device.

    `as_json` returns a value as JSON without secrets. An existing file keeps its mode, and a link is followed.
    """
    try:
        with open_result(path) as file:
            head = as_json(report.to_dict(), indent=2).removesuffix("\n}")
            file.write(f'{head},\n  "items": [')
            comma = ""
            for row, had_job in items:  # one by one: there may be a million
                file.write(f"{comma}\n    {as_json(_item(row, had_job=had_job))}")
                comma = ","
            file.write("\n  ]\n}\n")
    except OSError as error:
        raise disk_error(path, error) from None


def _item(row: Row, *, had_job: bool) -> dict[str, Any]:
    done = row.state == "done"
    state = {"done": "done" if had_job else "skipped", "failed": "failed"}.get(row.state, "left")
    if done and had_job and row.failure is not None:
        state = "failed"  # an additional output of an item that was done before
    return {
        "id": row.id,
        "title": row.title,
        "state": state,
        "files": [asdict(file) for file in row.files] if done else [],
        "bytes": row.bytes,
        "error": row.failure.message if row.failure else None,
    }
