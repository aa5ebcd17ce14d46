"""Manifests of generated files on a library server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argosy_devkit.bodies import sha256_of


@dataclass(frozen=True, slots=True)
class Expected:
    """A file that a download of the manifest must create.

    Parameters
    ----------
    name
        Its final name below the target directory: ``<item id>/<path>``.
    size
        Its size in bytes.
    sha256
        Its digest in lower-case hex.
    path
        Its path on the server, as in `ServerStats`.
    """

    name: str
    size: int
    sha256: str
    path: str


def write_manifest(
    file: Path,
    url_for: Callable[[str], str],
    *,
    items: int,
    resources_per_item: int = 1,
    size: int | Callable[[int], int] = 10_000,
    digests: bool = True,
    prefix: str = "item",
) -> list[Expected]:
    """Write a JSONL manifest; see `LibraryServer.manifest`."""
    expected: list[Expected] = []
    with file.open("w", encoding="utf-8") as out:
        for item in range(1, items + 1):
            name = f"{prefix}-{item:05d}"
            resources: list[dict[str, str | int]] = []
            for part in range(1, resources_per_item + 1):
                path, number = f"part-{part:02d}.bin", len(expected)
                length = size(number) if callable(size) else size
                key = f"{name}/{path}"
                digest = sha256_of(key, length)
                expected.append(Expected(key, length, digest, f"/files/{key}"))
                resource: dict[str, str | int] = {"url": url_for(f"/files/{key}?size={length}"), "path": path}
                resources.append(resource | ({"size": length, "sha256": digest} if digests else {}))
            line = {"id": name, "title": f"Item {item}", "tags": ["odd" if item % 2 else "even"]}
            out.write(json.dumps(line | {"resources": resources}) + "\n")
    return expected
