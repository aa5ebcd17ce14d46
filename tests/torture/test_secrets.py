"""The torture table, row 60 and the rule above all rows: no secret in any output, however a run ends.

A password that is hard to hide and every token that the server gives out are looked for in everything that a
run leaves behind: both streams, the report, the events, the ledger, staging, exceptions and their tracebacks.
The plugins here tell whatever they get hold of, to everybody.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

import argosy
from argosy.errors import LoginFailed
from hazards import TOKEN, fault, files_with
from voyage import Voyage

SetSail = Callable[..., Voyage]
Install = Callable[..., dict[str, str]]

#: With what URLs, forms, JSON, HTML and shells write in another way.
PASSWORD = 'pä"ss & <wörd> 50%/+?=\\x'

GOSSIPS = """
    import json, logging, pathlib, sys, threading, warnings
    import argosy
    from argosy_plugins.auth.form_login import FormLogin

    DEED = {deed!r}

    def tell(what):
        print("printed:", what)
        print("printed to stderr:", what, file=sys.stderr)
        sys.stdout.write(f"written: {{json.dumps({{'secret': what}})}}\\n")
        logging.getLogger("gossip").warning("logged: %s", what)
        warnings.warn(f"warned: {{what}}")
        def fail():
            raise ValueError(f"raised in a thread: {{what}}")
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    class GossipAuth(FormLogin):
        name = "gossip-auth"
        summary = "Tells the password and the tokens"

        def login(self, session):
            password = self._fields["password"].value("")
            tell(password)
            super().login(session)
            tell([cookie.value for cookie in session.cookies])
            if DEED == "login":
                raise ValueError(f"no login with {{password}}")

        def is_refusal(self, response):
            told = str(response.headers.get("Set-Cookie"))
            if "item-00001" in response.url:
                tell(told)
            if DEED == "refusal" and "item-00003" in response.url:
                raise ValueError(told)
            return super().is_refusal(response)

    class GossipOutput(argosy.Output):
        name = "gossip-output"
        summary = "Tells what stands in the cookie store"

        def produce(self, item, scratch):
            store = (self.context.base / "cookies.json").read_text("utf-8")
            if item.item.id == "item-00001":
                tell(store)
            if item.item.id == "item-00002":
                raise ValueError(store)
            if DEED == "names" and item.item.id == "item-00004":
                return [argosy.Product("../" + store, item.files[0].path)]
            return []

    class GossipObserver(argosy.Observer):
        name = "gossip-observer"
        summary = "Raises what it knows"

        def on_event(self, event):
            if event.kind == "item.finished":
                raise ValueError((self.context.base / "cookies.json").read_text("utf-8"))

    class GossipStrategy(argosy.Strategy):
        name = "gossip-strategy"
        summary = "Fails with what it knows"
        needs = argosy.Scope.PROCESS

        def run(self, jobs, work, max_workers):
            for job in jobs:
                yield work(job)
                raise ValueError((self.context.base / "cookies.json").read_text("utf-8"))

    @argosy.hookimpl
    def argosy_auth():
        return GossipAuth

    @argosy.hookimpl
    def argosy_output():
        return GossipOutput

    @argosy.hookimpl
    def argosy_observer():
        return GossipObserver

    @argosy.hookimpl
    def argosy_strategy():
        return GossipStrategy
"""


def forms(secret: str) -> list[bytes]:
    """Return how a secret may be written."""
    written = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
    written |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return [form.encode() for form in written]


def traces(voyage: Voyage) -> list[str]:
    """Return the secrets in all that a run left behind, but for the two files that are there for them."""
    found = []
    for path in sorted(p for p in voyage.root.rglob("*") if p.is_file()):
        if path.name in ("cookies.json", "password.txt"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == "password.txt", path
            continue
        data = path.read_bytes()
        found += [f"{path.relative_to(voyage.root)}: {form!r}" for form in forms(PASSWORD) if form in data]
        found += [f"{path.relative_to(voyage.root)}: {match[0]!r}" for match in TOKEN.finditer(data)]
    return found


def set_out_among_gossips(set_sail: SetSail, install: Install, deed: str, **options: Any) -> Any:
    names = ("gossip-auth", "gossip-output", "gossip-observer", "gossip-strategy")
    env = install("gossips", GOSSIPS.format(deed=deed), *names)
    voyage = set_sail(
        items=8, lease_mode="revoke", max_workers=2, output=["files", "gossip-output"], password=PASSWORD, **options
    )  # fmt: skip
    voyage.config["auth"]["use"] = "gossip-auth"
    voyage.config["observers"] = ["gossip-observer"]
    return voyage, {**env, "ARGOSY_DEBUG": "1"}


def keep(voyage: Voyage, done: subprocess.CompletedProcess[str]) -> str:
    """Keep what was shown among the files that are looked through."""
    number = len(list(voyage.root.glob("shown-*")))
    (voyage.root / f"shown-{number}-out").write_text(done.stdout, "utf-8", "surrogateescape")
    (voyage.root / f"shown-{number}-err").write_text(done.stderr, "utf-8", "surrogateescape")
    return done.stdout + done.stderr


def everything(voyage: Voyage) -> list[str]:
    return ["--report", str(voyage.root / "report.json"), "--events", str(voyage.root / "events.jsonl")]


@pytest.mark.slow
@pytest.mark.torture(60)
@pytest.mark.parametrize(
    ("deed", "code"),
    [("nothing", 1), ("login", 3), ("refusal", 7), ("names", 1), ("strategy", 7), ("processes", 1)],
)
def test_gossips_are_not_heard(set_sail: SetSail, install: Install, deed: str, code: int) -> None:
    faults = [fault("lost", times=1), fault("login_page", times=1), fault("status", times=1)]
    voyage, env = set_out_among_gossips(set_sail, install, deed, faults=faults)
    if deed == "strategy":
        voyage.config["strategy"] = "gossip-strategy"
    elif deed == "processes":
        # each process knows the tokens it has sent or got; the store also holds those of the others
        voyage.config |= {"strategy": "multiprocess", "output": ["files"], "observers": []}
        voyage.config["source"]["path"] = "more.jsonl"
        lines = (voyage.root / "books.jsonl").read_text("utf-8")
        nowhere = {"url": voyage.server.url_for("/nowhere")}
        (voyage.root / "more.jsonl").write_text(lines + json.dumps(nowhere) + "\n", "utf-8")
    done = voyage.run(*everything(voyage), env=env)
    shown = keep(voyage, done)
    assert done.returncode == code, shown
    for way in ("printed:", "printed to stderr:", "written:", "logged:", "warned:", "raised in a thread:"):
        assert way in shown, "or there was nothing to hide"
    assert "***" in shown
    assert traces(voyage) == []
    assert deed == "login" or TOKEN.search((voyage.root / "cookies.json").read_bytes())
    again = voyage.run(*everything(voyage), env=env)  # the session is there from the start
    keep(voyage, again)
    assert traces(voyage) == []


@pytest.mark.slow
@pytest.mark.torture(60)
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_no_secret_however_it_ends(set_sail: SetSail, install: Install, ending: signal.Signals | None) -> None:
    voyage, env = set_out_among_gossips(set_sail, install, "nothing", ttfb=0.02, max_outage=1)
    process = voyage.start(*everything(voyage), env=env)
    while voyage.server.stats().accepted < 5 and process.poll() is None:
        time.sleep(0.01)
    if ending is not None:
        process.send_signal(ending)
    else:
        voyage.server.kill()  # the service goes away in the middle
    out, err = process.communicate(timeout=100)
    keep(voyage, subprocess.CompletedProcess([], process.returncode, out, err))
    assert traces(voyage) == []
    for command in ("status", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "argosy", command, str(voyage.file)],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        keep(voyage, done)
    assert traces(voyage) == []


@pytest.mark.torture(60)
def test_a_login_by_command_tells_nothing(set_sail: SetSail, install: Install) -> None:
    for deed, code in (("nothing", 0), ("login", 3)):
        env = {**os.environ, "ARGOSY_DEBUG": "1"}
        voyage: Voyage
        if deed == "nothing":
            voyage, env = set_out_among_gossips(set_sail, install, deed)
        else:
            module = voyage.root / "site" / "gossips.py"
            module.write_text(module.read_text("utf-8").replace("DEED = 'nothing'", "DEED = 'login'"), "utf-8")
        env["PYTHONPATH"] = str(voyage.root / "site")
        done = subprocess.run(
            [sys.executable, "-m", "argosy", "login", str(voyage.file)],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, keep(voyage, done)
        assert "***" in keep(voyage, done)
    assert traces(voyage) == []


@pytest.mark.torture(60)
def test_an_exception_of_the_python_function_tells_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="revoke", password=PASSWORD)
    (voyage.root / "password.txt").write_text("wrong " + PASSWORD, "utf-8")
    events: list[str] = []
    with pytest.raises(LoginFailed) as caught:
        argosy.download(voyage.file, lambda event: events.append(repr(event)))
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert caught.value.__cause__ is caught.value.__context__ is None
    (voyage.root / "shown").write_text(text + "\n".join(events), "utf-8")
    assert traces(voyage) == []


@pytest.mark.torture(43, 60)
def test_the_private_files_are_private(set_sail: SetSail) -> None:
    voyage = set_sail(items=2, lease_mode="revoke", password=PASSWORD)
    assert voyage.run(*everything(voyage), umask=0).returncode == 0
    own = voyage.library / ".argosy"
    private = [own, *(path for path in own.rglob("*") if path.is_file())]
    assert [str(p) for p in private if stat.S_IMODE(p.stat().st_mode) & 0o077] == []
    assert [str(p) for p in voyage.root.glob("*cookies.json*") if stat.S_IMODE(p.stat().st_mode) != 0o600] == []
    db = sqlite3.connect(voyage.library / ".argosy" / "ledger.sqlite")
    assert db.execute("SELECT count(*) FROM items").fetchone() == (2,)
    db.close()
    assert files_with(voyage.root, PASSWORD.encode(), but="cookies.json") == [
        "password.txt: " + repr(PASSWORD.encode())
    ]
    assert Path(voyage.root / "report.json").stat().st_mode & 0o777 == 0o666, "the umask's, as for any file"
