"""The torture table, rows 91 to 93: services and manifests whose texts steer a terminal or repeat a secret.

One run against a service that puts escape sequences into its reason phrases and repeats the session's token in
its header fields; then everything that left is looked through: both streams of each command, and every file but
the private ones (the cookie store, the ledger, the manifest).
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import warm

#: OSC 52 writes the clipboard; CSI as one C1 character; NEL; a right-to-left override; a line separator.
EVIL = "\x1b]52;c;cm0gLXJm\x07\x9b31m\x85\u202egpj\u2066\u2028."
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

SECRET = "hush-4711-hush"
TOKEN = re.compile(rb"token-[0-9]+-of-this-session")


def echo(server: Any, connection: socket.socket) -> None:
    """Replace the token with each response, and repeat old and new wherever a response has room for it."""
    number = 0
    while head := server.request(connection):
        sent = (TOKEN.search(head) or [b"none"])[0].decode()
        number += 1
        token = f"token-{server.connections}{number}-of-this-session"
        fields = {
            "Set-Cookie": f"sid={token}; Path=/",
            "ETag": f'"{token}"',
            "Server": f"echo ({sent})",
            "Content-Type": f"text/plain; was={sent}",
            "X-Request": f"{token} for {sent}",
            "Content-Disposition": f'attachment; filename="copy of {token}.txt"',
        }
        status, body = f"200 fine, {token}", b"hello"
        if b"/bad" in head:
            status, body = f"404 No{EVIL[:13]}\x07\x9b31m\x85 {sent}", b""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        connection.sendall(text.encode("latin-1") + body)


class Shown:
    """A run's folder, and what its commands showed."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        link = f"{url}/page?access_token={SECRET}"
        lines = [
            {"url": f"{url}/ok?access_token={SECRET}", "metadata": {"link": link, "said": EVIL}},
            {"id": "bad", "title": f"bad{EVIL}", "resources": [{"url": f"{url}/bad", "path": "bad.txt"}]},
            {"id": "good", "title": f"good{EVIL}", "resources": [{"url": f"{url}/good", "path": "good.txt"}]},
        ]
        (root / "items.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
        (root / "jar.txt").write_text(
            "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\ttoken-0-of-this-session\n"
        )
        (root / "jar.txt").chmod(0o600)
        config = {
            "source": {"use": "manifest", "path": "items.jsonl", "content_disposition": True},
            "auth": {"use": "cookies", "path": "jar.txt"},
            "cookie_store": {"use": "json-file", "path": "cookies.json"},
            "directory": "library",
            "output": [
                {"use": "files", "sidecar": True},
                {"use": "zip", "sidecar": True},
                {"use": "cbz", "layout": "{metadata.link|id}"},
                "warc",
                "index",
                {"use": "index", "format": "csv"},
            ],
            "max_retries": 0,
        }
        (root / "argosy.json").write_text(json.dumps(config), "utf-8")
        self.commands: dict[str, str] = {}
        self._run("download", "--dry-run")
        self._run("download", "--report", str(root / "report.json"), "--events", str(root / "events.jsonl"))
        self._run("status")
        self._run("verify")
        self._run("output", "--dry-run", "--output", "epub")

    def _run(self, command: str, *arguments: str) -> None:
        done = warm.run(command, str(self.root / "argosy.json"), *arguments)
        self.commands[" ".join([command, *arguments[:1]])] = done.stdout + done.stderr

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the names and the bytes of what may be given away; archives unpacked."""
        private = {"cookies.json", "items.jsonl", "jar.txt"}
        for path in sorted(self.root.rglob("*")):
            if not path.is_file() or path.name in private or ".argosy" in path.parts:
                continue
            name = str(path.relative_to(self.root))
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            elif path.suffix in (".zip", ".cbz"):
                with zipfile.ZipFile(path) as archive:
                    data = "\n".join(archive.namelist()).encode() + b"".join(
                        archive.read(member) for member in archive.namelist()
                    )
            yield name, data


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, raw_server: Callable[..., Any]) -> Shown:
    return Shown(tmp_path_factory.mktemp("leaves"), raw_server(echo).url)


@pytest.mark.torture(91)
def test_no_text_of_others_steers_the_terminal(shown: Shown) -> None:
    for command, text in shown.commands.items():
        assert STEERS.findall(text) == [], command
        assert command == "verify" or "bad" in text or "good" in text, (command, text)
    assert "\\u001b]52;" in shown.commands["download --report"]
    assert ": The server answered 404 No\\u001b]52;" in shown.commands["status"]
    for name, data in shown.files():
        if name.endswith((".json", ".jsonl", ".csv")):
            assert STEERS.findall(data.decode().replace("\r\n", "\n")) == [], name
    # and JSON keeps the values that were escaped in it
    report = json.loads((shown.root / "report.json").read_bytes())
    assert {item["title"] for item in report["items"] if item["id"] == "good"} == {f"good{EVIL}"}
    index = (shown.root / "library" / "index.jsonl").read_text("utf-8").splitlines()
    assert [line["metadata"]["said"] for line in map(json.loads, index) if line["metadata"]] == [EVIL]


@pytest.mark.torture(92)
def test_a_secret_in_a_url_becomes_no_name_and_no_line(shown: Shown) -> None:
    names = [name for name, _ in shown.files()]
    assert sum("access_token=" in name for name in names) >= 4, "archives are called what the URL says"
    assert [name for name in names if SECRET in name] == []
    assert [name for name, data in shown.files() if SECRET.encode() in data] == []
    assert [command for command, text in shown.commands.items() if SECRET in text] == []


@pytest.mark.torture(93)
def test_a_token_that_the_service_repeats_is_archived_nowhere(shown: Shown) -> None:
    archives = [data for name, data in shown.files() if name.endswith(".warc.gz")]
    assert len(archives) == 2
    assert all(data.count(b"***") >= 6 and b"hello" in data for data in archives)
    assert [name for name, data in shown.files() if TOKEN.search(name.encode() + b"\n" + data)] == []
    assert [command for command, text in shown.commands.items() if TOKEN.search(text.encode())] == []
