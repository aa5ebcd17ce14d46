"""The torture table, sections server and clock: a service that wants to be left alone for a while, and wrong dates."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import argosy
from hazards import failures
from voyage import Voyage

SetSail = Callable[..., Voyage]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def terminal(root: Path, name: str, urls: list[str], **options: Any) -> Voyage:
    """Set out in a folder of its own, as in another terminal."""
    folder = root / name
    folder.mkdir()
    voyage = Voyage(folder, None, [])  # type: ignore[arg-type]  # there is no library server behind these
    voyage.config = {"source": {"use": "urls", "urls": urls}, "directory": "library", **options}
    return voyage


@pytest.mark.torture(9)
@pytest.mark.parametrize("status", [429, 503])
def test_patience_asked_of_one_terminal_is_had_by_all(raw_server: Any, tmp_path: Path, status: int) -> None:
    patience = 4
    seen: list[float] = []

    def answer(server: Any, connection: Any) -> None:
        while server.request(connection):
            seen.append(time.monotonic())
            if len(seen) == 1:
                head = f"HTTP/1.1 {status} Later\r\nRetry-After: {patience}\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(head.encode())
            else:
                connection.sendall(OK)

    server = raw_server(answer)
    one = terminal(tmp_path, "one", [f"{server.url}/{number}" for number in range(3)], max_workers=1)
    other = terminal(tmp_path, "other", [f"{server.url}/{number}" for number in range(3)])
    first = one.start("--events", "-")
    assert first.stdout is not None
    assert any(json.loads(line)["kind"] == "resource.retry" for line in first.stdout)
    second = other.start("--quiet")
    assert (second.communicate(timeout=60)[1], second.returncode) == ("", 0)
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert len(seen) == 7
    assert min(seen[1:]) - seen[0] >= patience - 0.1


@pytest.mark.parametrize("strategy", ["threads", "multiprocess"])
def test_two_terminals_space_their_requests_together(raw_server: Any, tmp_path: Path, strategy: str) -> None:
    seen: list[float] = []

    def answer(server: Any, connection: Any) -> None:
        while server.request(connection):
            seen.append(time.monotonic())
            connection.sendall(OK)

    server = raw_server(answer)
    voyages = [
        terminal(
            tmp_path,
            name,
            [f"{server.url}/{number}" for number in range(15)],
            download_delay=0.1,
            strategy=strategy,
        )
        for name in ("one", "other")
    ]
    running = [voyage.start("--quiet") for voyage in voyages]
    assert [process.communicate(timeout=60)[1] for process in running] == ["", ""]
    assert len(seen) == 30
    assert max(seen) - min(seen) >= 29 * 0.1 - 0.5, "each of them alone would be done in half of the time"


@pytest.mark.slow
@pytest.mark.torture(9)
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_only_says_no_is_asked_more_slowly(raw_server: Any, tmp_path: Path, status: int) -> None:
    taken = [0.0]
    refused: list[float] = []

    def answer(server: Any, connection: Any) -> None:
        while server.request(connection):
            now = time.monotonic()
            if now - taken[0] < 0.05:
                refused.append(now)
                connection.sendall(f"HTTP/1.1 {status} Later\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                taken[0] = now
                connection.sendall(OK)

    server = raw_server(answer)
    urls = [f"{server.url}/{number}" for number in range(60)]
    voyage = terminal(tmp_path, "one", urls, max_workers=8, max_retries=5, retry_delay=0.01)
    report = argosy.download(voyage.file)
    assert (report.error, failures(report), report.counts.done) == (None, {}, 60)
    assert report.retries == len(refused) <= 60


@pytest.mark.torture(67)
@pytest.mark.parametrize("days", [-4000, 4000])
def test_a_server_whose_date_is_wrong_logs_nobody_out(set_sail: SetSail, days: int) -> None:
    offset = days * 86400
    expires = formatdate(time.time() + offset + 3600, usegmt=True)
    voyage = set_sail(
        items=40,
        max_workers=4,
        lease_mode="revoke",
        date_offset=offset,
        cookie_attributes=f"; Path=/; Expires={expires}",
    )
    done = voyage.run("--quiet")
    stats = voyage.server.stats()
    assert (done.returncode, done.stderr, voyage.wrong()) == (0, "", [])
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)


@pytest.mark.torture(67)
def test_patience_by_a_date_of_a_clock_that_is_wrong(raw_server: Any, tmp_path: Path) -> None:
    then = 1_000_000_000
    served: list[bytes] = []

    def answer(server: Any, connection: Any) -> None:
        while request := server.request(connection):
            served.append(request)
            if len(served) == 1:
                dates = f"Date: {formatdate(then, usegmt=True)}\r\nRetry-After: {formatdate(then + 2, usegmt=True)}"
                connection.sendall(f"HTTP/1.1 429 Later\r\n{dates}\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                connection.sendall(OK)

    server = raw_server(answer)
    waits: list[float] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            waits.append(event.data["seconds"])

    report = argosy.download(terminal(tmp_path, "one", [f"{server.url}/a"]).file, on_event)
    assert (report.counts.done, waits) == (1, [2.0])
