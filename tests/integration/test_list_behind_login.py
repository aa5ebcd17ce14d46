"""Sources that ask the service for their items, behind the login."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy.errors import LoginFailed, PluginError, SourceError
from documents import ROOT
from voyage import Voyage

SetSail = Callable[..., Voyage]
RECIPE = ROOT / "docs" / "plugins" / "recipes" / "my_books.py"

SILENT = """
import argosy

class Silent(argosy.Source):
    name = "silent"
    summary = "Sends a request without saying so"

    def items(self, http):
        http.get("http://127.0.0.1:9/list")
        yield argosy.Item("a", "A")

@argosy.hookimpl
def argosy_source():
    return Silent
"""


@pytest.fixture
def shelf(set_sail: SetSail) -> Callable[..., Voyage]:
    """Set out to the books of a shelf on a server that replaces its token with each response."""

    def start(books: int, **options: Any) -> Voyage:
        voyage = set_sail(items=1, **{"lease_mode": "revoke", **options})
        voyage.config["source"] = {"use": "my-books", "url": voyage.server.url_for(f"/shelf?books={books}")}
        return voyage

    return start


def test_a_list_behind_the_login_is_downloaded(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(12)
    events: list[argosy.Event] = []
    report = argosy.download(voyage.file, events.append, plugins=[RECIPE])
    assert (report.counts.done, report.logins) == (12, 1)
    sizes = {path.name: path.stat().st_size for path in voyage.library.glob("*/*.bin")}
    assert sizes == {f"book-{n}.bin": 1000 + n for n in range(1, 13)}
    stats = voyage.server.stats()
    assert (stats.logins, stats.replaced_tokens_sent, stats.anonymous) == (1, 0, 0)
    kinds = [event.kind for event in events]
    assert kinds.index("run.listing") < kinds.index("run.planned")
    listed = [event.data["items"] for event in events if event.kind == "run.listing"]
    assert listed[0] == 1
    assert listed == sorted(listed)


def test_a_dry_run_logs_in_and_reads_the_list(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(7)
    done = voyage.run("--plugin", str(RECIPE), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "book-7  Book 7  (1 file)" in done.stdout
    assert "7 of 7 items to download" in done.stderr
    assert not voyage.library.exists()
    assert len(argosy.preview(voyage.file, plugins=[RECIPE])) == 7
    assert voyage.run("--plugin", str(RECIPE)).returncode == 0
    stats = voyage.server.stats()
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0), "all three use one session"


def test_a_dry_run_of_another_source_sends_nothing(set_sail: SetSail) -> None:
    voyage = set_sail(items=3)
    assert voyage.run("--dry-run").returncode == 0
    assert voyage.server.stats().requests == 0


def test_login_shows_what_the_source_found(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(12)
    done = voyage.argosy("login", str(voyage.file), "--plugin", str(RECIPE))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Found 12 items."
    stats = voyage.server.stats()
    assert (stats.logins, stats.replaced_tokens_sent) == (1, 0)


def test_the_list_is_read_again_after_the_session_has_ended(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(12)
    argosy.login(voyage.file, plugins=[RECIPE])
    voyage.server.expire_sessions()
    assert len(argosy.preview(voyage.file, plugins=[RECIPE])) == 12
    assert voyage.server.stats().logins == 2


@pytest.mark.torture(163)
def test_errors_name_the_source(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(1)
    voyage.config["source"]["url"] = voyage.server.url_for("/nothing")
    with pytest.raises(SourceError, match=r"list of books cannot be read \(status 404\)"):
        argosy.download(voyage.file, plugins=[RECIPE])
    voyage.config["source"]["url"] = "http://127.0.0.1:9/shelf"
    with pytest.raises(SourceError, match="'my-books' could not reach the service: Connection refused"):
        argosy.download(voyage.file, plugins=[RECIPE])
    (voyage.root / "password.txt").write_text("wrong", "utf-8")
    (voyage.root / "cookies.json").unlink()
    with pytest.raises(LoginFailed):
        argosy.preview(voyage.file, plugins=[RECIPE])


@pytest.mark.torture(163)
def test_a_refused_list_names_the_source(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(1)
    voyage.config["source"]["url"] = voyage.server.url_for("/status/403")
    with pytest.raises(SourceError, match="The source 'my-books' failed: The service refuses this although"):
        argosy.download(voyage.file, plugins=[RECIPE])


def test_a_source_must_say_that_it_asks(tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text(SILENT, "utf-8")
    config = {"source": "silent", "directory": str(tmp_path / "library")}
    for read in (argosy.download, argosy.preview):
        with pytest.raises(PluginError, match=r"'silent' failed: .* does not set asks = True"):
            read(config, plugins=[tmp_path / "silent.py"])


@pytest.mark.torture(163)
def test_ctrl_c_ends_the_reading_of_a_list(shelf: Callable[..., Voyage]) -> None:
    voyage = shelf(10**9)
    process = voyage.start("--plugin", str(RECIPE), "--events", "-", "--quiet")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["kind"] == "run.listing":
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    voyage.config["source"]["url"] = voyage.server.url_for("/shelf?books=2")
    assert argosy.download(voyage.file, plugins=[RECIPE]).logins == 0, "the session is good"
    assert voyage.server.stats().replaced_tokens_sent == 0
