"""The page of a run, in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import ArgosyError, SourceError
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy_report.observer import HtmlReport
from argosy_report.page import page
from argosy_report.reading import read_events
from argosy_report.timeline import MOST_POINTS, Timeline

START = 1_700_000_000.0
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def timeline_of(*events: tuple[float, str, str | None, dict[str, Any]]) -> Timeline:
    made = Timeline()
    for at, kind, item, data in events:
        made.take(Event(EventKind(kind), START + at, item, data))
    return made


def a_run(items: int, failed: int = 0, title: Callable[[int], str] = "Book {}".format) -> Timeline:
    """Return a run with two workers, whose requests take the token in turn."""
    made = timeline_of((0, "run.started", None, {"directory": "/lib", "max_workers": 2}))
    clock = 0.0
    events: list[tuple[float, int, str, dict[str, Any]]] = []
    for number in range(items):
        clock += 0.1
        asked = {"path": "a.pdf", "sent": START + clock + 0.02, "answered": START + clock + 0.09}
        is_failed = number < failed
        ended = {"state": "failed" if is_failed else "done", "bytes": 1000, "failure": "gone" if is_failed else None}
        events += [
            (clock, number, "item.started", {"title": title(number), "resources": 1}),
            (clock + 0.095, number, "resource.started", asked),
            (clock + 0.15, number, "resource.progress", {"bytes": 600}),
            (clock + 0.18, number, "resource.finished", {"bytes": 1000}),
            (clock + 0.19, number, "item.finished", ended),
        ]
    for at, number, kind, data in sorted(events, key=lambda event: event[:2]):
        made.take(Event(EventKind(kind), START + at, f"b{number}", data))
    failures = [
        {
            "id": f"b{n}",
            "title": title(n),
            "kind": "status",
            "message": "The server answered 404.",
            "url": f"https://library.example/{n}",
        }
        for n in range(min(failed, 100))
    ]
    summary = {
        "argosy": "0.2.0", "run": "r", "started": "2026-11-30T00:00:00+00:00", "seconds": clock + 0.3, "directory": "/lib",
        "strategy": {"asked": None, "used": "threads", "reason": None},
        "lease": {"asked": "auto", "used": "exclusive", "reason": "learned"},
        "counts": {"items": items, "done": items - failed, "skipped": 0, "failed": failed, "left": 0},
        "max_workers": 2, "sessions": 1, "bytes": 1000 * items, "requests": items, "retries": 0, "logins": 1, "refreshes": 0,
        "refusals": 0, "notices": ["Look."], "failures": failures, "failures_total": failed,
    }  # fmt: skip
    made.take(Event(EventKind.RUN_FINISHED, START + clock + 0.3, None, summary))
    return made


# -- the timeline


def test_a_request_holds_the_token_until_its_headers_are_in() -> None:
    data = a_run(2).to_dict()
    assert data["requests"]["sent"] == [120, 220]
    assert data["requests"]["headers"] == [190, 290]
    assert data["requests"]["end"] == [280, 380]
    assert sum(data["received"]) == 2000
    assert (data["items"]["lane"], data["lanes"]) == ([0, 1], 2)


def test_no_more_lanes_than_workers_if_items_are_recorded_late() -> None:
    events: list[tuple[float, str, str | None, dict[str, Any]]] = [(0, "run.started", None, {"max_workers": 1})]
    for number in range(5):
        events += [
            (number + 0.1, "item.started", f"b{number}", {"title": "T", "resources": 1}),
            (number + 0.5, "resource.finished", f"b{number}", {"bytes": 5}),
        ]
    events += [(9, "item.finished", f"b{number}", {"state": "done", "bytes": 5}) for number in range(5)]
    data = timeline_of(*events).to_dict()
    assert data["lanes"] == 1
    assert data["items"]["end"] == [1100, 2100, 3100, 4100, 9000]
    assert data["items"]["state"] == ["done"] * 5


def test_a_long_run_has_a_bounded_number_of_points() -> None:
    made = timeline_of((0, "run.started", None, {}))
    for second in range(0, 200_000, 50):
        made.take(Event(EventKind.RESOURCE_PROGRESS, START + second, "b", {"bytes": 7}))
    data = made.to_dict()
    assert len(data["received"]) <= MOST_POINTS
    assert sum(data["received"]) == 7 * 4000


def test_marks_say_what_happened() -> None:
    made = timeline_of(
        (0, "run.started", None, {}),
        (1, "session.login", None, {"number": 1, "reason": "first use"}),
        (2, "run.notice", None, {"message": "h is down: no answer. The run pauses."}),
        (3, "item.started", "b", {"title": "T"}),
        (4, "resource.retry", "b", {"cause": "The server answered 429 Too Many Requests."}),
        (5, "resource.retry", "b", {"cause": "reset"}),
    )
    assert [kind for _, kind, _ in made.marks] == ["login", "outage", "throttled", "retry"]


# -- the page


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_draws_without_an_error(browser: Any, tmp_path: Path, dark: bool) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(10, failed=2)), "utf-8")
    script = """({
        rows: document.querySelectorAll('#items tbody tr').length,
        shown: !document.getElementById('charts').hidden,
        heading: document.querySelector('h1').textContent,
        painted: [...document.querySelectorAll('canvas')].map((canvas) =>
            new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 8),
        background: getComputedStyle(document.body).backgroundColor,
    })"""
    found, console = browser.open(file, script, dark=dark)
    assert console == []
    assert (found["rows"], found["shown"], found["painted"]) == (10, True, [True, True])
    assert found["heading"] == "2 of 10 items failed"
    assert found["background"] == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")


def test_search_sorting_and_zoom_work(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(300, failed=3)), "utf-8")
    script = """(() => {
        const texts = () => [...document.querySelectorAll('#items tbody tr')].map((row) => row.cells[0].textContent);
        const search = document.getElementById('search');
        const first = texts().length;
        document.getElementById('more').click();
        const all = texts().length;
        search.value = 'failed';
        search.dispatchEvent(new Event('input'));
        const failed = texts();
        search.value = '';
        search.dispatchEvent(new Event('input'));
        document.querySelectorAll('#items th button')[4].click();
        const started = texts()[0];
        const canvas = document.getElementById('timeline');
        const image = () => canvas.toDataURL();
        const whole = image();
        canvas.dispatchEvent(new KeyboardEvent('keydown', {key: '+'}));
        const near = image();
        canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));
        const right = image();
        canvas.dispatchEvent(new KeyboardEvent('keydown', {key: '0'}));
        return {first, all, failed, started, zoomed: whole !== near, moved: near !== right, back: whole === image()};
    })()"""
    found, console = browser.open(file, script)
    assert console == []
    assert (found["first"], found["all"]) == (100, 300)
    assert [text.partition(":")[0] for text in found["failed"]] == ["Book 0", "Book 1", "Book 2"]
    assert found["started"] == "Book 299"
    assert (found["zoomed"], found["moved"], found["back"]) == (True, True, True)


def test_a_title_full_of_html_does_nothing(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(3, failed=1, title=lambda number: HOSTILE)), "utf-8")
    script = "({images: document.images.length, text: document.querySelector('#items td').textContent, scripts: document.scripts.length})"
    found, console = browser.open(file, script)
    assert console == []
    assert (found["images"], found["scripts"]) == (0, 2)
    assert HOSTILE in found["text"]


def test_a_page_needs_no_network(tmp_path: Path) -> None:
    text = page(a_run(3))
    assert "default-src &#x27;none&#x27;;" in text
    assert not re.search(r"""(src|href)\s*=|@import|url\(""", text)


@pytest.mark.slow
def test_a_run_of_100000_items_fits(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(
        page(a_run(100_000, failed=30, title=lambda number: f"The {number * 7919 % 100_003}th book of many")), "utf-8"
    )
    assert file.stat().st_size < 3_000_000
    found, console = browser.open(file, "document.getElementById('found').textContent")
    assert (found, console) == ("100000 of 100000, 100 shown", [])


def test_a_run_that_is_too_large_shows_its_first_items(
    monkeypatch: pytest.MonkeyPatch, browser: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr("argosy_report.page.MOST_DATA", 3000)
    file = tmp_path / "report.html"
    file.write_text(page(a_run(1000)), "utf-8")
    found, console = browser.open(
        file, "[document.querySelectorAll('#items tbody tr').length, document.getElementById('explain').textContent]"
    )
    assert console == []
    assert 0 < found[0] <= 100
    assert re.search(r"The first \d+ items are shown; \d+ more are not", found[1])


def test_words_say_why_it_was_fast_and_safe(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(10)), "utf-8")
    found, _ = browser.open(file, "document.getElementById('explain').textContent")
    assert "One after another, that is 1.60 s; with 2 workers it took 1.06 s" in found
    assert "no two requests held the token at the same moment" in found


def test_paper_is_light_and_has_its_own_width(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(10, failed=8)), "utf-8")
    script = """(() => {
        const canvas = document.getElementById('timeline');
        const folded = () => document.querySelectorAll('details:not([open]):not([hidden])').length;
        const screen = canvas.toDataURL();
        window.dispatchEvent(new Event('beforeprint'));
        const paper = [canvas.width, canvas.toDataURL(), folded()];
        window.dispatchEvent(new Event('afterprint'));
        return {paper, back: canvas.toDataURL() === screen, folded: folded()};
    })()"""
    light, dark = (browser.open(file, script, dark=is_dark)[0] for is_dark in (False, True))
    assert light["paper"] == dark["paper"]
    assert (dark["paper"][0], dark["back"]) == (3 * 680, True)
    assert (dark["paper"][2], dark["folded"]) == (0, 1)


def test_buttons_move_and_zoom_and_a_drag_can_be_taken_away(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(30)), "utf-8")
    script = """(() => {
        const canvas = document.getElementById('timeline');
        const images = [canvas.toDataURL()];
        const press = (name) => { document.getElementById(name).click(); images.push(canvas.toDataURL()); };
        ['nearer', 'later', 'earlier', 'farther', 'whole', 'nearer'].forEach(press);
        canvas.setPointerCapture = () => {};
        const point = (kind, x) => {
            canvas.dispatchEvent(new PointerEvent(kind, {button: 0, clientX: x, clientY: 9}));
            images.push(canvas.toDataURL());
        };
        point('pointerdown', 500); point('pointermove', 400); point('pointercancel', 400); point('pointermove', 300);
        return images.map((image) => images.indexOf(image));
    })()"""
    whole, near, later = 0, 1, 2
    found, console = browser.open(file, script)
    assert console == []
    # the last move changes nothing, as the drag was over
    assert found == [whole, near, later, near, whole, whole, near, near, 8, 8, 8]


# -- the observer and the command


def test_the_observer_writes_the_page_at_the_end(tmp_path: Path) -> None:
    observer = HtmlReport({"path": "report.html"}, PluginContext(base=tmp_path))
    observer.check()
    observer.on_event(Event(EventKind.RUN_STARTED, START, None, {"directory": "/lib"}))
    assert not (tmp_path / "report.html").exists()
    observer.close()
    assert "The run did not finish" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("path", ["missing/report.html", "."])
def test_a_page_that_cannot_be_written_is_found_before(tmp_path: Path, path: str) -> None:
    with pytest.raises(ArgosyError):
        HtmlReport({"path": path}, PluginContext(base=tmp_path)).check()


def test_events_in_a_file_become_a_page(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    lines = [
        {"kind": "run.started", "at": START, "item": None, "data": {}},
        {"kind": "item.started", "at": START + 1, "item": "b", "data": {"title": "T"}},
    ]
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    assert read_events(file).to_dict()["items"]["title"] == ["T"]
    file.write_text('{"kind": "other"}\n', "utf-8")
    with pytest.raises(SourceError, match=r"events\.jsonl:1"):
        read_events(file)
    file.write_text("", "utf-8")
    with pytest.raises(SourceError, match="no events"):
        read_events(file)


def test_a_last_line_that_a_kill_has_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    first = json.dumps({"kind": "run.started", "at": START, "item": None, "data": {}})
    file.write_text(f'{first}\n{{"kind": "item.sta', "utf-8")
    assert read_events(file).to_dict()["items"]["title"] == []
    file.write_text(f'{first}\n{{"kind": "item.sta\n', "utf-8")
    with pytest.raises(SourceError, match=r"events\.jsonl:2"):
        read_events(file)


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    made = timeline_of(
        (0, "run.started", None, {}),
        (100, "item.started", "a", {"title": "A"}),
        (-3500, "item.started", "b", {"title": "B"}),
        (-3490, "item.finished", "b", {"state": "done", "bytes": 5}),
        (-3480, "item.finished", "a", {"state": "done", "bytes": 5}),
    )
    items = made.to_dict()["items"]
    assert (items["start"], items["end"]) == ([100_000, 100_000], [120_000, 110_000])


def test_keys_of_the_browser_stay_its_own(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(a_run(10)), "utf-8")
    script = """(() => {
        const canvas = document.getElementById('timeline');
        const whole = canvas.toDataURL();
        for (const key of ['+', '-', 'ArrowRight'])
            canvas.dispatchEvent(new KeyboardEvent('keydown', {key, ctrlKey: true}));
        return whole === canvas.toDataURL();
    })()"""
    assert browser.open(file, script) == (True, [])
