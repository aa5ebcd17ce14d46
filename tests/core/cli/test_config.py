"""``argosy config check``: it finds what a run would only find at its start, and all of it at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import warm


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "books.jsonl").write_text('{"url": "https://library.example/a.pdf"}\n', "utf-8")
    (tmp_path / "password.txt").write_text("hush-4711\n", "utf-8")
    return tmp_path


GOOD: dict[str, Any] = {
    "source": {"use": "manifest", "path": "books.jsonl"},
    "auth": {
        "use": "form-login",
        "url": "https://library.example/login",
        "fields": {"user": "ada", "password": {"file": "password.txt"}, "code": {"totp": {"prompt": "Key"}}},
    },
    "cookie_store": {"use": "sqlite", "path": "cookies.sqlite", "encrypt": {"prompt": "Key"}},
    "output": ["files", "index", {"use": "zip", "layout": "{title}"}],
    "observers": [{"use": "json-lines", "path": "events.jsonl"}],
    "proxy": {"prompt": "Proxy"},
    "strategy": "multiprocess",
}


def check(base: Path, **changes: Any) -> tuple[int, list[str]]:
    """Return the exit code of a check, and what it found wrong, without the file's name."""
    config = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path = base / "argosy.json"
    path.write_text(json.dumps(config), "utf-8")
    before = sorted(base.iterdir())
    done = warm.run("config", "check", str(path))
    assert sorted(base.iterdir()) == before, "nothing is made"
    if done.returncode == 0:
        assert done.stdout.startswith(f"{path}: valid\n")
        return 0, []
    first, *found = done.stderr.splitlines()
    assert first == f"argosy: error: The configuration {path} is not valid."
    assert "hush-4711" not in done.stderr
    return done.returncode, [line.strip().removeprefix(f"{path}: ") for line in found]


def test_a_good_one_is_valid_and_nobody_is_asked(base: Path) -> None:
    assert check(base) == (0, [])
    assert check(base, source=None) == (0, [])


@pytest.mark.torture(94)
@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"source": {"use": "manifest", "path": "gone.jsonl"}}, "source: the manifest gone.jsonl cannot be read: "),
        ({"source": {"use": "manifest", "path": "books.xyz"}}, "source: the form of the manifest books.xyz"),
        ({"source": {"use": "urls", "file": "gone.txt"}}, "source: the list of URLs gone.txt cannot be read: "),
        ({"source": {"use": "urls", "urls": ["x"]}}, "source: urls: entry 1: the URL does not begin with http:// or https://; "),
        (
            {"auth": {**GOOD["auth"], "url": "library.example/login"}},
            "auth: in the auth form-login, the option url does not begin with http:// or https://; write a whole URL",
        ),
        (
            {"auth": {**GOOD["auth"], "fields": {"password": {"env": "ARGOSY_TEST_UNSET"}}}},
            ("auth: the environment variable ARGOSY_TEST_UNSET, which should hold a secret, is not set; "
            "set it before the run: export ARGOSY_TEST_UNSET=..."),
        ),
        ({"auth": {**GOOD["auth"], "fields": {"password": {"file": "gone"}}}}, "auth: the file "),
        ({"output": ["files", {"use": "zip", "layout": "{titel}"}]}, 'output[1]: the option "layout" is not valid: '),
        ({"output": {"use": "files", "layout": "{titel}/{path}"}}, 'output: the option "layout" is not valid: '),
        ({"observers": [{"use": "json-lines", "path": "no/e"}]}, "observers: the events cannot be written to "),
        ({"cookie_store": {**GOOD["cookie_store"], "encrypt": {"env": "ARGOSY_TEST_UNSET"}}}, "cookie_store: the env"),
        ({"ca_bundle": "gone.pem"}, "ca_bundle: the CA bundle "),
        ({"proxy": {"env": "ARGOSY_TEST_UNSET"}}, "proxy: the environment variable ARGOSY_TEST_UNSET"),
        ({"proxy": {"file": "password.txt"}}, 'proxy: "proxy" is not the URL of a proxy; '),
        (
            {"proxy": "socks5h://127.0.0.1:1080"},
            """proxy: the transport 'requests' cannot use the socks5h proxy of "proxy"; set transport to "curl", """,
        ),
        ({"directory": "https://h/x"}, "directory: the URL of the directory is one of the web"),
        (
            {"directory": {"url": "sftp://h/x", "options": {"password": {"env": "ARGOSY_TEST_UNSET"}}}},
            "directory: the environment variable ARGOSY_TEST_UNSET",
        ),
    ],
)  # fmt: skip
def test_what_a_run_would_stumble_over_is_found(base: Path, changes: dict[str, Any], found: str) -> None:
    code, problems = check(base, **changes)
    assert (code, len(problems)) == (2, 1), problems
    assert problems[0].startswith(found)
    assert "; " in problems[0], "and it says what to do"


def test_the_transport_decides_what_proxies_can_be_used(base: Path) -> None:
    assert check(base, proxy="socks5h://127.0.0.1:1080", transport="curl") == (0, [])


@pytest.mark.torture(94)
def test_all_is_said_at_once(base: Path) -> None:
    unset = {"env": "ARGOSY_TEST_UNSET"}
    code, problems = check(
        base,
        max_workers="7",
        source={"use": "manifest", "path": "gone.jsonl"},
        auth={"use": "form-login", "url": "library.example", "fields": {"user": unset, "password": unset}},
        output=[{"use": "zip", "layout": "{titel}"}, {"use": "files", "layout": "{x}"}],
        lease=7,
    )
    assert code == 2
    assert [problem.partition(":")[0] for problem in problems] == [
        "lease", "max_workers", "source", "auth", "auth", "auth", "output[0]", "output[1]",
    ]  # fmt: skip


def test_the_items_of_a_manifest_are_read(base: Path) -> None:
    (base / "books.jsonl").write_text('{"url": "https://library.example/a.pdf"}\n{"url": nothing}\n', "utf-8")
    code, found = check(base)
    assert (code, len(found)) == (2, 1)
    assert found[0].startswith("source: books.jsonl:2: not JSON")
