"""The torture table, section server: bodies that take too long, or stop coming."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from hazards import failures, fault
from voyage import Voyage

SetSail = Callable[..., Voyage]


def causes_of(voyage: Voyage) -> tuple[Any, list[str]]:
    """Run it; return the report, and why resources were tried again."""
    causes: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.retry":
            causes.append(event.data["cause"])

    return argosy.download(voyage.file, on_event), causes


@pytest.mark.torture(15)
def test_a_body_has_a_total_time_where_one_is_set(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=2,
        lease_mode="open",
        auth="none",
        faults=[fault("slow_drip", rate=50, path="item-00001")],
        low_speed_limit=0,
        timeout={"total": 0.5},
        max_retries=0,
    )
    report, _ = causes_of(voyage)
    assert (failures(report), report.counts.done) == ({"item-00001": "total"}, 1)


@pytest.mark.torture(32)
@pytest.mark.parametrize(("ending", "kind"), [("still", "stalled"), ("reset", "reset"), ("close", "cut")])
def test_a_body_that_stops_coming_is_tried_again(raw_server: Any, tmp_path: Path, ending: str, kind: str) -> None:
    def answer(server: Any, connection: Any) -> None:
        while server.request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
            if len(server.requests) == 1 or server.requests[-1].startswith(b"GET /always"):
                if ending == "still":
                    connection.recv(1)  # until the client has had enough
                elif ending == "reset":
                    time.sleep(0.1)  # so that the half of it is read first
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            connection.sendall(b"there")

    server = raw_server(answer)
    voyage = Voyage(tmp_path, None, [])  # type: ignore[arg-type]  # there is no library server behind these
    voyage.config = {
        "source": {"use": "urls", "urls": [f"{server.url}/once", f"{server.url}/always"]},
        "directory": "library",
        "max_workers": 1,
        "max_retries": 1,
        "retry_delay": 0,
        "timeout": {"read": 0.3, "headers": 0.3},
    }
    report, causes = causes_of(voyage)
    assert (voyage.library / "once").read_bytes() == b"half there"
    assert (failures(report), len(causes)) == ({f"{server.url}/always": kind}, 2)
