"""The storage plugin for all other protocols, through fsspec."""

from __future__ import annotations

from typing import Any

import argosy
from argosy.errors import ConfigError
from argosy.interfaces.storage import Storage
from argosy_plugins.storages._remote import RemoteStorage, not_installed


class FsspecStorage(RemoteStorage):
    """A folder of any file system that fsspec supports."""

    name = "fsspec"
    summary = "any other file system that fsspec supports"

    def file_system(self) -> Any:
        """Return the class of the protocol."""
        try:
            import fsspec
        except ImportError:
            raise ConfigError(
                f"The directory is a {self.protocol} URL, but the library fsspec is not installed.",
                hint="Install fsspec and the library for this protocol: pip install fsspec.",
            ) from None
        try:
            return fsspec.get_filesystem_class(self.protocol)
        except ValueError:
            raise ConfigError(
                f"fsspec does not know the protocol {self.protocol!r} of the directory.",
                hint="The URL looks like s3://bucket/folder or sftp://host/folder.",
            ) from None
        except ImportError as error:
            raise not_installed(self.protocol, error) from None


@argosy.hookimpl
def argosy_storage() -> type[Storage]:
    """Return the plugin's class."""
    return FsspecStorage
