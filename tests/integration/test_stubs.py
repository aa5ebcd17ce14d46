"""A service that answers with status 200 in place of a file once a session has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from hazards import failures, fault
from servers.stubs import PASSWORD, STUBS, USER, StubServer
from servers.trip import Trip
from voyage import Voyage

SetSail = Callable[..., Voyage]


def trip_to(server: StubServer, root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Trip:
    monkeypatch.setenv("SERVICE_PASSWORD", PASSWORD)
    auth = {
        "use": "form-login",
        "url": f"{server.url}/login",
        "fields": {"user": USER, "password": {"env": "SERVICE_PASSWORD"}},
        "refusal": server.refusal,
    }
    return Trip(root, auth, lambda n: f"{server.url}/files/{n}", server.body, **options)


@pytest.mark.torture(130)
@pytest.mark.parametrize(("kind", "streams"), [*((kind, False) for kind in STUBS), ("json", True), ("size", True)])
def test_a_stub_is_a_refusal_and_the_file_comes_after_a_login(
    kind: str, streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubServer(kind, most=5, streams=streams) as server:
        trip = trip_to(server, tmp_path, monkeypatch, items=12)
        report = trip.run(max_workers=1)
    assert (report.counts.done, trip.wrong()) == (12, [])
    assert (server.seen["logins"], server.seen["stubs"], server.seen["files"]) == (3, 2, 12)


def test_a_body_that_ends_early_is_gone_on_with_and_is_not_a_refusal(set_sail: SetSail) -> None:
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=2, size=30_000, faults=[fault("cut", times=2)])
    config = json.loads(voyage.file.read_text("utf-8"))
    config["auth"]["refusal"] = {"json": {"path": "error"}, "min_size": 20_000}
    voyage.file.write_text(json.dumps(config), "utf-8")
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.logins, report.refusals, voyage.wrong()) == (6, 1, 0, [])


@pytest.mark.torture(130)
def test_stubs_for_many_workers_cost_a_login_each_time_a_session_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StubServer("size", most=10) as server:
        trip = trip_to(server, tmp_path, monkeypatch, items=35)
        report = trip.run(strategy="threads", max_workers=6)
    assert (report.counts.done, trip.wrong()) == (35, [])
    assert server.seen["logins"] == 4


@pytest.mark.torture(130)
@pytest.mark.parametrize("kind", STUBS)
def test_a_file_that_is_always_a_stub_fails_alone(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One login for the first, to find that it does not help; none for the others."""
    with StubServer(kind, most=1000, denied=(2, 5, 7)) as server:
        trip = trip_to(server, tmp_path, monkeypatch, items=9)
        report = trip.run(max_workers=1)
    assert [name[:3] for name in trip.wrong()] == ["002", "005", "007"]
    assert not list((tmp_path / "library").rglob("00[257].bin"))
    assert set(failures(report).values()) == {"refused"}
    assert server.seen["logins"] == 2
