"""The rate limiter, by threads and by processes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from argosy.errors import ServiceDown, TransferError
from argosy.interfaces import PluginContext
from argosy.models.host_state import LONGEST_RETRY_AFTER
from argosy.ratelimit.limiter import RateLimiter, retry_after
from argosy.toolkit.hosts import host_key
from argosy_devkit.contracts.waiting import Thread, wait_until
from argosy_plugins.ratelimits.host import HostRateLimit

URL = "https://library.example/a"

#: Starts requests in some threads and prints when each started.
_STARTER = """\
import json, sys, threading, time
from pathlib import Path
from argosy.interfaces import PluginContext
from argosy.ratelimit.limiter import RateLimiter
from argosy_plugins.ratelimits.host import HostRateLimit
folder, delay, threads, times = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
shared = HostRateLimit({"path": str(folder / "rate-limits")}, PluginContext())
limiter = RateLimiter(delay, shared=shared)
starts = []
def work():
    for _ in range(times):
        with limiter.permit("https://library.example/a") as permit:
            while wait := permit.admit():
                time.sleep(wait)
            starts.append(permit.started)
workers = [threading.Thread(target=work) for _ in range(threads)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps([(start, delay) for start in starts]))
"""


def shared(path: Path) -> HostRateLimit:
    return HostRateLimit({"path": str(path)}, PluginContext())


@pytest.fixture
def rate_limiter(tmp_path: Path) -> Callable[..., RateLimiter]:
    """Make rate limiters as programs of one user have them, each with its own open file."""

    def make(delay: float = 0.0, **options: object) -> RateLimiter:
        return RateLimiter(delay, shared=shared(tmp_path / "state" / "rate-limits"), **options)  # type: ignore[arg-type]  # a test's options

    return make


def start(folder: Path, delay: float, threads: int, times: int) -> subprocess.Popen[str]:
    arguments = [str(folder), str(delay), str(threads), str(times)]
    return subprocess.Popen([sys.executable, "-c", _STARTER, *arguments], stdout=subprocess.PIPE, text=True)


def begin(rate_limiter: RateLimiter, url: str = URL, times: int = 1) -> None:
    """Start requests, each when it may start."""
    for _ in range(times):
        with rate_limiter.permit(url) as permit:
            while wait := permit.admit():
                time.sleep(wait)
            permit.answered(200, None)


def fail(rate_limiter: RateLimiter, times: int, *, sent: bool = False) -> None:
    for _ in range(times):
        with rate_limiter.permit(URL) as permit:
            assert permit.admit() == 0
            permit.failed("Connection refused", sent=sent)


@pytest.mark.parametrize("delays", [[0.02, 0.02, 0.02], [0.01, 0.04]])
def test_starts_are_spaced_over_threads_and_processes(tmp_path: Path, delays: list[float]) -> None:
    processes = [start(tmp_path / "state", delay, threads=3, times=8) for delay in delays]
    starts = sorted(tuple(row) for process in processes for row in json.loads(process.communicate(timeout=60)[0]))
    assert len(starts) == 24 * len(delays)
    for (first, one), (second, two) in itertools.pairwise(starts):
        assert second - first >= max(one, two) - 1e-6


def test_waiters_of_one_process_start_in_their_order(rate_limiter: Callable[..., RateLimiter]) -> None:
    limiter = rate_limiter(100.0)  # seconds: far more than it takes to ask
    begin(limiter)
    permits = [limiter.permit(URL) for _ in range(4)]
    waits = [permit.admit() for permit in permits]
    assert waits == sorted(waits)
    for one, two in itertools.pairwise(waits):
        assert two - one > 60, "they must not wake together"


def test_a_permit_that_is_given_up_delays_no_other(rate_limiter: Callable[..., RateLimiter]) -> None:
    limiter = rate_limiter(30.0)
    begin(limiter)
    permits = [limiter.permit(URL) for _ in range(5)]
    for permit in permits:
        with permit:
            permit.admit()
    assert limiter.permit(URL).admit() <= 30


def test_a_process_that_dies_leaves_one_start_at_most(rate_limiter: Callable[..., RateLimiter], tmp_path: Path) -> None:
    with start(tmp_path / "state", 100.0, threads=20, times=1) as process:
        other = rate_limiter(0.0)
        state = other.read
        wait_until(lambda: (s := state("library.example")) and s.reserved > s.seen, "a permit to wait")
        process.kill()
    assert 0 < other.permit(URL).admit() <= 200


def test_patience_that_one_program_learns_holds_for_all(rate_limiter: Callable[..., RateLimiter]) -> None:
    one, other = rate_limiter(), rate_limiter()
    begin(other)
    with one.permit(URL) as permit:
        assert permit.admit() == 0
        permit.answered(429, 100.0)
    assert 60 < other.permit(URL).admit() <= 100
    assert other.permit("http://library.example/b").admit() > 60, "http and https are one host"
    assert other.permit("https://library.example:8443/b").admit() == 0, "another port is another"


def test_after_patience_not_all_start_at_once(rate_limiter: Callable[..., RateLimiter]) -> None:
    one = rate_limiter()
    with one.permit(URL) as permit:
        permit.admit()
        permit.answered(429, 100.0)
    waits = [one.permit(URL).admit() for _ in range(100)]
    assert waits[-1] - waits[0] > 1, "ten seconds, less the time it takes to ask"


def test_a_folder_that_cannot_be_used_costs_one_notice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    notices: list[str] = []
    limiter = RateLimiter(0.02, shared=shared(tmp_path / "file" / "rate-limits"), notice=notices.append)
    begun = time.monotonic()
    for _ in range(4):
        begin(limiter)
    assert time.monotonic() - begun >= 0.06
    assert len(notices) == 1
    assert "to this process only" in notices[0]


def test_a_host_that_is_down_is_asked_by_one_at_a_time(rate_limiter: Callable[..., RateLimiter]) -> None:
    told: list[str] = []
    one, other = rate_limiter(max_outage=100, notice=told.append), rate_limiter(max_outage=100)
    begin(one)
    begin(other)
    fail(one, 3)
    permits = [p.permit(URL) for p in (one, other) for _ in range(4)]
    assert all(permit.admit() > 0 for permit in permits)
    admitted: list[int] = []

    def ask() -> list[int]:
        admitted.extend(number for number, permit in enumerate(permits) if permit.admit() == 0)
        return admitted

    wait_until(ask, "a probe")
    for _ in range(3):
        assert [number for number, permit in enumerate(permits) if permit.admit() == 0] == admitted
    permits[admitted[0]].answered(200, None)
    assert all(permit.admit() == 0 for permit in permits)
    one.tell()
    assert told[0].startswith("library.example is down: Connection refused.")


def test_a_probe_that_is_given_up_is_anothers(rate_limiter: Callable[..., RateLimiter]) -> None:
    one = rate_limiter(max_outage=100)
    begin(one)
    fail(one, 3)
    permit, other = one.permit(URL), one.permit(URL)
    with permit:
        wait_until(lambda: permit.admit() == 0, "a probe")
        assert other.admit() > 0
    assert other.admit() == 0


def test_a_run_gives_up_in_the_end(rate_limiter: Callable[..., RateLimiter]) -> None:
    one = rate_limiter(max_outage=0.05)
    begin(one)
    fail(one, 3)
    permit = one.permit(URL)
    with pytest.raises(ServiceDown, match="has been down for") as error:
        wait_until(lambda: not permit.admit(), "the end of the outage")
    assert (error.value.host, error.value.cause) == ("library.example", "Connection refused")


def test_while_others_answer_only_the_items_of_a_host_that_is_down_fail(
    rate_limiter: Callable[..., RateLimiter],
) -> None:
    one = rate_limiter(max_outage=0.05)
    begin(one)
    fail(one, 3)
    permit = one.permit(URL)
    assert permit.admit() > 0
    begin(one, "https://other.example/")
    with pytest.raises(TransferError) as error:
        wait_until(lambda: not permit.admit(), "the end of the outage")
    assert error.value.kind == "down"


def test_a_host_that_was_never_there_is_not_waited_for(rate_limiter: Callable[..., RateLimiter]) -> None:
    one = rate_limiter(max_outage=100)
    fail(one, 5)
    with pytest.raises(TransferError, match=r"library\.example is down") as error:
        one.permit(URL).admit()
    assert error.value.kind == "down"


def test_a_process_that_had_no_answer_yet_learns_that_the_host_was_there(
    rate_limiter: Callable[..., RateLimiter],
) -> None:
    one, new = rate_limiter(max_outage=100), rate_limiter(max_outage=100)
    begin(one)
    fail(one, 1)
    assert not new.was_there("library.example")
    fail(new, 1)
    assert new.was_there("library.example")
    fail(new, 1)
    assert new.permit(URL).admit() > 0, "it waits as the others do"


def test_who_comes_later_finds_the_outage_and_waits(rate_limiter: Callable[..., RateLimiter]) -> None:
    one, later, heedless = rate_limiter(max_outage=100), rate_limiter(max_outage=100), rate_limiter()
    begin(one)
    fail(one, 3)
    assert later.permit(URL).admit() > 0
    assert heedless.permit(URL).admit() == 0


def test_many_threads_get_through(rate_limiter: Callable[..., RateLimiter]) -> None:
    limiter = rate_limiter(0.002)
    workers = [Thread(lambda: begin(limiter, times=5)) for _ in range(16)]
    for worker in workers:
        worker.result()
    assert not limiter.hosts["library.example"].waiting


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://Library.Example/a", "library.example"),
        ("https://library.example.:443?x", "library.example"),
        ("https://library.example:80/", "library.example:80"),
        ("http://127.0.0.1:8080#x", "127.0.0.1:8080"),
        ("http://[::1]:8080/", "::1:8080"),
        ("http://user:secret@library.example/", "library.example"),
        ("http://user:secret@library.example:port/", "library.example:port"),
        ("", ""),
    ],
)
def test_places(url: str, place: str) -> None:
    assert host_key(url) == place


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "7", 7),
        (503, "7", 7),
        (500, "7", None),
        (302, "7", None),
        (429, "99999999999999999999", LONGEST_RETRY_AFTER),
        (429, "٣", None),
        (429, "-1", None),
        (429, "1.5", None),
        (429, "", None),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        (429, formatdate(100, usegmt=True), 0),
    ],
)
def test_retry_after(status: int, value: str, seconds: float | None) -> None:
    assert retry_after(status, {"Retry-After": value}) == seconds


def test_a_date_is_taken_by_the_servers_own_clock() -> None:
    headers = {"Retry-After": formatdate(1_000_020, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)}
    assert retry_after(503, headers) == 20
