"""Staging an item again from what stands on the disk: no request is sent, and every byte is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from argosy.interfaces.storage import Storage
from argosy.models.items import DownloadRecord, Item, Job, PublishedFile, Resource, StagedFile
from argosy.state.staging import Staging
from argosy.storage.local import linked

#: Files that a message names, of all that are missing.
NAMED = 5


def reused(storage: Storage, job: Job, staging: Staging) -> dict[int, StagedFile]:
    """Return those resources of a job that still stand under final names just as they were fetched.

    They get further names in staging, so that nobody can take them away while they are used.

    Parameters
    ----------
    storage
        The final names.
    job
        The job, with what is remembered of its item.
    staging
        Its item's staging.

    Returns
    -------
    dict
        The staged files by the number of the resource.
    """
    known = job.known
    if known is None:
        return {}
    found = {}
    for number, resource in enumerate(known.item.resources):
        size, digest, _, _ = known.files[number]
        link = staging.kept(number)
        for file in job.kept:
            if (file.size, file.sha256) != (size, digest):
                continue
            if storage.take(file, link):
                found[number] = _staged(known, number, resource, link)
                break
    return found


def taken(known: DownloadRecord, number: int, path: Path, link: Path) -> StagedFile | None:
    """Return a resource that an output gave back, if it is what was fetched.

    Parameters
    ----------
    known
        What is remembered of the item.
    number
        Which resource it is.
    path, link
        The file, and its name in staging.
    """
    size, digest, _, _ = known.files[number]
    if not linked(path, link, size, digest):
        return None
    return _staged(known, number, known.item.resources[number], link)


def lacking(known: DownloadRecord, there: dict[int, StagedFile]) -> list[int]:
    """Return the numbers of the resources that are not there."""
    return [number for number in range(len(known.files)) if number not in there]


def fitting(item: Item, there: dict[int, StagedFile]) -> dict[int, StagedFile]:
    """Return what is there for the resources of an item that was looked up anew: those of the same path.

    Where a resource promises another size or digest, it is another one.
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
    """Return what is said of an item whose resources are not all there."""
    known = job.known
    if known is None:
        return "The ledger does not know its downloaded files. `argosy download` with the item's configuration adds them."
    names = list(_names(job, known, numbers))
    if not names:
        return (
            "No output kept its files as they came, or can give them back, so nothing else can be made of them "
            "here: `argosy download` with this output fetches them again."
        )
    shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return (
        f"{len(numbers)} of its {len(known.files)} files are not there any more as they were downloaded: {shown}. "
        "`argosy download` fetches them again."
    )


def _names(job: Job, known: DownloadRecord, numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers:
        size, digest, _, _ = known.files[number]
        name = next((f.name for f in job.kept if (f.size, f.sha256) == (size, digest)), None)
        if name is not None:
            yield name


def stand_there(storage: Storage, known: DownloadRecord, kept: Sequence[PublishedFile]) -> bool:
    """Return whether all resources seem to be there: files of their sizes, which nobody has read yet."""
    there = {(file.size, file.sha256) for file in kept if storage.size(file.name) == file.size}
    return all((size, digest) in there for size, digest, _, _ in known.files)


def _staged(known: DownloadRecord, number: int, resource: Resource, path: Path) -> StagedFile:
    size, digest, verification, response = known.files[number]
    return StagedFile(resource, path, size, digest, verification, response)
