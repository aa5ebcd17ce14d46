"""A real object storage of a test's own, that speaks S3: OpenStack Swift, from its Debian packages.

Its servers are an ordinary process on the loopback, with configuration, rings and disk in a folder of their own; what
the packages put into the system's folders is left alone.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from ports import free_port

#: The Python that Debian's packages are for.
SYSTEM_PYTHON = "/usr/bin/python3"

_PROGRAM = Path(__file__).parent / "servers" / "swift_storage.py"

#: Who may use it.
KEY, SECRET = "harbour:pilot", "s3-secret-that-nobody-may-see"

_COMMON = """
[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
fallocate_reserve = 0
log_address = {folder}/no-syslog
log_udp_host =
eventlet_debug = false
"""

_BACK = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY = """
[pipeline:main]
pipeline = cache s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 30
recheck_container_existence = 0
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
error_suppression_limit = 1
[filter:tempauth]
use = egg:swift#tempauth
user_harbour_pilot = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
min_segment_size = 1
[filter:slo]
use = egg:swift#slo
"""


class ObjectStorage:
    """The servers, with one disk."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argosy-swift-"))
        self._host = host  # where clients reach it
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = {kind: free_port() for kind in ("proxy", "account", "container", "object")}
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._ports['proxy']}"

    @property
    def options(self) -> dict[str, Any]:
        """The options of a file system on it, as a configuration has them."""
        return {"endpoint_url": self.url, "key": KEY, "secret": {"env": "STORAGE_SECRET"}}

    def client(self) -> Any:
        """Return a client for the test itself, made of another library than what is tested."""
        return botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={},
            ),
        )

    def bucket(self) -> Bucket:
        """Return a new bucket."""
        client, name = self.client(), f"books-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=name)
        return Bucket(client, name)

    def receives(self) -> bool:
        """Return whether something is being uploaded at this moment: Swift writes to a file without a name."""
        assert self._process is not None
        for fd in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                where = str(fd.readlink())
                if where.startswith(str(self.folder / "disks")) and where.endswith("(deleted)"):
                    return fd.stat().st_size > 0
        return False

    def start(self) -> None:
        """Start it where it does not run, and wait until it answers."""
        if self._process is not None:
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [SYSTEM_PYTHON, str(_PROGRAM), str(self.folder)],
                stdin=subprocess.PIPE,  # it ends with whoever holds the other end
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", self.log()

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        (self.folder / "disks" / "disk").mkdir(parents=True)
        for kind, port in self._ports.items():
            text = _COMMON + (_PROXY if kind == "proxy" else _BACK)
            host = self._host if kind == "proxy" else "127.0.0.1"
            filled = text.format(
                host=host, port=port, user=getpass.getuser(), folder=self.folder, kind=kind, secret=SECRET
            )
            (self.folder / f"{kind}.conf").write_text(filled)


class Bucket:
    """A bucket, as the test sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name

    def names(self, prefix: str = "") -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        """Return everything below a prefix, by what stands behind it."""
        return {name.removeprefix(prefix): self.read(name) for name in self.names(prefix)}

    def read(self, name: str) -> bytes:
        content: bytes = self._client.get_object(Bucket=self.name, Key=name)["Body"].read()
        return content

    def find(self, name: str) -> bytes | None:
        """Return an object, also one that the list does not have: Swift writes there after the object, or dies before."""
        try:
            return self.read(name)
        except self._client.exceptions.NoSuchKey:
            return None

    def write(self, name: str, content: bytes, mark: str = "") -> None:
        self._client.put_object(Bucket=self.name, Key=name, Body=content, Metadata={"mark": mark} if mark else {})

    def mark(self, name: str) -> str | None:
        """Return what `write` marked an object with, and nobody has written since."""
        metadata: dict[str, str] = self._client.head_object(Bucket=self.name, Key=name)["Metadata"]
        return metadata.get("mark")

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=name)


@contextlib.contextmanager
def object_storage(host: str = "127.0.0.1") -> Iterator[ObjectStorage]:
    """Give an object storage for as long as the block lasts."""
    storage = ObjectStorage(host)
    try:
        yield storage
    finally:
        storage.close()
