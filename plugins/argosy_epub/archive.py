"""The container: a ZIP file as EPUB requires it, with the same bytes for the same content."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import TracebackType

#: Of all files: the earliest time a ZIP file can have. The package document has the time of the last change.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_CHUNK = 1 << 20


class Archive:
    """Writes a container (EPUB Open Container Format 3.3, section 4.3)."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", allowZip64=True)
        # first and uncompressed, so programs can recognize the file by its bytes (section 4.3.3)
        self._zip.writestr(self._info("mimetype", zipfile.ZIP_STORED), "application/epub+zip")

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a text file, compressed."""
        data = content.encode() if isinstance(content, str) else content
        self._zip.writestr(self._info(name, zipfile.ZIP_DEFLATED), data, compresslevel=6)

    def copy(self, name: str, file: Path) -> None:
        """Write a file in chunks, uncompressed: images, fonts and videos are compressed already."""
        info = self._info(name, zipfile.ZIP_STORED)
        info.file_size = file.stat().st_size  # decides whether ZIP64 is needed
        with file.open("rb") as source, self._zip.open(info, "w") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    @staticmethod
    def _info(name: str, method: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, _TIME)
        info.compress_type = method
        info.create_system = 3  # Unix, on every system
        info.external_attr = _MODE
        return info
