"""``argosy doctor`` on real services, healthy and ill."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy_devkit import Fault
from hazards import TOKEN, Authority
from ports import free_port
from voyage import Voyage, run_urls

SetSail = Callable[..., Voyage]


def doctor(*words: str | Path) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Return the exit code, and level and text (with the cure) of each finding by check."""
    done = subprocess.run(
        [sys.executable, "-m", "argosy", "doctor", *map(str, words), "--json"], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert not TOKEN.search(done.stdout.encode())
    found: dict[str, list[tuple[str, str]]] = {}
    for one in map(json.loads, done.stdout.splitlines()):
        found.setdefault(one["check"], []).append((one["level"], f"{one['text']} > {one['cure']}"))
    return done.returncode, found


def test_a_machine_without_a_configuration() -> None:
    code, found = doctor()
    assert (code, found["temporary folder"][0][0], found["plugins"][0][0]) == (0, "ok", "ok")
    done = subprocess.run([sys.executable, "-m", "argosy", "doctor"], capture_output=True, text=True)
    assert "\x1b" not in done.stdout
    assert done.stdout.endswith("To check a service: argosy doctor CONFIG\n")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("revoke", "every response replaces the token (token)"),
        ("static", "the service kept its token over 6 responses"),
        ("slide", "1 of 6 responses replaced the token (token)"),
    ],
)
def test_what_a_service_does_with_its_token(set_sail: SetSail, mode: str, text: str) -> None:
    voyage = set_sail(items=2, lease_mode=mode)
    code, found = doctor(voyage.file, "--requests", "6")
    host = f"127.0.0.1:{voyage.server.port}"
    assert code == 0, found
    assert [level for level, _ in found[host]] == ["ok", "ok"]
    assert "user, password (password)" in found["login page"][-1][1]
    assert found["token"][0][1].startswith(text), found["token"]
    assert "can be resumed (ranges: yes, ETag)" in found["file"][0][1]
    stats = voyage.server.stats()
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)


def test_a_lease_until_the_end_of_the_body_ends_well(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, commit="body", lease="exclusive-to-end")
    code, found = doctor(voyage.file, "--requests", "3")
    stats = voyage.server.stats()
    assert code == 0, found
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0), "no lease ends in doubt"


def test_without_requests_no_credentials_are_sent(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="revoke")
    code, _ = doctor(voyage.file)
    stats = voyage.server.stats()
    assert (code, stats.logins, stats.failed_logins, stats.accepted) == (0, 0, 0, 0)


def test_a_clock_that_is_wrong(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="revoke", date_offset=3600.0)
    code, found = doctor(voyage.file)
    assert code == 0, "a warning is no problem"
    assert any(
        level == "warning" and "behind the server's" in text for level, text in found[f"127.0.0.1:{voyage.server.port}"]
    )


def test_fields_that_the_login_form_does_not_have(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="revoke")
    fields = voyage.config["auth"]["fields"]
    voyage.config["auth"]["fields"] = {"nickname": fields["user"], "password": fields["password"]}
    code, found = doctor(voyage.file, "--requests", "2")
    assert (code, "token" in found) == (1, False), "nothing is sent that cannot work"
    assert "auth.fields.nickname" in found["login page"][-1][1]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:{port}/x", "no answer: Connection refused > Check the port"),
        ("http://nowhere.invalid/x", "its name does not resolve > Check the spelling"),
    ],
)
def test_hosts_that_cannot_be_reached(tmp_path: Path, url: str, text: str) -> None:
    code, found = doctor(run_urls(tmp_path, url.format(port=free_port())).file)
    (last,) = [text for check, findings in found.items() for level, text in findings if level == "problem"]
    assert code == 1
    assert last.startswith(text)


def test_a_certificate_of_an_authority_that_is_not_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    listener, url = authority.serve(authority.ca.issue_cert("127.0.0.1"))
    with listener:
        code, found = doctor(run_urls(tmp_path, f"{url}/x").file)
        ((_, text),) = [one for one in found[url.removeprefix("https://")] if one[0] == "problem"]
        assert code == 1
        assert "TLS fails" in text
        assert "(127.0.0.1), issued by" in text, "which certificate it is"
        assert 'set "ca_bundle"' in text
        code, found = doctor(run_urls(tmp_path, f"{url}/x", ca_bundle="ca.pem").file)
        assert code == 0, found


def test_a_session_is_written_beside_the_store(set_sail: SetSail) -> None:
    voyage = set_sail(items=1)
    store = voyage.root / "cookies.json"
    before = sorted(path.name for path in voyage.root.iterdir())
    code, found = doctor(voyage.file)
    assert code == 0, found
    assert any("can be read again" in text for _, text in found["sessions"])
    assert sorted(path.name for path in voyage.root.iterdir()) == sorted({*before, "argosy.json"}), "nothing is left"
    store.write_text("{ not JSON", "utf-8")
    code, found = doctor(voyage.file)
    assert (code, found["sessions"][0][0]) == (1, "problem")
    assert store.read_text("utf-8") == "{ not JSON"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    voyage = run_urls(tmp_path, "http://127.0.0.1:9/x")
    voyage.config["directory"] = "file/library"
    code, found = doctor(voyage.file)
    assert code == 1
    assert any(level == "problem" for level, _ in found["directory"]), found


def test_a_configuration_that_is_not_valid(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("max_workers = 0\nsourse = 1\n", "utf-8")
    code, found = doctor(tmp_path / "c.toml")
    assert (code, [level for level, _ in found["configuration"]]) == (1, ["problem", "problem"])
    assert doctor(tmp_path / "none.toml")[0] == 1


def test_a_service_that_limits_the_rate_is_not_asked_on(set_sail: SetSail) -> None:
    fault = Fault("status", status=429, retry_after=7, path="/files/")
    voyage = set_sail(items=1, lease_mode="revoke", faults=[fault])
    code, found = doctor(voyage.file, "--requests", "5")
    assert (code, found["rate"][0][0]) == (0, "warning")
    assert "429" in found["rate"][0][1]
    assert "Retry-After: 7" in found["rate"][0][1]
    assert voyage.server.stats().requests < 8


def test_a_file_that_is_not_there(set_sail: SetSail) -> None:
    voyage = set_sail(items=1, lease_mode="revoke", faults=[Fault("status", status=404, path="/files/")])
    code, found = doctor(voyage.file, "--requests", "3")
    assert (code, found["file"][0][0]) == (1, "problem")
    assert "answers 404" in found["file"][0][1]


@pytest.mark.parametrize(
    ("name", "cure"),
    [("c.toml", 'Set cookie_store = {use = "json-file"'), ("c.json", 'Set "cookie_store": {"use": "json-file"')],
)
def test_a_cure_is_in_the_language_of_the_configuration(tmp_path: Path, name: str, cure: str) -> None:
    if name.endswith(".toml"):
        text = 'cookie_store = "memory"\nauth = { use = "form-login", url = "http://127.0.0.1:9/", fields = { u = "a" } }\n'
    else:
        form = {"use": "form-login", "url": "http://127.0.0.1:9/", "fields": {"u": "a"}}
        text = json.dumps({"cookie_store": "memory", "auth": form})
    (tmp_path / name).write_text(text, "utf-8")
    _, found = doctor(tmp_path / name)
    assert found["sessions"][0][0] == "warning"
    assert cure in found["sessions"][0][1]
