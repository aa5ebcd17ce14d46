"""Downloads on a session that is encrypted, and commands that need its key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.toolkit.secrets import new_key
from hazards import files_with
from voyage import Voyage

SetSail = Callable[..., Voyage]


def encrypted(name: str, key: str = "key.txt") -> dict[str, Any]:
    return {"use": name, "path": f"cookies.{name}", "encrypt": {"file": key}}


@pytest.mark.parametrize(("store", "strategy"), [("json-file", "threads"), ("sqlite", "multiprocess")])
def test_many_workers_on_one_encrypted_session(set_sail: SetSail, store: str, strategy: str) -> None:
    voyage = set_sail(items=12, lease_mode="revoke", max_workers=3, strategy=strategy, cookie_store=encrypted(store))
    key = new_key()
    (voyage.root / "key.txt").write_text(key + "\n", "utf-8")
    report, events = voyage.root / "report.json", voyage.root / "events.jsonl"
    done = voyage.run("--report", str(report), "--events", str(events))
    assert done.returncode == 0, done.stderr
    assert voyage.wrong() == []
    stats = voyage.server.stats()
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0)
    (voyage.root / "key.txt").rename(voyage.root.parent / f"{voyage.root.name}.key")
    assert files_with(voyage.root, key.encode(), but="") == [], "a token, or the key"


def test_the_key_is_asked_of_every_command_and_a_move_needs_no_login(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="strict", cookie_store=encrypted("json-file"))
    for name in ("key.txt", "new.txt"):
        (voyage.root / name).write_text(voyage.argosy("session", "key").stdout, "utf-8")
    assert voyage.argosy("login", str(voyage.file)).returncode == 0
    assert voyage.run().returncode == 0
    status = voyage.argosy("status", str(voyage.file))
    assert status.stdout.startswith("session    default: idle, ")
    assert "1 login\n           cookies: prelogin, token\n" in status.stdout
    assert voyage.argosy("verify", str(voyage.file)).returncode == 0

    old = voyage.file.rename(voyage.root / "old.json")
    voyage.config["cookie_store"] = encrypted("sqlite", "new.txt")
    moved = voyage.argosy("session", "copy", "--from", str(old), "--to", str(voyage.file))
    assert (moved.returncode, moved.stderr) == (0, "")
    assert moved.stdout == f"Moved the session 'default' from {old} to {voyage.file}.\n"
    again = voyage.argosy("session", "copy", "--from", str(old), "--to", str(voyage.file))
    assert again.returncode == 2
    assert "There is no session in json-file" in again.stderr
    assert voyage.run("--force").returncode == 0
    assert voyage.server.stats().logins == 1

    kept = voyage.argosy(
        "session", "copy", "--from", str(voyage.file), "--to", f"json-file:{voyage.root}/plain.json", "--keep"
    )
    assert kept.returncode == 0
    assert "using one invalidates the other" in kept.stderr


def test_a_wrong_key_ends_every_command_before_the_first_request(set_sail: SetSail) -> None:
    voyage = set_sail(items=3, lease_mode="strict", cookie_store=encrypted("json-file"))
    key, store = voyage.root / "key.txt", voyage.root / "cookies.json-file"
    key.write_text(new_key(), "utf-8")
    assert voyage.run().returncode == 0
    voyage.server.reset_stats()
    before = store.read_bytes()
    download = ("download", str(voyage.file), "--force", "--quiet")
    copy = ("session", "copy", "--from", str(voyage.file), "--to", f"sqlite:{voyage.root}/other")
    everything = download, ("login", str(voyage.file)), ("status", str(voyage.file)), copy
    for wrong, code, why, commands in (
        (new_key(), 5, "cannot be opened with this key", everything),
        ("argosy-key-1:half", 2, "is not a whole key", [download]),
        ("", 2, "is empty", [download]),
    ):
        key.write_text(wrong, "utf-8")
        for command in commands:
            done = voyage.argosy(*command)
            assert (done.returncode, why in done.stderr) == (code, True), done.stderr
            assert "Traceback" not in done.stderr
            assert wrong == "" or wrong not in done.stderr
    assert store.read_bytes() == before
    assert voyage.server.stats().requests == 0


def test_a_passphrase_from_the_environment(set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs at once, and one that lacks it."""
    store = {"use": "json-file", "path": "c.json", "encrypt": {"env": "LIBRARY_STORE"}}
    voyage = set_sail(items=6, lease_mode="revoke", max_workers=2, cookie_store=store)
    lacking = voyage.run()
    assert lacking.returncode == 2
    assert "LIBRARY_STORE" in lacking.stderr
    monkeypatch.setenv("LIBRARY_STORE", "correct horse battery staple")
    both = [voyage.start(), voyage.start()]
    ends = [(run.communicate(timeout=110)[1], run.returncode) for run in both]
    assert [code for _, code in ends] == [0, 0], ends
    assert voyage.wrong() == []
    assert voyage.server.stats().replaced_tokens_sent == 0
    value = json.loads((voyage.root / "c.json").read_text("utf-8"))["sessions"]["default"]
    assert "data" in value
    assert files_with(voyage.root, os.environ["LIBRARY_STORE"].encode(), but="") == []
    assert Path(voyage.root / "c.json").stat().st_mode & 0o077 == 0
