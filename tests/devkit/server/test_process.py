"""The server's process, its figures, and what the parent can do with it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import warm
from argosy.errors import ArgosyError, ConfigError
from argosy_devkit import (
    Fault,
    LibraryServer,
    ServerFactory,
    ServerSettings,
    ServerStats,
    body_of,
    sha256_of,
)

Browse = Callable[[LibraryServer], Any]

PARENT = """
import os
from argosy_devkit import LibraryServer
server = LibraryServer(lease_mode="open").start()
print(server.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def _wait_until_gone(pid: int) -> bool:
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True  # it has ended; whoever inherited it has not looked yet
        time.sleep(0.02)
    return False


@pytest.fixture(autouse=True)
def as_a_program_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LibraryServer, "_spawn", staticmethod(warm.spawn_server))


def test_a_killed_parent_leaves_no_orphan() -> None:
    parent = subprocess.run([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, check=False, timeout=60)
    assert parent.returncode == -9
    assert _wait_until_gone(int(parent.stdout))


def test_nothing_secret_stands_in_the_command_line() -> None:
    with LibraryServer(password="hush-hush") as server:
        command = Path(f"/proc/{server.pid}/cmdline")
        if not command.exists():
            pytest.skip("this system has no /proc to look at command lines")
        assert b"argosy_devkit.server" in command.read_bytes()
        assert b"hush" not in command.read_bytes()


def test_restart_keeps_the_port_and_loses_the_sessions(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server()
    someone = browser(server)
    url, pid = server.url, server.pid
    server.restart()
    assert server.url == url
    assert server.pid != pid
    assert someone.fetch("/").status == 401
    someone.login()
    assert someone.fetch("/").status == 200


def test_stop_twice_and_control_of_a_stopped_server() -> None:
    server = LibraryServer().start()
    assert server.start() is server
    server.stop()
    server.stop()
    with pytest.raises(ArgosyError, match="is not running"):
        server.stats()


def test_a_server_that_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArgosyError, match="did not start"):
        LibraryServer(root=tmp_path / "none").start()


def test_control_needs_the_key(library_server: ServerFactory, stranger: Browse) -> None:
    server = library_server(lease_mode="open")
    someone = stranger(server)
    for headers in ({}, {"X-Control-Key": "guess"}):
        reply = someone.fetch("/-/control/stats", method="POST", headers=headers)
        assert reply.status == 404
    assert server.stats().requests == 0, "control is not counted"


def test_figures_are_right_and_can_be_reset(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="strict")
    someone = browser(server)
    old = dict(someone.jar)
    someone.keep("/files/a?size=10")
    someone.keep("/files/a?size=10", method="HEAD")
    someone.keep("/nowhere")
    someone.fetch("/", jar=old)
    someone.fetch("/", jar={})
    assert server.stats() == ServerStats(
        requests=7,
        accepted=3,
        refused=1,
        anonymous=1,
        replaced_tokens_sent=1,
        logins=1,
        rotations=3,
        active_peak=1,
        bytes_sent=server.stats().bytes_sent,
        bodies_completed={"/files/a": 1},
        requests_by_path={"/login": 2, "/files/a": 2, "/nowhere": 1, "/": 2},
        accepted_by_login={"1": 3},
    )
    server.reset_stats()
    assert server.stats() == ServerStats()


def test_bodies_on_their_way_at_once(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="open")
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(6)]
    for connection in connections:
        connection.request("GET", "/files/a?size=64000000")
    responses = [connection.getresponse() for connection in connections]
    stats = server.stats()  # none is read, and no socket buffer holds that much
    assert (stats.active, stats.active_peak, stats.bodies_completed) == (6, 6, {})
    assert responses[0].read() == body_of("a", 64_000_000)
    for response, connection in zip(responses, connections, strict=True):
        response.close()
        connection.close()


def test_a_client_that_goes_away_completes_nothing(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="open")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/files/a?size=100000000")
    connection.getresponse().close()
    connection.close()
    for _ in range(500):
        if server.stats().active == 0:
            break
        time.sleep(0.02)
    assert server.stats().active == 0
    assert server.stats().bodies_completed == {}


def test_settings_can_change_while_it_runs(library_server: ServerFactory, browser: Browse) -> None:
    server = library_server(lease_mode="strict")
    someone = browser(server)
    server.change(faults=[Fault("status", times=1)], lease_mode="static")
    assert [someone.keep("/").status for _ in range(2)] == [503, 200]
    assert server.stats().rotations == 0
    with pytest.raises(ConfigError):
        server.change(nothing=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lease_mode": "strickt"}, "Did you mean 'strict'"),
        ({"tfb": 1}, "Did you mean 'ttfb'"),
        ({"rate": -1}, "negative"),
        ({"slide_every": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LibraryServer(**options)


def test_settings_survive_the_pipe(tmp_path: Path) -> None:
    settings = ServerSettings(faults=(Fault("status", retry_after="soon"),), root=tmp_path, ttfb=0.5)
    assert ServerSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert LibraryServer(settings, ttfb=1).settings.ttfb == 1


def test_manifest(library_server: ServerFactory, stranger: Browse, tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    file = tmp_path / "m.jsonl"
    expected = server.manifest(file, items=3, resources_per_item=2, size=lambda number: 10 + number)
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["item-00001", "item-00002", "item-00003"]
    flat = [(line["id"], resource) for line in lines for resource in line["resources"]]
    assert [entry.name for entry in expected] == [f"{item}/{resource['path']}" for item, resource in flat]
    someone = stranger(server)
    for number, ((_, resource), entry) in enumerate(zip(flat, expected, strict=True)):
        body = someone.fetch(resource["url"].removeprefix(server.url)).body
        assert resource["size"] == entry.size == len(body) == 10 + number
        assert resource["sha256"] == entry.sha256 == sha256_of(entry.name, entry.size)
        assert body == body_of(entry.name, entry.size)
    assert server.stats().bodies_completed == {entry.path: 1 for entry in expected}
