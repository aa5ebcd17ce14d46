"""argosy in the programs that people write: notebooks, asyncio, type checkers, Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argosy
from voyage import Voyage

SetSail = Callable[..., Voyage]

PROGRAM = """
from pathlib import Path

import argosy
from argosy.events import Event


def show(event: Event) -> None:
    print(event.kind, event.item)


report = argosy.download(["https://library.example/a"], show, directory=Path("library"), progress=True)
report = argosy.download(Path("argosy.toml"), plugins="one.py", limit=2, max_workers=3)
for item in report.items:
    paths: tuple[Path, ...] = item.paths
    print(item.title, item.state, [file.sha256 for file in item.files])
for failure in report.failures:
    words: list[str] = [failure.title, failure.id, failure.kind, failure.message]
    others: list[str | None] = [failure.url, failure.path, failure.hint]
files: list[Path] = report.paths
is_ok: bool = report.ok
report.write("report.json")
report.write(Path("report.html"))
try:
    argosy.remake({"directory": "library"})
except argosy.ArgosyError as error:
    print(error.message, error.hint)
"""


@pytest.mark.slow  # mypy reads argosy and its libraries
def test_a_program_of_a_user_passes_a_strict_type_checker(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    program.write_text("import argosy\n\nargosy.download(1)\n", "utf-8")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "[arg-type]" in done.stdout


def test_a_call_may_limit_the_items_and_replace_keys_of_the_configuration(set_sail: SetSail) -> None:
    voyage = set_sail(items=5, size=100)
    planned = []
    report = argosy.download(
        voyage.file,
        lambda event: planned.append(dict(event.data)) if event.kind == "run.planned" else None,
        limit=2,
        max_workers=1,
    )
    assert (report.counts.done, report.strategy_used, len(voyage.done())) == (2, "serial", 2)
    assert [(data["to_do"], data["beyond"]) for data in planned] == [(2, 3)]
    with pytest.raises(argosy.ArgosyError) as raised:
        argosy.download(voyage.file, max_worker=1)
    assert "max_worker" in str(raised.value)


def test_it_runs_below_an_event_loop_and_in_its_threads(set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> None:
    voyage = set_sail(items=4, max_workers=2)
    monkeypatch.chdir(voyage.root)

    async def main() -> list[argosy.Report]:
        first = argosy.download(voyage.config)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(tick())
        second = await asyncio.to_thread(argosy.download, {**voyage.config, "force_redownload": True})
        task.cancel()
        assert ticks > 1, "the download blocked the loop"
        return [first, second]

    assert [report.counts.done for report in asyncio.run(main())] == [4, 4]
    assert voyage.wrong() == []


def test_ctrl_c_keeps_what_is_done_and_says_how_far_it_got(set_sail: SetSail, monkeypatch: pytest.MonkeyPatch) -> None:
    voyage = set_sail(items=6, max_workers=1)
    monkeypatch.chdir(voyage.root)
    pressed: list[str | None] = []

    def press(event: Any) -> None:
        if event.kind == "item.finished" and not pressed:
            pressed.append(event.item)
            os.kill(os.getpid(), signal.SIGINT)
            # until the main thread has taken the signal; this thread cannot end before the function returns
            while all(thread.name != "argosy-stopping" for thread in threading.enumerate()):
                time.sleep(0.01)

    with pytest.raises(argosy.ArgosyError, match="all finished work are saved") as caught:
        argosy.download(voyage.config, press)
    report = caught.value.report  # type: ignore[attr-defined]  # only of a run that had started
    assert (type(caught.value).__name__, report.ok, report.failures) == ("Interrupted", False, ())
    states = [item.state for item in report.items]
    assert (states.count("done"), states.count("left")) == (report.counts.done, report.counts.left)
    assert report.counts.done >= 1
    assert all(path.exists() for path in report.paths)
    after = argosy.download(voyage.config)
    assert (after.ok, after.counts.skipped) == (True, report.counts.done)


NOTEBOOK = """
import argosy
report = argosy.download({config!r}, progress=True)
report
"""


@pytest.mark.slow  # starts a kernel
def test_a_notebook_shows_the_progress_in_place_and_the_report_as_a_table(set_sail: SetSail) -> None:
    nbclient: Any = pytest.importorskip("nbclient")
    nbformat: Any = pytest.importorskip("nbformat")
    voyage = set_sail(items=4, max_workers=2)
    shown: list[str] = []

    class Client(nbclient.NotebookClient):  # type: ignore[misc]  # it has no types
        def process_message(self, message: Any, cell: Any, index: int) -> Any:
            if message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(message["content"]["data"]["text/html"])
            return super().process_message(message, cell, index)

    notebook = nbformat.v4.new_notebook()
    config = {**voyage.config, "directory": str(voyage.root / "library")}
    notebook.cells = [
        nbformat.v4.new_code_cell(NOTEBOOK.format(config=config)),
        nbformat.v4.new_code_cell(f"import asyncio\n(await asyncio.to_thread(argosy.download, {config!r})).ok"),
    ]
    Client(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(voyage.root)}}).execute()
    progress, table = notebook.cells[0].outputs
    assert "4 of 4 items to download" in progress["data"]["text/html"]
    assert len(shown) > 1, "the display is not updated in place"
    assert "4 items: 4 done" in table["data"]["text/html"]
    assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "True"
