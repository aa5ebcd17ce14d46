"""The output ``index``: one file about the whole directory, with a line per item."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argosy
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import CollectingOutput, Output
from argosy.models.items import FinishedItem, Product
from argosy.toolkit.redaction import Redactor

#: The columns, in order.
COLUMNS = ("id", "title", "tags", "metadata", "files", "finished")

#: Characters with which spreadsheets start a formula (OWASP, "CSV Injection"), including full-width forms, and after
#: white space and invisible characters.
_FORMULA = re.compile(
    r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n]"
)


class IndexOutput(CollectingOutput):
    """Lists the finished items as JSON Lines or CSV."""

    name = "index"
    summary = "One file about the whole directory: a line per item, with its files and their digests"
    options_schema = {
        "type": "object",
        "properties": {
            "format": {
                "enum": ["jsonl", "csv"],
                "default": "jsonl",
                "description": "JSON Lines, or CSV with a header line (its lists and objects are JSON).",
            },
            "name": {
                "type": "string",
                "minLength": 1,
                "description": "The name of the file below the target directory; by default index.jsonl or index.csv.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self._format = options["format"]
        self._name = options.get("name") or f"index.{self._format}"

    def collect(self, items: Iterable[FinishedItem], scratch: Path) -> Iterator[Product]:
        """Write the whole file."""
        redactor = Redactor()  # an id may be a URL with a secret
        lines = map(_line, items)
        path = scratch / "index"
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            if self._format == "csv":
                table = csv.writer(file)
                table.writerow(COLUMNS)
                table.writerows(map(_cells, map(redactor.scrub, lines)))
            else:
                file.writelines(redactor.json(line) + "\n" for line in lines)
        yield Product(self._name, path)


def _line(finished: FinishedItem) -> dict[str, Any]:
    item = finished.item
    return {
        "id": item.id,
        "title": item.title,
        "tags": list(item.tags),
        "metadata": dict(item.metadata),
        "files": [
            {"name": file.name, "size": file.size, "sha256": file.sha256, "output": file.output}
            for file in finished.files
        ],
        "finished": datetime.fromtimestamp(finished.finished, UTC).isoformat(timespec="seconds"),
    }


def _cells(line: Mapping[str, Any]) -> list[str]:
    return [_cell(line[column]) for column in COLUMNS]


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if _FORMULA.match(value) else value


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return IndexOutput
