"""A staged item for the tests of outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from argosy import Item, PluginContext, Resource, ResponseRecord, StagedFile, StagedItem
from argosy.config.schema import default_options
from argosy.interfaces.output import Output
from argosy.models.items import Verification

MODIFIED = "Thu, 01 Jan 1970 00:01:40 GMT"

Stage = Callable[..., StagedItem]
Make = Callable[..., Output]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Return what stages an item with some files."""

    def staged(
        folder: str = "b1",
        bodies: Mapping[str, bytes] = {"a/1.html": b"one", "2.html": b"two"},
        **about: Any,
    ) -> StagedItem:
        given = {"id": "b:1", "title": "One", "tags": ("T",), "metadata": {"k": "é"}, **about}
        head = ResponseRecord("https://h/", 200, "OK", "HTTP/1.1", (("Last-Modified", MODIFIED),), (), 1.0)
        files = []
        for number, (path, body) in enumerate(bodies.items()):
            file = tmp_path / f"staged-{number}"
            file.write_bytes(body)
            resource = Resource(f"https://h/{number}", path)
            digest = hashlib.sha256(body).hexdigest()
            files.append(StagedFile(resource, file, len(body), digest, Verification.NONE, head))
        item = Item(resources=tuple(file.resource for file in files), folder=folder, **given)
        return StagedItem(item, tuple(files))

    return staged


@pytest.fixture
def make() -> Make:
    """Return what makes an output as a run does: with the defaults of its options."""

    def made(cls: type[Output], **options: Any) -> Output:
        return cls({**default_options(cls.options_schema), **options}, PluginContext())

    return made
