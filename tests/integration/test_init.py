"""``argosy init``: asks, looks at a real login page, tries one item, and writes a configuration that works."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import warm
from argosy_devkit import LibraryServer

PASSWORD = "difference engine"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LibraryServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIB_PW", PASSWORD)
    with LibraryServer(lease_mode="revoke", password=PASSWORD) as server:
        server.manifest(tmp_path / "books.jsonl", items=3, resources_per_item=1, size=500)
        yield server


def answers(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_answers_from_a_pipe(library: LibraryServer, tmp_path: Path) -> None:
    given = answers(
        "", "gone.txt", "argosy.toml", "books.jsonl",  # what: three bad answers
        "library.example/login", library.url_for("/gone"), library.login_url,  # the login page: two bad answers
        "ada", PASSWORD, "env:LIB_PW",  # the password itself is not an answer
        "books.jsonl", "library",  # not a directory
        "y", "y",
    )  # fmt: skip
    done = warm.run("init", cwd=tmp_path, input=given)
    assert done.returncode == 0, done.stderr
    for said in (
        "There is no file 'gone.txt'",
        "'argosy.toml' is a configuration",
        "does not begin with http:// or https://",
        "answered with status 401",
        "Not the password itself",
        "books.jsonl is a file.",
        "The login form has the fields: csrf, realm, user, password, action.",
        "1 of 1 item",
        "Wrote argosy.toml.\n  Next: argosy download argosy.toml\n",
    ):
        assert said in done.stderr
    text = (tmp_path / "argosy.toml").read_text("utf-8")
    assert 10 <= len(text.splitlines()) <= 20
    assert PASSWORD not in text + done.stderr + done.stdout
    assert tomllib.loads(text) == {
        "source": {"use": "manifest", "path": "books.jsonl"},
        "directory": "library",
        "max_workers": 4,
        "cookie_store": {"use": "json-file", "path": "cookies.json"},
        "auth": {
            "use": "form-login",
            "url": library.login_url,
            "fields": {"user": "ada", "password": {"env": "LIB_PW"}},
        },
    }
    # the rest, on the same session
    done = warm.run("download", "argosy.toml", cwd=tmp_path)
    assert (done.returncode, "2 of 3 items" in done.stderr) == (0, True)
    assert (library.stats().logins, library.stats().refused) == (1, 0)


def options(server: LibraryServer, *more: str) -> tuple[str, ...]:
    return (
        "init", "--source", "books.jsonl", "--login", server.login_url, "--user", "ada", "--directory", "library", *more
    )  # fmt: skip


def test_everything_by_options(library: LibraryServer, tmp_path: Path) -> None:
    done = warm.run(*options(library, "--password", "env:LIB_PW", "--try", "--yes"), cwd=tmp_path, input="")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "library").rglob("*.bin"))) == 1
    before = (tmp_path / "argosy.toml").read_bytes()
    again = warm.run(*options(library, "--password", "prompt", "--no-try", "--yes"), cwd=tmp_path, input="")
    assert again.returncode == 2
    assert "argosy.toml already exists and was not changed" in again.stderr
    assert (tmp_path / "argosy.toml").read_bytes() == before
    no = warm.run(*options(library, "--password", "prompt", "--no-try"), cwd=tmp_path, input="n\n")
    assert (no.returncode, (tmp_path / "argosy.toml").read_bytes()) == (2, before)
    forced = warm.run(*options(library, "--password", "prompt", "--no-try", "--yes", "--force"), cwd=tmp_path, input="")
    assert forced.returncode == 0, forced.stderr
    assert "prompt" in (tmp_path / "argosy.toml").read_text("utf-8")


def test_a_trial_that_fails_writes_nothing_unasked(library: LibraryServer, tmp_path: Path) -> None:
    given = options(library, "--password", "env:ARGOSY_TEST_WRONG", "--try", "--yes")
    done = warm.run(*given, cwd=tmp_path, input="\n", env={**os.environ, "ARGOSY_TEST_WRONG": "wrong-4711"})
    assert done.returncode == 3
    assert "did not accept the login" in done.stderr
    assert "wrong-4711" not in done.stderr
    assert not (tmp_path / "argosy.toml").exists()


def test_a_password_that_is_not_there_is_no_trial(library: LibraryServer, tmp_path: Path) -> None:
    done = warm.run(*options(library, "--password", "env:ARGOSY_TEST_UNSET", "--try", "--yes"), cwd=tmp_path, input="")
    assert done.returncode == 0
    assert "Not tried: the password is not there yet." in done.stderr
    assert "Next: export ARGOSY_TEST_UNSET='...' && argosy download argosy.toml" in done.stderr
    assert library.stats().logins == 0


def test_no_login_and_a_page_without_a_form(library: LibraryServer, tmp_path: Path) -> None:
    with LibraryServer(lease_mode="open") as public:
        given = answers(
            f"{library.url}/files/a.bin?size=3 {library.url}/page",
            public.url_for("/files/a?size=9"),
            "none",
            "",
            "n",
            "y",
        )
        done = warm.run("init", "x.toml", cwd=tmp_path, input=given)
    assert done.returncode == 0, done.stderr
    assert "has no form with a password field" in done.stderr
    assert "argosy plugin new source" in done.stderr
    assert set(tomllib.loads((tmp_path / "x.toml").read_text("utf-8"))) == {"source", "directory", "max_workers"}


def test_the_input_ends_early(library: LibraryServer, tmp_path: Path) -> None:
    done = warm.run("init", cwd=tmp_path, input="books.jsonl\n")
    assert done.returncode == 2
    assert "The input ended before all questions were answered; argosy.toml was not written." in done.stderr
    assert not (tmp_path / "argosy.toml").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("init", "x.json"), "x.json must end in .toml"),
        (("init", "no/x.toml"), "There is no directory"),
        (("init", "--source", "gone.txt"), "There is no file 'gone.txt'"),
        (("init", "--source", "books.jsonl", "--login", "x"), "Write a whole URL"),
    ],
)
def test_bad_options(library: LibraryServer, tmp_path: Path, given: tuple[str, ...], said: str) -> None:
    done = warm.run(*given, cwd=tmp_path, input="")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


class _Terminal:
    """A program in a terminal."""

    def __init__(self, folder: Path) -> None:
        self.seen = ""
        self._end, child = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "argosy", "init"],
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=folder,
            start_new_session=True,
        )
        os.close(child)

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, and answer it."""
        self.expect(question)
        os.write(self._end, f"{text}\n".encode())

    def expect(self, text: str) -> None:
        """Wait for a text, and forget everything up to it."""
        while text not in self.seen:
            ready, _, _ = select.select([self._end], [], [], 60)
            assert ready, self.seen
            try:
                part = os.read(self._end, 4096)
            except OSError:
                part = b""
            assert part, self.seen
            self.seen += part.decode()
        self.seen = self.seen.partition(text)[2]

    def interrupt(self) -> None:
        """Press Ctrl-C until the program ends: readline misses it in the moment before it waits."""
        while self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def close(self) -> int:
        code = self.process.wait(60)
        os.close(self._end)
        return code


def test_a_password_typed_in_a_terminal(library: LibraryServer, tmp_path: Path) -> None:
    terminal = _Terminal(tmp_path)
    terminal.answer("What to download", "books.jsonl")
    terminal.answer("login page", library.login_url)
    terminal.answer("The user name", "ada")
    terminal.answer("keep the password", "env:ARGOSY_TEST_UNSET")
    terminal.answer("The target directory", "")
    terminal.answer("Download the first item", "")
    terminal.expect("Password (for the trial; it is not written)")
    terminal.answer(": ", PASSWORD)
    terminal.expect("1 of 1 item")
    assert PASSWORD not in terminal.seen
    terminal.answer("Write this to argosy.toml?", "")
    terminal.expect("Wrote argosy.toml.")
    assert terminal.close() == 0
    assert library.stats().logins == 1


def test_ctrl_c_leaves_nothing(library: LibraryServer, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    terminal = _Terminal(tmp_path)
    terminal.answer("What to download", "books.jsonl")
    terminal.answer("login page", library.login_url)
    terminal.expect("The user name")
    terminal.interrupt()
    terminal.expect("argosy.toml was not written.")
    assert terminal.close() == 130
    assert sorted(tmp_path.iterdir()) == before
