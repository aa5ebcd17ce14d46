"""Logging of whole runs: what is in it, who may read it, and that it has no secrets."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from voyage import Voyage


@pytest.fixture
def voyage(set_sail: Callable[..., Voyage]) -> Voyage:
    return set_sail(items=6, lease_mode="strict", size=2000, max_workers=3)


def secrets_of(voyage: Voyage) -> list[str]:
    """Return the password, and the tokens that the session has at the end."""
    store = json.loads((voyage.root / "cookies.json").read_text("utf-8"))
    found: list[str] = [voyage.server.password]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
                found.append(value["value"])
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(store)
    assert len(found) > 1
    return found


@pytest.mark.parametrize("strategy", ["threads", "multiprocess"])
def test_the_log_file_tells_what_happened_without_secrets(voyage: Voyage, strategy: str) -> None:
    voyage.config["strategy"] = strategy
    log = voyage.root / "run.log"
    done = voyage.run("--log-file", str(log), "-vv", "--quiet")
    assert done.returncode == 0, done.stderr
    text = log.read_text("utf-8")
    assert log.stat().st_mode & 0o777 == 0o600
    for words in (
        "logged in",
        "tokens replaced",
        "run.finished",
        "item.finished",
        "loaded the",
    ):
        assert words in text
    for secret in secrets_of(voyage):
        assert secret not in text
        assert secret not in done.stderr
    assert "logged in" in done.stderr
    processes = {line.partition("[")[2].partition("]")[0] for line in text.splitlines()}
    assert (len(processes) > 1) == (strategy == "multiprocess")
    assert not voyage.wrong()


def test_one_v_is_info_and_none_is_silent(voyage: Voyage) -> None:
    done = voyage.run("-v", "--quiet")
    assert done.returncode == 0
    assert "INFO" in done.stderr
    assert "DEBUG" not in done.stderr
    done = voyage.run("--quiet", "--force")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_log_file_that_cannot_be_opened_is_an_error(voyage: Voyage) -> None:
    done = voyage.run("--log-file", str(voyage.root / "no" / "run.log"))
    assert done.returncode == 5
    assert "cannot be written" in done.stderr


def test_a_library_is_silent_until_the_program_configures_logging(voyage: Voyage) -> None:
    code = "import sys, argosy; argosy.download(sys.argv[1])"
    command = [sys.executable, "-c", code, str(voyage.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_gets_records_without_secrets(voyage: Voyage, caplog: pytest.LogCaptureFixture) -> None:
    import argosy

    with caplog.at_level(logging.DEBUG, "argosy"):
        argosy.download(voyage.file)
    assert any("logged in" in message for message in caplog.messages)
    for secret in secrets_of(voyage):
        assert secret not in caplog.text
