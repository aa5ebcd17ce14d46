"""The torture table, section several at once: a run and a script on one store."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from voyage import Voyage

SetSail = Callable[..., Voyage]

SCRIPT = """
import sys, threading, requests, argosy

store = argosy.open_store("json-file", path=sys.argv[1])

def work(number):
    with requests.Session() as session:
        session.mount(sys.argv[2], argosy.LeasedAdapter(store))
        for turn in range(25):
            response = session.get(f"{sys.argv[2]}/files/script-{number}-{turn}?size=2000")
            assert (response.status_code, len(response.content)) == (200, 2000)

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.torture(63)
def test_a_run_and_two_scripts_on_one_store(set_sail: SetSail) -> None:
    voyage = set_sail(items=150, discipline="revoke", max_workers=8, size=3000)
    process = voyage.start("--quiet")
    while voyage.server.stats().accepted < 2:  # there is a session, and the run is under way
        assert process.poll() is None
        time.sleep(0.01)
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        SCRIPT,
        str(voyage.root / "cookies.json"),
        voyage.server.url,
    ]
    scripts = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    endings = [(script.communicate(timeout=60)[1], script.returncode) for script in scripts]
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode, endings) == ("", "", 0, [("", 0)] * 2)
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.replaced_tokens_sent, stats.refused, stats.anonymous, stats.logins) == (0, 0, 0, 1)
    assert sum("script" in path for path in stats.bodies_completed) == 100
    assert stats.accepted == 1 + 150 + 200
