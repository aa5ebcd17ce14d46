"""What a person types, and what comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import argosy
import argosy_schemas
import warm
from argosy_devkit import LibraryServer, sha256_of
from voyage import Voyage

SetSail = Callable[..., Voyage]


def run(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = warm.run(*arguments, cwd=cwd, timeout=60, **({"input": stdin} if stdin else {}))
    assert "Traceback" not in done.stderr
    return done


def test_report_and_events(set_sail: SetSail) -> None:
    voyage = set_sail(items=5, max_workers=2)
    report, events = voyage.root / "report.json", voyage.root / "events.jsonl"
    done = voyage.run("--report", str(report), "--events", str(events))
    assert done.returncode == 0, done.stderr
    value = json.loads(report.read_text("utf-8"))
    Draft202012Validator(argosy_schemas.load("report.v1")).validate(value)
    assert value["counts"] == {"items": 5, "done": 5, "skipped": 0, "failed": 0, "left": 0}
    assert [item["state"] for item in value["items"]] == ["done"] * 5
    assert {file["verification"] for item in value["items"] for file in item["files"]} == {"verified"}
    kinds = [json.loads(line)["kind"] for line in events.read_text("utf-8").splitlines()]
    assert (kinds[0], kinds[-1]) == ("run.started", "run.finished")
    assert kinds.count("item.finished") == 5
    again = voyage.run("--report", str(report))
    value = json.loads(report.read_text("utf-8"))
    Draft202012Validator(argosy_schemas.load("report.v1")).validate(value)
    assert (again.returncode, value["counts"]["skipped"], value["requests"]) == (0, 5, 0)
    assert {item["state"] for item in value["items"]} == {"skipped"}


def test_failed_items_are_reported_and_run_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=4, max_workers=2, max_retries=0)
    manifest = voyage.root / "books.jsonl"
    lines = manifest.read_text("utf-8").splitlines()
    good = lines[2]
    lines[2] = good.replace("/files/", "/status/404/")
    manifest.write_text("\n".join(lines), "utf-8")
    report = voyage.root / "report.json"
    done = voyage.run("--report", str(report))
    assert done.returncode == 1
    assert "404" in done.stderr
    value = json.loads(report.read_text("utf-8"))
    Draft202012Validator(argosy_schemas.load("report.v1")).validate(value)
    assert (value["counts"]["failed"], value["failures"][0]["kind"]) == (1, "status")
    status = run("status", str(voyage.library))
    assert "1 x 404 at " in status.stdout
    assert "  item-00003 Item 3 (" in status.stdout
    lines[2] = good
    manifest.write_text("\n".join(lines), "utf-8")
    voyage.server.reset_stats()
    assert voyage.run().returncode == 0
    assert voyage.wrong() == []
    assert voyage.server.stats().accepted == 1


def test_dry_run_asks_and_changes_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    done = voyage.run("--dry-run")
    assert done.returncode == 0
    items = [line for line in done.stdout.splitlines() if line.startswith("item-0000")]
    assert len(items) == 3
    assert "3 of 3 items" in done.stderr
    assert not voyage.library.exists()
    assert voyage.server.stats().requests == 0


@pytest.mark.parametrize("option", ["--tags", "--skills"])
def test_tags(set_sail: SetSail, option: str) -> None:
    voyage = set_sail(items=6)
    assert voyage.run(option, "Even, other").returncode == 0
    assert voyage.done() == {"item-00002", "item-00004", "item-00006"}


def test_force_downloads_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    assert voyage.run().returncode == 0
    voyage.server.reset_stats()
    assert voyage.run("--force").returncode == 0
    assert voyage.server.stats().accepted == 3


def test_a_file_that_was_removed_comes_again(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    assert voyage.run().returncode == 0
    (voyage.library / voyage.expected[1].name).unlink()
    assert voyage.run().returncode == 0
    assert voyage.wrong() == []


def test_verify_finds_damage_and_requeues(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    assert voyage.run().returncode == 0
    assert run("verify", str(voyage.library)).returncode == 0
    victim = voyage.library / voyage.expected[0].name
    victim.write_bytes(b"x" * voyage.expected[0].size)
    found = run("verify", str(voyage.file), "--requeue")
    assert found.returncode == 1
    assert voyage.expected[0].name in found.stdout
    assert voyage.run().returncode == 0
    assert voyage.wrong() == []


def test_status_shows_the_session_without_its_secrets(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    assert voyage.run().returncode == 0
    shown = run("status", str(voyage.file))
    assert shown.returncode == 0
    assert "default: idle, logged in" in shown.stdout
    assert "ago, 1 login\n" in shown.stdout
    stored = json.loads((voyage.root / "cookies.json").read_text("utf-8"))
    for cookie in stored["sessions"]["default"]["cookies"]:
        assert cookie["value"] not in shown.stdout


def test_login_makes_a_new_session(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    assert run("login", str(voyage.file)).returncode == 0
    assert voyage.run().returncode == 0
    assert voyage.server.stats().logins == 1
    assert run("login", str(voyage.file)).returncode == 0
    assert voyage.server.stats().logins == 2


def test_serial_by_name_says_what_it_does(set_sail: SetSail) -> None:
    voyage = set_sail(items=4, max_workers=4)
    done = voyage.run("--strategy", "serial")
    assert done.returncode == 0
    assert "one item at a time" in done.stderr
    assert voyage.server.stats().active_peak == 1


def test_urls_need_no_configuration(library_server: Callable[..., LibraryServer], tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    urls = [server.url_for(f"/files/{name}?size=5000") for name in ("a.bin", "b.bin")]
    done = run("download", *urls, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"a.bin", "b.bin"}
    done = run("download", "-", "--directory", "more", cwd=tmp_path, stdin="# two\n" + "\n".join(urls) + "\n")
    assert done.returncode == 0, done.stderr
    import hashlib

    assert hashlib.sha256((tmp_path / "more" / "a.bin").read_bytes()).hexdigest() == sha256_of("a.bin", 5000)


def test_the_settings_people_write_today(library_server: Callable[..., LibraryServer], tmp_path: Path) -> None:
    text = '{"max_workers": 2, "token_save_interval": 4, "download_delay": 10, "force_redownload": false}'
    (tmp_path / "config.json").write_text(text, "utf-8")
    checked = run("config", "check", "config.json", cwd=tmp_path)
    assert (checked.returncode, "valid" in checked.stdout + checked.stderr) == (0, True)
    url = library_server(lease_mode="open").url_for("/files/a.bin?size=50")
    done = run("download", "config.json", url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.bin").stat().st_size == 50
    assert run("download", "config.json", cwd=tmp_path).returncode == 2


def test_download_delay_spaces_requests(set_sail: SetSail) -> None:
    voyage = set_sail(items=4, max_workers=4, download_delay=0.3)
    begun = time.monotonic()
    assert argosy.download(voyage.file).counts.done == 4
    assert time.monotonic() - begun >= 0.9  # a lower bound only: three pauses between four requests


def test_quiet_says_nothing(set_sail: SetSail) -> None:
    done = set_sail(items=2).run("--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_events_on_standard_output_are_lines_of_json(set_sail: SetSail) -> None:
    done = set_sail(items=2).run("--events", "-", "--quiet")
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()][-1] == "run.finished"


def test_two_configurations_are_a_usage_error(tmp_path: Path) -> None:
    done = run("download", "a.json", "b.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "one configuration" in done.stderr


def test_a_token_in_a_url_is_shown_nowhere(library_server: Callable[..., LibraryServer], tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    good = server.url_for("/files/a.bin?size=50&access_token=s3cr3tvalue")
    bad = server.url_for("/status/404/b.bin?access_token=s3cr3tvalue")
    shown = run("download", good, bad, "--dry-run", cwd=tmp_path)
    done = run("download", good, bad, "--events", "events.jsonl", "--report", "report.json", cwd=tmp_path)
    assert done.returncode == 1
    status = run("status", ".", cwd=tmp_path)
    texts = [done.stderr, shown.stdout, status.stdout]
    texts += [(tmp_path / name).read_text("utf-8") for name in ("events.jsonl", "report.json")]
    assert [text for text in texts if "s3cr3tvalue" in text] == []


def test_a_dry_run_needs_no_password(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    (voyage.root / "password.txt").unlink()
    assert voyage.run("--dry-run").returncode == 0


def test_failures_are_grouped_and_listed_to_feed_back(set_sail: SetSail) -> None:
    voyage = set_sail(items=12, max_workers=2, max_retries=0)
    manifest = voyage.root / "books.jsonl"
    lines = manifest.read_text("utf-8").splitlines()
    for number in range(5):
        lines[number] = lines[number].replace("/files/", "/status/404/")
    wrong = json.loads(lines[7])
    wrong["resources"][0]["size"] += 1
    lines[7] = json.dumps(wrong)
    manifest.write_text("\n".join(lines), "utf-8")
    done = voyage.run()
    host = voyage.server.url.removeprefix("http://").rstrip("/")
    assert f"6: 5 x 404 at {host}, 1 x size at {host}" in " ".join(done.stderr.split())
    assert "... and 2 more" in done.stderr
    assert f"argosy status --failed {voyage.library}" in done.stderr
    listed = run("status", "--failed", str(voyage.library)).stdout
    assert listed.startswith(f"5 x 404 at {host}: ")
    assert listed.count("  item-") == 6
    as_json = [
        json.loads(line) for line in run("status", "--failed", "--json", str(voyage.library)).stdout.splitlines()
    ]
    assert [(one["id"], one["cause"]) for one in as_json][-1] == ("item-00008", "size")
    urls = run("status", "--failed-urls", str(voyage.library)).stdout.splitlines()
    assert len(urls) == 6
    assert all(url.startswith(voyage.server.url) for url in urls)
    assert run("status", "--json", str(voyage.library)).returncode == 2


def test_a_second_run_says_that_there_is_nothing_to_do(set_sail: SetSail) -> None:
    voyage = set_sail(items=2)
    assert voyage.run().returncode == 0
    assert f"Nothing to do: 2 items are up to date in {voyage.library}." in voyage.run().stderr


def test_a_shell_completes_commands() -> None:
    script = run("completion", "bash").stdout
    assert "_ARGOSY_COMPLETE=bash_complete" in script
    environment = {"_ARGOSY_COMPLETE": "bash_complete", "COMP_WORDS": "argosy down", "COMP_CWORD": "1"}
    completed = subprocess.run(
        [sys.executable, "-m", "argosy"], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert "plain,download" in completed.stdout


def test_one_plugin_is_shown_by_name_and_by_kind() -> None:
    assert run("plugins", "threads").stdout.startswith("strategy  threads")
    assert {line.split()[0] for line in run("plugins", "output").stdout.splitlines() if line[0] != " "} == {"output"}
    missing = run("plugins", "thread")
    assert (missing.returncode, 'did you mean "threads"?' in missing.stderr) == (2, True)
