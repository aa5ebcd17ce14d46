"""Gives finished files their final names, complete or not at all. Nothing else in the engine does."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from argosy.errors import PluginError, TransferError
from argosy.interfaces.storage import Existing, Storage
from argosy.models.items import Job, Product, PublishedFile, StagedItem, Verification
from argosy.toolkit.files import digest_of, sync_file
from argosy.toolkit.names import collision_key, problem_of


class Checked(NamedTuple):
    """A product that may be published, the file that it becomes, and what has its name now."""

    product: Product
    file: PublishedFile
    existing: Existing


class Publisher:
    """Publishes the products of one item; ``left(name, size)`` yields what a killed run may have published."""

    def __init__(
        self,
        storage: Storage,
        job: Job,
        staged: StagedItem,
        left: Callable[[str, int | None], Iterable[PublishedFile]] = lambda name, size: (),
        *,
        syncs_files: bool = True,
    ) -> None:
        self._storage = storage
        self._job = job
        self._left = left
        self._syncs_files = syncs_files
        self._own = set(job.replaces)
        self._staged = {file.path: file for file in staged.files}
        self._claims: dict[str, tuple[PublishedFile, str]] = {}

    def check(self, products: Iterable[Product], output: str, label: str = "") -> list[Checked]:
        """Check the products of one output; raise PluginError if one is wrong, TransferError if its name is taken."""
        checked = []
        for product in products:
            problem = _problem(product, self._staged)
            if problem is not None:
                raise PluginError(f"The output {output!r} returned {problem}.", plugin=output)
            file = self._published(product, label)
            self._claim(file, output)
            checked.append(Checked(product, file, self._existing(file)))
        return checked

    def publish(self, checked: Sequence[Checked]) -> list[PublishedFile]:
        """Publish checked products, to be settled later in groups; a TransferError if something else took a name."""
        for one in checked:
            if one.existing is not Existing.IT:
                replace = self._job.force or one.file.name in self._own
                self._storage.put(one.product, one.file, one.existing, replace=replace)
        return [one.file for one in checked]

    def _published(self, product: Product, label: str) -> PublishedFile:
        staged = self._staged.get(product.file)
        if staged is not None:
            return PublishedFile(product.name, staged.size, staged.sha256, staged.verification, label)
        if self._syncs_files:
            sync_file(product.file)
        size, digest = product.file.stat().st_size, digest_of(product.file)
        return PublishedFile(product.name, size, digest, Verification.DIGEST, label)

    def _claim(self, file: PublishedFile, output: str) -> None:
        """Raise if another product has the name, or one that some file system cannot tell from it."""
        other, claimed_by = self._claims.setdefault(collision_key(file.name), (file, output))
        if (other.name, other.sha256) != (file.name, file.sha256):
            message = f"Different files of the outputs {claimed_by!r} and {output!r} have the name {file.name!r}."
            hint = "Give one of them another layout or name in the configuration."
            raise TransferError(message, kind="exists", hint=hint)

    def _existing(self, file: PublishedFile) -> Existing:
        try:
            return self._storage.existing(file, replace=self._job.force or file.name in self._own)
        except TransferError:
            if any(kept.name == file.name for kept in self._job.kept):
                raise  # the ledger knows it: another output made it
            left = self._left(file.name, self._storage.size(file.name))
            if not any(self._storage.problem(one) is None for one in left):
                raise
            self._own.add(file.name)  # a run was killed before it recorded this file
            return Existing.OLD


def _problem(made: Any, staged: Container[Path]) -> str | None:
    """Return the problem of a product; a plugin may return anything."""
    name, file, modified = (getattr(made, field, None) for field in ("name", "file", "modified"))
    if not (isinstance(made, Product) and isinstance(name, str) and isinstance(file, Path)):
        return f"{made!r:.100} instead of a Product with a name and a path"
    if unsafe := problem_of(name):
        return f"the name {name!r}, which {unsafe}"
    if modified is not None and not (isinstance(modified, int | float) and math.isfinite(modified)):
        return f"{name!r} with a time that is not a number"
    if file not in staged and (file.is_symlink() or not file.is_file()):
        return f"{file.name!r}, which is not a regular file"
    return None
