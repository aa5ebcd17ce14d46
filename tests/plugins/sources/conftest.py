"""What the tests of the sources share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from argosy import Item, PluginContext, Source
from argosy.errors import SourceError

#: Reads a file with a source: the items before the error, and the error's text ("" where there is none).
Read = Callable[..., tuple[list[Item], str]]


def _drain(items: Iterator[Item]) -> tuple[list[Item], str]:
    found = []
    try:
        for item in items:
            found.append(item)  # noqa: PERF402 - what came before the error counts too
    except SourceError as error:
        return found, str(error)
    return found, ""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(source: type[Source], name: str, content: str | bytes, **options: Any) -> tuple[list[Item], str]:
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return _drain(source(options, PluginContext(base=tmp_path, directory=tmp_path)).items(requests.Session()))

    return run
