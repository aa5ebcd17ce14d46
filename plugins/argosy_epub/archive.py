"""The container: a ZIP file in the order and the form that EPUB asks for, the same bytes for the same content."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import TracebackType

#: Of all files: what a ZIP file can say at the earliest. When the book was changed stands in the package document.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_CHUNK = 1 << 20


class Archive:
    """Writes a container (EPUB Open Container Format 3.3, section 4.3).

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", allowZip64=True)
        # it comes first and as it is, so that the file can be told by its bytes (section 4.3.3)
        self._zip.writestr(self._info("mimetype", zipfile.ZIP_STORED), "application/epub+zip")

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file that is text, compressed."""
        data = content.encode() if isinstance(content, str) else content
        self._zip.writestr(self._info(name, zipfile.ZIP_DEFLATED), data, compresslevel=6)

    def copy(self, name: str, file: Path) -> None:
        """Write a file as it is, piece by piece: pictures, fonts and films are compressed in themselves."""
        info = self._info(name, zipfile.ZIP_STORED)
        info.file_size = file.stat().st_size  # says whether it needs ZIP64
        with file.open("rb") as source, self._zip.open(info, "w") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    @staticmethod
    def _info(name: str, method: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, _TIME)
        info.compress_type = method
        info.create_system = 3  # Unix, wherever it is made
        info.external_attr = _MODE
        return info
