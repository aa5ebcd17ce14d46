"""The torture table: hostile answers and odd surroundings."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.interfaces.base import PluginContext
from argosy.models.items import FinishedItem, Item
from argosy.toolkit import files
from argosy.transfer.headers import content_disposition
from argosy_plugins.outputs.index import IndexOutput
from voyage import Voyage, run_urls

_FORM = '<form method="post"><input name="user"></form>'


@pytest.mark.torture(103)
@pytest.mark.parametrize("rotates", [False, True])
def test_a_service_that_sets_new_cookies_with_each_answer(
    tmp_path: Path, raw_server: Callable[..., Any], rotates: bool
) -> None:
    tokens, refused, sent = list[str](), list[bytes](), list[int]()

    def answer(server: Any, connection: socket.socket) -> None:
        while head := server.request(connection):
            found = re.search(rb"\btoken=(\w+)", head)
            is_login, is_form = head.startswith(b"POST"), head.startswith(b"GET /login")
            sent.append(len(head))
            status, body, cookies = "200 OK", "book", []
            if len(head) > 8000:
                status = "431 Request Header Fields Too Large"
            elif is_form:
                body = _FORM
            elif not is_login and (found is None or found[1].decode() != tokens[-1]):
                refused.append(head)
                status = "401 Unauthorized"
            elif is_login or rotates:
                tokens.append(f"t{len(tokens)}")
                cookies = [f"token={tokens[-1]}; Path=/; HttpOnly"]
            cookies += [f"noise-{len(sent)}-{number}=1; Path=/" for number in range(95)]
            lines = [f"Set-Cookie: {cookie}" for cookie in cookies]
            kind = "Content-Type: text/html" if is_form else "Content-Type: text/plain"
            lines = [f"HTTP/1.1 {status}", kind, f"Content-Length: {len(body)}", *lines, "", body]
            connection.sendall("\r\n".join(lines).encode())
            if is_login:
                return  # its body may still come

    server = raw_server(answer)
    voyage = run_urls(
        tmp_path,
        *(f"{server.url}/{number}" for number in range(8)),
        auth={"use": "form-login", "url": f"{server.url}/login", "fields": {"user": "ada"}},
        cookie_store={"use": "json-file", "path": "cookies.json"},
        max_workers=1,
    )
    for _ in range(2):
        done = voyage.run("--force")
        assert done.returncode == 0, done.stderr
    assert refused == []
    assert max(sent) < 3000
    (record,) = json.loads((tmp_path / "cookies.json").read_text("utf-8"))["sessions"].values()
    assert len(record["cookies"]) <= 50


def _schema_of(text: str) -> object:
    return json.loads(text)["schema_version"]


@pytest.mark.torture(104)
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_a_report_goes_where_its_name_leads(set_sail: Callable[..., Voyage], tmp_path: Path, kind: str) -> None:
    voyage = set_sail(items=1, lease_mode="open", auth="none", cookie_store="memory")
    report, events, received = tmp_path / "report", tmp_path / "events", dict[Path, str]()
    readers = list[threading.Thread]()
    for path in (report, events):
        if kind == "pipe":
            os.mkfifo(path)
            readers.append(threading.Thread(target=lambda p=path: received.update({p: p.read_text("utf-8")})))
        elif kind == "device":
            try:
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null
            except PermissionError:
                pytest.skip("a device cannot be made here")
        else:
            real = tmp_path / f"real-{path.name}"
            real.write_text("old", "utf-8")
            real.chmod(0o600)
            path.symlink_to(f"real-{path.name}")
    before = [path.lstat() for path in (report, events)]
    for reader in readers:
        reader.start()
    done = voyage.run("--report", str(report), "--events", str(events))
    assert done.returncode == 0, done.stderr
    for reader in readers:
        reader.join(60)
    modes = [stat.filemode(found.st_mode) for found in before]
    assert [stat.filemode(path.lstat().st_mode) for path in (report, events)] == modes
    if kind == "device":
        return
    if kind == "link":
        assert [stat.S_IMODE(path.stat().st_mode) for path in (report, events)] == [0o600, 0o600]
        assert [path.lstat().st_ino for path in (report, events)] == [found.st_ino for found in before]
    texts = received if kind == "pipe" else {path: path.read_text("utf-8") for path in (report, events)}
    assert _schema_of(texts[report]) == 1
    assert '"run.finished"' in texts[events].splitlines()[-1]


@pytest.mark.torture(104)
def test_a_report_goes_to_standard_output(set_sail: Callable[..., Voyage], tmp_path: Path) -> None:
    voyage = set_sail(items=1, lease_mode="open", auth="none", cookie_store="memory")
    program = [sys.executable, "-m", "argosy", "download", str(voyage.file), "--report", "/dev/stdout"]
    out = tmp_path / "out"
    with out.open("w", encoding="utf-8") as stream:
        stream.write("before\n")
        stream.flush()
        subprocess.run(program, stdout=stream, stderr=subprocess.PIPE, check=True, timeout=100)
    before, _, text = out.read_text("utf-8").partition("\n")
    assert before == "before"
    assert _schema_of(text) == 1


@pytest.mark.torture(104)
def test_a_pipe_that_nobody_reads_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIPE_WAIT", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no process reads"):
        files.open_special(tmp_path / "pipe")


@pytest.mark.torture(105)
@pytest.mark.parametrize("store", ["json-file", "netscape", "sqlite"])
def test_a_pipe_in_the_place_of_a_store(set_sail: Callable[..., Voyage], tmp_path: Path, store: str) -> None:
    os.mkfifo(tmp_path / "cookies")
    voyage = set_sail(items=1, cookie_store={"use": store, "path": "cookies"})
    done = voyage.run()
    assert done.returncode == 5, done.stderr
    assert "cookies is not a file" in done.stderr


@pytest.mark.torture(105)
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("what", ["manifest", "configuration", "cookie file"])
def test_a_pipe_or_a_device_in_the_place_of_a_file(tmp_path: Path, what: str, kind: str) -> None:
    odd = tmp_path / "odd.toml"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/dev/zero")
    auth = {"use": "cookies", "path": str(odd)} if what == "cookie file" else "none"
    voyage = run_urls(tmp_path, "http://127.0.0.1:9/", auth=auth, cookie_store="memory")
    if what == "manifest":
        voyage.config["source"] = {"use": "manifest", "path": str(odd), "format": "jsonl"}
    done = voyage.argosy("download", str(odd if what == "configuration" else voyage.file))
    assert done.returncode in (2, 3, 4), done.stderr
    assert f"{odd}" in done.stderr
    assert "not a regular file" in done.stderr


@pytest.mark.torture(105)
def test_a_line_that_never_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "argosy", "download", "-", "--directory", str(tmp_path / "library")]
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(command, stdin=endless, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 4, done.stderr
    assert "longer than 10 MiB" in done.stderr


@pytest.mark.slow
@pytest.mark.torture(108)
@pytest.mark.parametrize("use", ["netscape", "json-file", "import"])
def test_a_file_of_cookies_that_is_too_large(tmp_path: Path, use: str) -> None:
    jar = tmp_path / "cookies.txt"
    with jar.open("wb") as file:
        file.write(b"# Netscape HTTP Cookie File\n")
        file.truncate(300_000_000)
    voyage = run_urls(tmp_path, "http://127.0.0.1:9/")
    imported = {"use": "cookies", "path": "cookies.txt"}
    voyage.config["auth"] = (
        imported
        if use == "import"
        else {
            "use": "form-login",
            "url": "http://127.0.0.1:9/",
            "fields": {"user": "ada"},
        }
    )
    voyage.config["cookie_store"] = "memory" if use == "import" else {"use": use, "path": "cookies.txt"}
    program = [sys.executable, "-m", "argosy", "download", str(voyage.file)]
    command = ["sh", "-c", 'ulimit -v 800000; exec "$@"', "sh", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in (3, 5), done.stderr
    assert "cookies.txt" in done.stderr
    assert "larger than" in done.stderr or "too large" in done.stderr


@pytest.mark.torture(107)
def test_a_ledger_that_anybody_may_write_is_taken_back(set_sail: Callable[..., Voyage]) -> None:
    voyage = set_sail(items=1, lease_mode="open", auth="none", cookie_store="memory")
    assert voyage.run().returncode == 0
    private = voyage.library / ".argosy"
    ledger = private / "ledger.sqlite"
    private.chmod(0o777)
    ledger.chmod(0o666)
    done = voyage.run()
    assert done.returncode == 0, done.stderr
    assert f"Others could change {ledger} (mode 666)" in done.stderr
    assert [stat.S_IMODE(path.stat().st_mode) for path in (private, ledger)] == [0o700, 0o600]
    if os.geteuid() == 0:  # a ledger of another user, which that user may change again
        ledger.chmod(0o666)
        os.chown(ledger, 1, 1)
        private.chmod(0o777)
        voyage.root.chmod(0o777)
        for parent in [voyage.library, voyage.root, *voyage.root.parents]:
            if not parent.stat().st_mode & 0o001:
                return  # nobody else can come here
        command = [sys.executable, "-m", "argosy", "download", str(voyage.file), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, user=65534, timeout=100, check=False)
        assert done.returncode == 5, done.stderr
        assert "not trusted" in done.stderr


@pytest.mark.torture(110)
@pytest.mark.parametrize(("served", "name"), [("-rf", "rf"), (".-.x", "x"), ("--help.pdf", "help.pdf"), ("-", None)])
def test_a_served_name_is_no_option(served: str, name: str | None) -> None:
    assert content_disposition({"Content-Disposition": f'attachment; filename="{served}"'}) == name


@pytest.mark.torture(109)
@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "+1",
        "-1",
        "@A1",
        "\t=1",
        "\r1",
        "\n=1",
        " =1",
        "\N{FULLWIDTH EQUALS SIGN}1",
        "\ufeff=1",
        "\N{FULLWIDTH PLUS SIGN}1",
        "\N{FULLWIDTH COMMERCIAL AT}A1",
        "\N{FULLWIDTH HYPHEN-MINUS}1",
    ],
)
def test_no_cell_of_an_index_is_a_formula(tmp_path: Path, text: str) -> None:
    context = PluginContext(base=tmp_path, directory=tmp_path)
    item = FinishedItem(Item(text, text), (), 0.0)
    (product,) = IndexOutput({"format": "csv"}, context).collect([item], tmp_path)
    with product.file.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["title"][0] in "'\\", "a carriage return is written as an escape"


@pytest.mark.torture(111)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"access_token": ["a"]}, "its access_token is not a token"),
        ({"access_token": "a\nb"}, "its access_token is not a token"),
        ({"access_token": "a", "refresh_token": {"b": 1}}, "its refresh_token is not a token"),
    ],
)
def test_a_token_that_is_none_is_refused(
    tmp_path: Path, raw_server: Callable[..., Any], answer: dict[str, object], why: str
) -> None:
    def respond(server: Any, connection: socket.socket) -> None:
        while server.request(connection):
            body = json.dumps({"token_type": "bearer", **answer})
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(f"{head}{body}".encode())

    server = raw_server(respond)
    voyage = run_urls(tmp_path, f"{server.url}/1", max_retries=0, cookie_store="memory")
    (tmp_path / "secret").write_text("x", "utf-8")
    voyage.config["auth"] = {
        "use": "oauth2",
        "grant": "client_credentials",
        "token_url": f"{server.url}/token",
        "client_id": "a",
        "client_secret": {"file": "secret"},
        "origins": [server.url],
    }
    done = voyage.run()
    assert done.returncode in (1, 3), done.stderr
    assert why in done.stderr
    assert "Bearer" not in str(server.requests)
