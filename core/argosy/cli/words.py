"""The words after ``argosy download``: a configuration, a list, and URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

#: How the names of manifests end.
MANIFESTS = (".jsonl", ".ndjson")

#: A host, and maybe a port and a path, without a scheme.
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?(?:[/?#].*)?|localhost(?::[0-9]+)?(?:/.*)?", re.I)


@dataclass(frozen=True, slots=True)
class Words:
    """A configuration, a list and URLs."""

    config: str | None
    list: str | None  # a file, or - for standard input
    urls: tuple[str, ...]

    def source(self) -> dict[str, Any] | None:
        """Return the source of a configuration; None if the configuration has it."""
        if self.list is not None and self.list.lower().endswith(MANIFESTS):
            return {"use": "manifest", "path": str(Path(self.list).absolute())}
        file = {} if self.list is None else {"file": "-" if self.list == "-" else str(Path(self.list).absolute())}
        urls = {"urls": list(self.urls)} if self.urls else {}
        return {"use": "urls", **urls, **file} if urls or file else None


def sort_words(words: Iterable[str], lists: Iterable[str] = ()) -> Words:
    """Tell configuration, list and URLs apart; raise a usage error if a word is none of them (`lists`: more lists)."""
    urls: list[str] = []
    files: list[str] = []
    for word in words:
        (urls if "://" in word else files).append(word)
    configs = [file for file in files if file.lower().endswith((".toml", ".json"))]
    lists = [*(file for file in files if file not in configs), *lists]
    for what, given in (("configuration", configs), ("list", lists)):
        if len(given) > 1:
            raise click.UsageError(f"Give one {what}, not both {given[0]!r} and {given[1]!r}.")
    for file in lists:
        if file != "-" and not Path(file).is_file():
            raise click.UsageError(_not_found(file))
        if file.lower().endswith(MANIFESTS) and urls:
            raise click.UsageError(f"Give the manifest {file!r} or URLs, not both.")
    return Words(next(iter(configs), None), next(iter(lists), None), tuple(urls))


def _not_found(word: str) -> str:
    if Path(word).is_dir():
        return f"{word!r} is a directory. Give a configuration, a list or a URL."
    if _HOST.fullmatch(word) and not word.lower().endswith((".txt", ".lst", ".list", ".csv", *MANIFESTS)):
        return f"There is no file {word!r}. If it is a URL, add https://: https://{word}"
    return f"There is no file {word!r}. URLs start with https://."
