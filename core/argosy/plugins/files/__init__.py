"""Plugins in a single file: each is a module whose name encodes the file's path.

The module of ``/home/ada/rename.py`` is ``argosy.plugins.files./home/ada/rename%2Epy``. Any process on the host can
import it by that name, so its classes can be pickled and worker processes need no preparation. argosy imports only the
files that ``--plugin`` or a program names; it searches no folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PREFIX = f"{__name__}."


def module_name(file: Path) -> str:
    """Return the module name of a plugin file with an absolute path."""
    # a dot would separate packages
    return _PREFIX + quote_from_bytes(os.fsencode(file), safe="/").replace(".", "%2E")


def file_of(module: str) -> Path | None:
    """Return the plugin file of a module name; None for other modules."""
    path = module.removeprefix(_PREFIX)
    return None if path == module else Path(os.fsdecode(unquote_to_bytes(path)))


class _Loader(SourceFileLoader):
    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Write no bytecode: a ``__pycache__`` beside the file would surprise its author."""


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a plugin file's module; None for other modules."""
        if (file := file_of(fullname)) is None:
            return None
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, str(file)))


# at import, because unpickling a class of a plugin file imports this package first
sys.meta_path.append(_Finder())
