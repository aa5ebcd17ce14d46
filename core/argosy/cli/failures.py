"""How failed items are shown: by cause and host, each with its title and URL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from argosy.cli.snippets import as_written
from argosy.models.items import Failure
from argosy.toolkit.text import one_line
from argosy.toolkit.urls import redact_url

_ADVICE = '"allow_downgrade": true'

#: The most items to show of each group.
SHOWN = 3


def cause(failure: Failure) -> str:
    """Return the cause in one word; for a status that does not deliver the file, the status itself."""
    status = re.search(r"\b[1-5][0-9][0-9]\b", failure.message) if failure.kind == "status" else None
    return status[0] if status else failure.kind


def group(failures: Iterable[Failure]) -> dict[tuple[str, str], list[Failure]]:
    """Return failures by cause and host (or an empty text), the largest group first."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        host = urlsplit(failure.url or "").netloc.rpartition("@")[2]
        groups.setdefault((cause(failure), host), []).append(failure)
    return dict(sorted(groups.items(), key=lambda entry: -len(entry[1])))


def counted(failures: Iterable[Failure]) -> str:
    """Return how many items failed for which cause: ``27 x 404 at library.example, 2 x digest``."""
    groups = group(failures)
    return ", ".join(f"{len(items)} x {_named(*key)}" for key, items in groups.items())


def lines(failures: Iterable[Failure], most: int | None = SHOWN) -> Iterator[str]:
    """Yield the lines that show failures; `most` items of each group, or all."""
    for (word, host), items in group(failures).items():
        messages = {failure.message for failure in items}
        same = one_line(_as_written(messages.pop())) if len(messages) == 1 else ""
        yield f"{len(items)} x {_named(word, host)}{f': {same}' if same else ''}"
        for failure in items[:most]:
            yield f"  {_item(failure)}" + ("" if same else f": {one_line(_as_written(failure.message))}")
        if most is not None and len(items) > most:
            yield f"  ... and {len(items) - most} more"


def _as_written(message: str) -> str:
    """Return a failure's message with our own advice in the reader's language; the rest may quote a server."""
    return message.replace(_ADVICE, as_written(_ADVICE))


def _named(word: str, host: str) -> str:
    return f"{word} at {host}" if host else word


def _item(failure: Failure) -> str:
    url = redact_url(failure.url) if failure.url else ""
    names = [one_line(name) for name in dict.fromkeys((failure.id, failure.title)) if name and name != url]
    # a URL is its item's id, and its title the last part
    if url and redact_url(failure.id) == url:
        names = []
    return f"{' '.join(names)} ({url})" if names and url else url or " ".join(names)
