"""A long run takes as much memory as a short one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy_devkit import LibraryServer
from memory import peak_of
from voyage import set_out

#: Items of a short run and of a long one. Fewer than a thousand do not fill the caches.
SHORT, LONG = 1_000, 8_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("transport", ["requests", "curl"])
def test_memory_does_not_grow_with_the_items(
    tmp_path: Path, library_server: Callable[..., LibraryServer], transport: str
) -> None:
    server = library_server(lease_mode="open")
    peaks = []
    for items in (SHORT, LONG):
        root = tmp_path / f"{items}"
        root.mkdir()
        voyage = set_out(root, server, items=items, size=100, max_workers=8, transport=transport, auth="none")
        del voyage.config["cookie_store"]
        peaks.append(peak_of("download", str(voyage.file), "--quiet"))
        assert len(voyage.done()) == items
    assert peaks[1] < peaks[0] * 1.1
