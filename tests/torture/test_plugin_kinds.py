"""The torture table, section plugins, for every kind: whatever a plugin does, it is named, and nothing is lost by it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

import argosy
from hazards import wait_for
from voyage import Voyage

SetSail = Callable[..., Voyage]

PLUGIN = """
import argosy, itertools, logging, pathlib, sys
from dataclasses import replace
from argosy_plugins.auth.form_login import FormLogin
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.observers.log import LogObserver
from argosy_plugins.outputs.files import FilesOutput
from argosy_plugins.sources.manifest import Manifest
from argosy_plugins.strategies.threads import ThreadsStrategy

SECRET = (pathlib.Path(__file__).parent / "password.txt").read_text().strip()
calls = itertools.count(1)

class LateManifest(Manifest):
    def items(self, http):
        self.seen = getattr(self, "seen", {{}})
        for item in super().items(http):
            self.seen[item.id] = item
            yield replace(item, resources=())

    def expand(self, item, session):
        return self.seen[item.id]

class Moody({base}):
    name = "moody"
    summary = "Fails at one of its calls"

    def {method}(self, *args, **options):
        if next(calls) == {number}:
            print("printed", SECRET)
            logging.getLogger("moody").warning("logged %s", SECRET)
            {deed}
        return super().{method}(*args, **options)

@argosy.hookimpl
def argosy_{kind}():
    return Moody
"""

RAISES = 'raise ZeroDivisionError(f"oh {SECRET}")'
EXITS = "sys.exit(SECRET)"
BREAKS = "raise OSError(5, SECRET)"
SEVEN = "return 7"
NOTHING = "return None"

#: Kind, base, method, the call that fails, deeds, exit codes that tell.
CASES: list[tuple[str, str, str, int, tuple[str, ...], set[int]]] = [
    ("source", "Manifest", "__init__", 1, (RAISES,), {7}),
    ("source", "Manifest", "items", 1, (RAISES, EXITS, SEVEN, NOTHING), {7}),
    ("source", "LateManifest", "expand", 2, (RAISES, EXITS, SEVEN, NOTHING), {1}),
    ("source", "Manifest", "close", 1, (RAISES,), {0}),
    ("auth", "FormLogin", "__init__", 1, (RAISES,), {7}),
    ("auth", "FormLogin", "login", 1, (RAISES, EXITS), {3}),
    ("auth", "FormLogin", "is_refusal", 2, (RAISES,), {7}),
    ("auth", "FormLogin", "signer", 1, (RAISES, EXITS, SEVEN), {7}),
    ("auth", "FormLogin", "close", 1, (RAISES,), {0}),
    ("cookie_store", "JsonFileStore", "__init__", 1, (RAISES,), {7}),
    ("cookie_store", "JsonFileStore", "read", 4, (RAISES, EXITS), {7}),
    ("cookie_store", "JsonFileStore", "write", 6, (RAISES, EXITS), {7}),
    ("cookie_store", "JsonFileStore", "acquire", 3, (RAISES, EXITS), {7}),
    ("cookie_store", "JsonFileStore", "sync", 1, (RAISES,), {7}),
    ("cookie_store", "JsonFileStore", "close", 1, (RAISES,), {0}),
    ("strategy", "ThreadsStrategy", "__init__", 1, (RAISES,), {7}),
    ("strategy", "ThreadsStrategy", "run", 1, (RAISES, EXITS, SEVEN, NOTHING), {7}),
    ("strategy", "ThreadsStrategy", "close", 1, (RAISES,), {0}),
    ("output", "FilesOutput", "__init__", 1, (RAISES,), {7}),
    ("output", "FilesOutput", "produce", 2, (RAISES, EXITS, SEVEN, NOTHING), {1}),
    ("output", "FilesOutput", "close", 1, (RAISES,), {0}),
    ("observer", "LogObserver", "__init__", 1, (RAISES,), {7}),
    ("observer", "LogObserver", "on_event", 4, (RAISES, EXITS), {0}),
    ("observer", "LogObserver", "close", 1, (RAISES,), {0}),
]


BUILT_IN = {"Manifest": "manifest", "FormLogin": "form-login", "JsonFileStore": "json-file"}
#: Kinds that a configuration need not name.
OPTIONAL = ("strategy", "output", "observer")


def choose(voyage: Voyage, kind: str, name: str) -> None:
    """Let a configuration use a plugin in the place of the one that it extends."""
    config: dict[str, Any] = voyage.config
    if kind in ("source", "auth", "cookie_store"):
        config[kind]["use"] = name
    elif kind == "observer":
        config["observers"] = [name]
    else:
        config[kind] = name


@pytest.mark.slow
@pytest.mark.torture(56, 58, 60)
@pytest.mark.parametrize(
    ("kind", "base", "method", "number", "deed", "codes"),
    [
        pytest.param(kind, base, method, number, deed, codes, id=f"{kind}-{method}-{deed.split('(')[0]}")
        for kind, base, method, number, deeds, codes in CASES
        for deed in deeds
    ],
)
def test_a_plugin_that_misbehaves_is_named_and_loses_nothing(
    set_sail: SetSail, kind: str, base: str, method: str, number: int, deed: str, codes: set[int]
) -> None:
    voyage = set_sail(items=5, lease_mode="revoke", max_workers=2)
    plugin = voyage.root / "moody.py"
    source = PLUGIN.format(kind=kind, base=base, method=method, number=number, deed=deed)
    plugin.write_text(source, "utf-8")
    choose(voyage, kind, "moody")
    done = voyage.run("--plugin", str(plugin))
    ended(done, codes)
    if (kind, method) != ("auth", "__init__"):  # there nobody but the plugin knows the password yet
        assert voyage.server.password not in done.stdout + done.stderr
    assert "'moody'" in done.stderr
    assert voyage.damaged() == []
    if codes == {1}:
        assert len(voyage.done()) == 4, "the other items are done"
    elif codes == {0}:
        assert len(voyage.done()) == 5
    finishes(voyage, kind, base)
    assert voyage.server.stats().logins <= 2


@pytest.mark.slow
@pytest.mark.torture(57)
@pytest.mark.parametrize(
    ("kind", "base", "method"),
    [
        ("source", "Manifest", "items"),
        ("source", "LateManifest", "expand"),
        ("auth", "FormLogin", "login"),
        ("cookie_store", "JsonFileStore", "read"),
        ("strategy", "ThreadsStrategy", "run"),
        ("observer", "LogObserver", "on_event"),
    ],
)
def test_a_run_in_which_a_plugin_hangs_can_be_interrupted(set_sail: SetSail, kind: str, base: str, method: str) -> None:
    voyage = set_sail(items=5, lease_mode="revoke", max_workers=2)
    plugin = voyage.root / "moody.py"
    hang = '(pathlib.Path(__file__).parent / "hanging").touch(); [sleep(1) for _ in range(1000)]'
    source = PLUGIN.format(kind=kind, base=base, method=method, number=1, deed=hang)
    plugin.write_text(f"from time import sleep\n{source}", "utf-8")
    choose(voyage, kind, "moody")
    process = voyage.start("--plugin", str(plugin))
    wait_for(process, (voyage.root / "hanging").exists)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert voyage.server.password not in out + err
    assert voyage.damaged() == []
    finishes(voyage, kind, base)


def finishes(voyage: Voyage, kind: str, base: str) -> None:
    """See that what was done is kept and the session is good: the rest is done without the plugin."""
    if kind in OPTIONAL:
        del voyage.config["observers" if kind == "observer" else kind]
    else:
        choose(voyage, kind, BUILT_IN["Manifest" if "Manifest" in base else base])
    assert argosy.download(voyage.file).exit_code == 0
    assert voyage.wrong() == []
    assert voyage.server.stats().replaced_tokens_sent == 0


def ended(done: subprocess.CompletedProcess[str], codes: set[int]) -> None:
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug in argosy" not in done.stderr
