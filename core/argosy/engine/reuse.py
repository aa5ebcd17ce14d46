"""Stages the resources of an item again from published files: without a request, and every byte is verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from argosy.interfaces.storage import Storage
from argosy.models.items import DownloadRecord, Item, Job, PublishedFile, StagedFile
from argosy.state.staging import Staging
from argosy.storage.local import linked

#: Missing files to name in a message.
NAMED = 5


def reuse_published(storage: Storage, job: Job, staging: Staging) -> dict[int, StagedFile]:
    """Stage the resources that are still published as they were downloaded; return them by number.

    They get further names in staging, so they cannot disappear while they are used.
    """
    known, found = job.known, {}
    if known is None:
        return {}
    for number, (size, digest, _, _) in enumerate(known.files):
        link = staging.kept(number)
        for file in job.kept:
            if (file.size, file.sha256) == (size, digest) and storage.take(file, link):
                found[number] = _staged(known, number, link)
                break
    return found


def reuse_restored(known: DownloadRecord, number: int, path: Path, link: Path) -> StagedFile | None:
    """Stage a resource that an output restored, if it is what was downloaded."""
    size, digest, _, _ = known.files[number]
    return _staged(known, number, link) if linked(path, link, size, digest) else None


def missing_numbers(known: DownloadRecord, there: dict[int, StagedFile]) -> list[int]:
    """Return the numbers of the resources that could not be staged."""
    return [number for number in range(len(known.files)) if number not in there]


def same_resources(item: Item, there: dict[int, StagedFile]) -> dict[int, StagedFile]:
    """Return the staged files that are resources of an item that was expanded again, by number.

    They have the same path and promise the same size and digests.
    """
    by_path = {file.resource.path: file for file in there.values()}
    return {
        number: file
        for number, resource in enumerate(item.resources)
        if (file := by_path.get(resource.path)) is not None
        and resource.size in (None, file.size)
        and dict(resource.digests) == dict(file.resource.digests)
    }


def missing_text(job: Job, numbers: Sequence[int]) -> str:
    """Return the message for an item whose resources cannot all be staged."""
    if job.known is None:
        return "The ledger has no record of its downloaded files; `argosy download` adds one."
    lost = {job.known.files[number][:2] for number in numbers}
    names = [file.name for file in job.kept if (file.size, file.sha256) in lost]
    shown = f" ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})" if names else ""
    return (
        f"{len(numbers)} of its {len(job.known.files)} files are no longer available as they were "
        f"downloaded{shown}; `argosy download` fetches them again."
    )


def seem_published(storage: Storage, known: DownloadRecord, kept: Sequence[PublishedFile]) -> bool:
    """Return whether all resources have published files of their sizes, which are not read yet."""
    there = {(file.size, file.sha256) for file in kept if storage.size(file.name) == file.size}
    return all((size, digest) in there for size, digest, _, _ in known.files)


def _staged(known: DownloadRecord, number: int, path: Path) -> StagedFile:
    size, digest, verification, response = known.files[number]
    return StagedFile(known.item.resources[number], path, size, digest, verification, response)
