"""The storage plugin for SFTP servers."""

from __future__ import annotations

import contextlib
import errno
from typing import Any

import argosy
from argosy.interfaces.storage import Storage
from argosy_plugins.storages._remote import RemoteStorage, extra_missing

#: Seconds of silence after which the server must answer; after three such times, the connection is closed. Without
#: this, a dead network is never noticed.
KEEPALIVE = 30


class SftpStorage(RemoteStorage):
    """A folder of an SSH server."""

    name = "sftp"
    summary = "a folder of an SSH server"

    def file_system(self) -> Any:
        """Return sshfs's class: fsspec's own accepts any host key."""
        try:
            import sshfs
        except ImportError:
            raise extra_missing(self.protocol, "sshfs", "sftp") from None
        return sshfs.SSHFileSystem

    def defaults(self, options: dict[str, Any]) -> dict[str, Any]:
        """Check the host key, which sshfs does not by default."""
        return {"known_hosts": (), "keepalive_interval": KEEPALIVE, **options}

    def rename_new(self, fs: Any, old: str, new: str) -> None:
        """Rename with SSH_FXP_RENAME, which does not replace a file, unlike the mv of sshfs."""
        import asyncssh
        from fsspec.asyn import sync

        async def exists(sftp: Any) -> bool:
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await sftp.lstat(new)  # finds a dangling link, too
                return True
            return False

        async def rename() -> bool:
            """Return whether the name was free."""
            async with fs.client.start_sftp_client() as sftp:
                try:
                    await sftp.rename(old, new)
                except asyncssh.SFTPError:
                    if await exists(sftp):
                        return False
                    raise
                return True

        if not sync(fs.loop, rename):
            raise FileExistsError(errno.EEXIST, "the name exists", new)


@argosy.hookimpl
def argosy_storage() -> type[Storage]:
    """Return the plugin's class."""
    return SftpStorage
