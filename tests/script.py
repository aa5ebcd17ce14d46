"""A program of somebody's own that uses a session of argosy's, beside runs of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: Four threads, each of which gets some files.
SCRIPT = """
import json, sys, threading, requests, argosy

name, options, url, turns = sys.argv[1:]
store = argosy.open_store(name, **json.loads(options))

def work(number):
    with requests.Session() as session:
        session.mount(url, argosy.LeasedAdapter(store))
        for turn in range(int(turns)):
            response = session.get(f"{url}/files/script-{number}-{turn}?size=2000")
            assert (response.status_code, len(response.content)) == (200, 2000)

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
store.close()
"""


def start(url: str, turns: int, store: str, /, **options: Any) -> subprocess.Popen[str]:
    """Start the program: it gets four times so many files on the session in a cookie store."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, store, json.dumps(options), url, str(turns)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
