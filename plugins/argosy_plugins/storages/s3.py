"""The storage plugin for S3 and compatible services."""

from __future__ import annotations

import base64
import hashlib
import math
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import argosy
from argosy.interfaces.storage import Storage
from argosy_plugins.storages._remote import RemoteStorage, extra_missing

#: Bytes of one part of an upload, and how many parts of one file are uploaded concurrently: they are held in memory.
PART = 16 * 1024 * 1024
PARTS_AT_ONCE = 2
MOST_PARTS = 10_000  # a limit of S3


class S3Storage(RemoteStorage):
    """A folder of a bucket."""

    name = "s3"
    summary = "Amazon S3 and compatible object stores"

    def file_system(self) -> Any:
        """Return s3fs's class."""
        try:
            import s3fs
        except ImportError:
            raise extra_missing(self.protocol, "s3fs", "s3") from None
        return s3fs.S3FileSystem

    def defaults(self, options: dict[str, Any]) -> dict[str, Any]:
        """Leave retries to argosy, and use no checksums that only Amazon knows."""
        config: dict[str, Any] = {"retries": {"max_attempts": 0}}
        client = options.get("client_kwargs")
        if options.get("endpoint_url") or (isinstance(client, Mapping) and client.get("endpoint_url")):
            # many other services reject these; Content-MD5 has the same effect
            config["request_checksum_calculation"] = "when_required"
            config["response_checksum_validation"] = "when_required"
        return {**options, "config_kwargs": {**config, **options.get("config_kwargs", {})}}

    def upload_options(self, file: Path, name: str) -> dict[str, Any]:
        """Return the part size, the digest of a small file, and the content type."""
        size = file.stat().st_size
        part = max(PART, math.ceil(size / MOST_PARTS))
        options: dict[str, Any] = {"chunksize": part, "max_concurrency": PARTS_AT_ONCE}
        if size < 2 * part:  # one request: the service compares the digest
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).digest()
            options["ContentMD5"] = base64.b64encode(digest).decode()
        kind, encoding = mimetypes.guess_type(name)
        options["ContentType"] = (kind if encoding is None else None) or "application/octet-stream"
        return options


@argosy.hookimpl
def argosy_storage() -> type[Storage]:
    """Return the plugin's class."""
    return S3Storage
