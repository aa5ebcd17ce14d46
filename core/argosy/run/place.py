"""Putting finished files under their final names, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from argosy.errors import PluginError, TransferError
from argosy.model import Job, KeptFile, Product, StagedItem, Verification
from argosy.names import collision_key, problem_of
from argosy.run.staging import sync_file


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Standing(Enum):
    """What stands under the name of a product."""

    NOTHING = "nothing"
    OLD = "a file that it may take the place of"
    IT = "the very file"


@dataclass(frozen=True, slots=True)
class Checked:
    """A product that was found right.

    Parameters
    ----------
    product
        The product.
    file
        What will stand under its name.
    standing
        What stands there now.
    """

    product: Product
    file: KeptFile
    standing: Standing


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
        self._asked: dict[str, tuple[KeptFile, str]] = {}

    def place(self, products: Iterable[Product], output: str, label: str = "") -> list[KeptFile]:
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

    def put(self, checked: Sequence[Checked]) -> list[KeptFile]:
        """Put what was checked into place.

        Raises
        ------
        TransferError
            If something that is not argosy's has come under the name, or is in the way.
        """
        for one in checked:
            if one.standing is not Standing.IT:
                self._put(one)
        kept = [one.file for one in checked]
        try:
            for folder in {(self._directory / file.name).parent for file in kept}:
                sync_file(folder)
        except OSError:
            # the system may say from now on that the names are on the disk: so the next run must write them again
            for file in kept:
                (self._directory / file.name).unlink(missing_ok=True)
            raise
        return kept

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
        for folder in self._folders(product.name):
            if not _is_own_folder(folder):
                return Checked(product, file, Standing.NOTHING)
        return Checked(product, file, self._standing(self._directory / product.name, file))

    def _described(self, product: Product, label: str) -> KeptFile:
        staged = self._staged.get(product.file)
        if staged is not None:
            return KeptFile(product.name, staged.size, staged.sha256, staged.verification, label)
        sync_file(product.file)
        size, digest = product.file.stat().st_size, digest_of(product.file)
        return KeptFile(product.name, size, digest, Verification.DIGEST, label)

    def _claim(self, file: KeptFile, output: str) -> None:
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

    def _put(self, checked: Checked) -> None:
        product, file = checked.product, checked.file
        target = self._directory / product.name
        for folder in self._folders(product.name):
            try:
                folder.mkdir()
            except FileExistsError:
                _is_own_folder(folder)
        if product.modified is not None:
            with contextlib.suppress(OSError, OverflowError):  # a time that the file system cannot hold
                os.utime(product.file, (product.modified, product.modified))
        if checked.standing is Standing.NOTHING:
            # a name of somebody else's may come at any moment, and is not to be replaced: so no rename over it
            try:
                _link(product.file, target)
            except FileExistsError:
                pass
            else:
                return
        if self._standing(target, file) is not Standing.IT:
            self._replace(product.file, target)

    def _replace(self, file: Path, target: Path) -> None:
        temporary = file.with_name(f"{file.name}.placing")
        temporary.unlink(missing_ok=True)  # of an earlier try
        _link(file, temporary)
        temporary.replace(target)

    def _folders(self, name: str) -> Iterator[Path]:
        """Yield the folders of a name, from the top."""
        folder = self._directory
        for part in name.split("/")[:-1]:
            folder = folder / part
            yield folder

    def _standing(self, target: Path, file: KeptFile) -> Standing:
        """Return what stands under a name; refuse to replace what is not ours."""
        try:
            found = target.lstat()
        except FileNotFoundError:
            return Standing.NOTHING
        regular = stat.S_ISREG(found.st_mode)
        if regular and found.st_size == file.size and digest_of(target) == file.sha256:
            return Standing.IT
        if regular and (self._job.force or file.name in self._job.replaces):
            return Standing.OLD
        raise TransferError(
            f"{target} exists already and is not from this item, so it is left as it is.",
            kind="exists",
            hint="Move it away, or replace it with --force."
            if regular
            else "Move it away, then start again.",
        )


def _is_own_folder(folder: Path) -> bool:
    """Return whether there is a folder; raise where there is something else."""
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise TransferError(
            f"{folder} is in the way: it is not a folder of its own, so nothing is written through it.",
            kind="exists",
            hint="Move it away, then start again.",
        )
    return True


def _link(file: Path, name: Path) -> None:
    """Give a file another name; the staged file stays until the item is done.

    Raises
    ------
    FileExistsError
        If there is a file of that name.
    """
    try:
        os.link(file, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        temporary = file.with_name(f"{file.name}.copy")
        shutil.copy2(file, temporary)
        sync_file(temporary)
        if os.path.lexists(name):
            raise FileExistsError(name) from None
        temporary.replace(name)
