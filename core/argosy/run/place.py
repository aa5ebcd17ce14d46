"""Putting finished files under their final names, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from argosy.errors import PluginError, TransferError
from argosy.model import Job, KeptFile, Product, StagedItem, Verification
from argosy.names import problem_of
from argosy.run.staging import sync_file


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except FileExistsError:  # of an earlier try
        name.unlink()
        os.link(file, name)


class Placer:
    """Puts the products of one item into the target directory.

    Parameters
    ----------
    directory
        The target directory.
    job
        The job, which says what may be replaced.
    staged
        The item's checked resources: a product that is one of them needs no second digest.
    """

    def __init__(self, directory: Path, job: Job, staged: StagedItem) -> None:
        self._directory = directory
        self._job = job
        self._staged = {file.path: file for file in staged.files}

    def place(self, products: Iterable[Product], output: str) -> list[KeptFile]:
        """Put the products of one output into place.

        Raises
        ------
        PluginError
            If the output asks for a name that is not safe, or names no whole file.
        TransferError
            If something that is not argosy's stands under the name.
        """
        # all are looked at before the first is put into place
        checked = [self._check(product, output) for product in products]
        kept = [self._place(product, file) for product, file in checked]
        try:
            for folder in {(self._directory / file.name).parent for file in kept}:
                sync_file(folder)
        except OSError:
            # the system may say from now on that the names are on the disk: so the next run must write them again
            for file in kept:
                (self._directory / file.name).unlink(missing_ok=True)
            raise
        return kept

    def _check(self, product: Product, output: str) -> tuple[Product, KeptFile]:
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
        try:
            mode = product.file.lstat().st_mode
        except OSError:
            mode = 0
        if not stat.S_ISREG(mode):
            raise PluginError(f"The output {output!r} names {product.file.name!r}, which is no regular file.")
        staged = self._staged.get(product.file)
        if staged is not None:
            return product, KeptFile(product.name, staged.size, staged.sha256, staged.verification)
        sync_file(product.file)
        size, digest = product.file.stat().st_size, digest_of(product.file)
        return product, KeptFile(product.name, size, digest, Verification.DIGEST)

    def _place(self, product: Product, file: KeptFile) -> KeptFile:
        target = self._directory / product.name
        self._make_folder(target)
        if self._stands_already(target, file):
            return file
        temporary = product.file.with_name(f"{product.file.name}.placing")
        try:
            _link(product.file, temporary)  # the staged file stays until the item is done
        except OSError:
            shutil.copyfile(product.file, temporary)  # a file system without hard links
            sync_file(temporary)
        temporary.replace(target)
        return file

    def _make_folder(self, target: Path) -> None:
        folder = self._directory
        for part in target.relative_to(self._directory).parts[:-1]:
            folder = folder / part
            try:
                folder.mkdir()
            except FileExistsError:
                if folder.is_symlink() or not folder.is_dir():
                    raise TransferError(
                        f"{folder} is in the way: it is not a folder of its own, so nothing is written through it.",
                        kind="exists",
                        hint="Move it away, then start again.",
                    ) from None

    def _stands_already(self, target: Path, file: KeptFile) -> bool:
        """Return whether the very file stands there; refuse to replace one that is not ours."""
        try:
            found = target.lstat()
        except FileNotFoundError:
            return False
        regular = stat.S_ISREG(found.st_mode)
        if regular and found.st_size == file.size and digest_of(target) == file.sha256:
            return True
        if regular and (self._job.force or file.name in self._job.replaces):
            return False
        raise TransferError(
            f"{target} exists already and is not from this item, so it is left as it is.",
            kind="exists",
            hint="Move it away, or replace it with --force."
            if regular
            else "Move it away, then start again.",
        )
