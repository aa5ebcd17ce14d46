"""Putting finished files under their final names, whole or not at all."""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import PluginError, TransferError
from argosy.interfaces.storage import Existing, Storage, digest_of
from argosy.models.items import Job, Product, PublishedFile, StagedItem, Verification
from argosy.toolkit.files import sync_file
from argosy.toolkit.names import collision_key, problem_of


@dataclass(frozen=True, slots=True)
class Checked:
    """A product that was found right.

    Parameters
    ----------
    product
        The product.
    file
        What will stand under its name.
    existing
        What stands there now.
    """

    product: Product
    file: PublishedFile
    existing: Existing


class Publisher:
    """Puts the products of one item into the target directory.

    Parameters
    ----------
    storage
        Its final names.
    job
        The job, which says what may be replaced.
    staged
        The item's checked resources: a product that is one of them needs no second digest.
    left
        Yields what a killed run of the same item may have published under a name, given the size of what is there.
    """

    def __init__(
        self,
        storage: Storage,
        job: Job,
        staged: StagedItem,
        left: Callable[[str, int | None], Iterable[PublishedFile]] = lambda name, size: (),
    ) -> None:
        self._storage = storage
        self._job = job
        self._left = left
        self._own = set(job.replaces)
        self._staged = {file.path: file for file in staged.files}
        self._asked: dict[str, tuple[PublishedFile, str]] = {}

    def place(self, products: Iterable[Product], output: str, label: str = "") -> list[PublishedFile]:
        """Check the products of one output, and put them into place."""
        return self.put(self.check(products, output, label))

    def check(self, products: Iterable[Product], output: str, label: str = "") -> list[Checked]:
        """Look at the products of one output; nothing is put into place yet.

        Parameters
        ----------
        products
            What the output returned.
        output, label
            Its name, and what the ledger calls it.

        Raises
        ------
        PluginError
            If the output asks for a name that is not safe, or names no whole file.
        TransferError
            If something that is not argosy's stands under the name, or another output of the item asks for it.
        """
        return [self._check(product, output, label) for product in products]

    def put(self, checked: Sequence[Checked]) -> list[PublishedFile]:
        """Put what was checked into place.

        Raises
        ------
        TransferError
            If something that is not argosy's has come under the name, or is in the way.
        StorageError
            If a remote storage fails.
        """
        for one in checked:
            if one.existing is not Existing.IT:
                replace = self._may_replace(one.file.name)
                self._storage.put(one.product, one.file, one.existing, replace=replace)
        kept = [one.file for one in checked]
        self._storage.settle([file.name for file in kept])
        return kept

    def _may_replace(self, name: str) -> bool:
        return self._job.force or name in self._own

    def _existing(self, file: PublishedFile) -> Existing:
        try:
            return self._storage.existing(file, replace=self._may_replace(file.name))
        except TransferError:
            if any(kept.name == file.name for kept in self._job.kept):
                raise  # the ledger knows it: another output made it
            left = self._left(file.name, self._storage.size(file.name))
            if not any(self._storage.problem(one) is None for one in left):
                raise
            self._own.add(file.name)  # a run was killed before the ledger knew of it
            return Existing.OLD

    def _check(self, product: Product, output: str, label: str) -> Checked:
        if not isinstance(product, Product):
            raise PluginError(
                f"The output {output!r} returned {type(product).__name__} instead of a Product."
            )
        asked: tuple[object, object] = (product.name, product.file)  # a plugin may give anything
        if not isinstance(asked[0], str) or not isinstance(asked[1], Path):
            raise PluginError(f"The output {output!r} returned a Product without a name or a path.")
        wrong = problem_of(product.name)
        if wrong:
            raise PluginError(f"The output {output!r} asks for the name {product.name!r}, which {wrong}.")
        time: object = product.modified
        if time is not None and not (isinstance(time, int | float) and math.isfinite(time)):
            raise PluginError(f"The output {output!r} gives {product.name!r} a time that is no number.")
        try:
            mode = product.file.lstat().st_mode
        except OSError:
            mode = 0
        if not stat.S_ISREG(mode):
            raise PluginError(f"The output {output!r} names {product.file.name!r}, which is no regular file.")
        file = self._described(product, label)
        self._claim(file, output)
        return Checked(product, file, self._existing(file))

    def _described(self, product: Product, label: str) -> PublishedFile:
        staged = self._staged.get(product.file)
        if staged is not None:
            return PublishedFile(product.name, staged.size, staged.sha256, staged.verification, label)
        sync_file(product.file)
        size, digest = product.file.stat().st_size, digest_of(product.file)
        return PublishedFile(product.name, size, digest, Verification.DIGEST, label)

    def _claim(self, file: PublishedFile, output: str) -> None:
        """Raise where another product of the item has the name, or one that some file system takes for the same."""
        other, who = self._asked.setdefault(collision_key(file.name), (file, output))
        if (other.name, other.sha256) == (file.name, file.sha256):
            return
        by = f"by the outputs {who!r} and {output!r}" if who != output else f"twice by the output {output!r}"
        named = f"{file.name!r}" if other.name == file.name else f"{other.name!r} and {file.name!r}"
        raise TransferError(
            f"The name {named} is asked for {by}, for different files.",
            kind="exists",
            hint="Give one of them another layout or name in the configuration.",
        )
