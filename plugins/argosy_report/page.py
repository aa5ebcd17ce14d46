"""The page of a run: what people need first is plain HTML; a script draws the rest from data in the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from argosy.toolkit.text import one_line, plural, size_text, time_text
from argosy_report.timeline import Timeline

#: Failures to show of each group.
MOST_SHOWN = 20

#: Failures of a group that are shown at once; the others, up to `MOST_SHOWN`, unfold.
SHOWN_AT_ONCE = 5

#: Characters of the data of a page, so that the page stays below 3 MB.
MOST_DATA = 2_800_000


def page(timeline: Timeline) -> str:
    """Return the page of a run as HTML, below 3 MB, without links to anything else."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    summary = timeline.summary
    lease = summary.get("lease") or {}
    packed = _packed({**timeline.to_dict(), "lease": lease.get("used"), "sessions": summary.get("sessions")})
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    title = f"argosy: {_outcome(summary)}"
    parts = [
        f"<h1>{escape(_outcome(summary))}</h1>",
        f'<p class="where">{escape(_where(timeline))}</p>',
        *_tiles(timeline),
        *_failures(summary),
        _CHARTS,
        *_notices(summary),
        *_settings(timeline),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/octet-stream" id="data">{packed}</script>\n<script>{script}</script>\n'
        "</body>\n</html>\n"
    )


_CHARTS = """\
<section id="charts" hidden>
<h2 id="who">What each worker did</h2>
<div id="explain"></div>
<p class="legend"><span><span class="key held"></span>holds the token</span>
<span><span class="key body"></span>its file arrives, no token needed</span>
<span><span class="key idle"></span>waits for the token, or works on this machine</span>
<span><span class="key failed"></span>failed</span></p>
<canvas id="timeline" tabindex="0" role="img" aria-describedby="explain"
 aria-label="A lane for each worker over time: arrow keys move, + and - zoom, 0 shows everything"></canvas>
<p class="controls"><button type="button" id="nearer">Zoom in</button> <button type="button" id="farther">Zoom out</button>
<button type="button" id="earlier">Earlier</button> <button type="button" id="later">Later</button>
<button type="button" id="whole">Everything</button></p>
<p class="hint">Or scroll over it and drag it; with the keyboard: + and - to zoom, arrow keys to move, 0 for everything.</p>
<p id="tip" role="status"></p>
<h2>Throughput</h2>
<p class="legend"><span><span class="key body"></span>bytes per second</span>
<span><span class="key line"></span>active items</span> <span><span class="key mark"></span>login or refresh</span>
<span><span class="key trouble"></span>retry, slow down (429) or outage</span></p>
<canvas id="throughput" height="120" role="img" aria-label="Bytes per second and active items over time"></canvas>
<details id="marks" hidden><summary></summary><ul></ul></details>
<h2>Items</h2>
<p><label>Search <input id="search" type="search" autocomplete="off"></label>
<span id="found" role="status"></span></p>
<table id="items"><thead><tr></tr></thead><tbody></tbody></table>
<p><button type="button" id="more" hidden>Show more</button></p>
</section>
<noscript><p>The charts and the list of items need JavaScript.</p></noscript>"""


def _packed(data: dict[str, Any]) -> str:
    """Return what the script draws, compressed; of a run that is too large for a page, the first items."""
    count = len(data["items"]["id"])
    while True:
        text = json.dumps(_differences(data, count), separators=(",", ":"))
        packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
        if len(packed) <= MOST_DATA or not count:
            return packed
        count = min(int(count * MOST_DATA / len(packed) * 0.95), count - 1)


def _differences(data: dict[str, Any], count: int) -> dict[str, Any]:
    """Return the first items and their requests, with differences for times, as they compress better."""
    items = {name: column[:count] for name, column in data["items"].items()}
    rows = [n for n, item in enumerate(data["requests"]["item"]) if item < count]
    requests = {name: [data["requests"][name][n] for n in rows] for name in ("item", "sent", "headers", "end")}
    same = zip(items["title"], items["id"], strict=True)
    items |= {
        "title": ["" if title == id_ else title for title, id_ in same],
        "start": _steps(items["start"]),
        "end": _minus(items["end"], items["start"]),
    }
    requests = {
        "item": _steps(requests["item"]),
        "sent": _steps(requests["sent"]),
        "headers": _minus(requests["headers"], requests["sent"]),
        "end": _minus(requests["end"], requests["headers"]),
    }
    left_out = data["left_out"] + len(data["items"]["id"]) - count
    return {**data, "left_out": left_out, "items": items, "requests": requests}


def _steps(column: Sequence[int]) -> list[int]:
    return _minus(column, [0, *column][: len(column)])


def _minus(column: Sequence[int], other: Sequence[int]) -> list[int]:
    return [one - two for one, two in zip(column, other, strict=True)]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _outcome(summary: Mapping[str, Any]) -> str:
    counts = summary.get("counts")
    if not counts:
        return "The run did not finish"
    if counts["failed"]:
        return f"{counts['failed']} of {plural(counts['items'], 'item')} failed"
    if counts["left"]:
        return f"{counts['left']} of {plural(counts['items'], 'item')} left to do"
    return f"All {counts['items']} items are complete" if counts["items"] != 1 else "The item is complete"


def _where(timeline: Timeline) -> str:
    summary = timeline.summary
    started = str(summary.get("started", ""))[:19].replace("T", " ")
    where = summary.get("directory") or timeline.facts.get("directory") or ""
    return f"{where}, {started} UTC" if started else str(where)


def _tiles(timeline: Timeline) -> Iterator[str]:
    summary = timeline.summary
    counts = summary.get("counts")
    if not counts:
        return
    seconds = summary["seconds"]
    speed = size_text(summary["bytes"] / seconds) if seconds else "0 B"
    tiles = [
        ("done", counts["done"], "good"),
        ("failed", counts["failed"], "bad" if counts["failed"] else ""),
        ("done before", counts["skipped"], ""),
        ("time", time_text(seconds), ""),
        ("data", size_text(summary["bytes"]), ""),
        ("speed", f"{speed}/s", ""),
        ("workers", summary["max_workers"], ""),
        ("requests", summary["requests"], ""),
        ("retries", summary["retries"], ""),
        ("logins", summary["logins"], ""),
        ("refusals", summary["refusals"], ""),
    ]
    yield '<dl class="tiles">'
    for name, value, kind in tiles:
        yield f'<div class="{kind}"><dt>{name}</dt><dd>{escape(str(value))}</dd></div>'
    yield "</dl>"


def _failures(summary: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for failure in summary.get("failures", ()):
        host = urlsplit(failure.get("url") or "").netloc.rpartition("@")[2]
        groups.setdefault((_cause(failure), host), []).append(failure)
    if not groups:
        return
    total = summary["failures_total"]
    listed = sum(map(len, groups.values()))
    yield f"<h2>{plural(total, 'failed item')}{f', the first {listed} of them' if listed < total else ''}</h2>"
    ordered = sorted(groups.items(), key=lambda entry: -len(entry[1]))
    names = [
        f"{len(items)} &times; {escape(kind)}{f' at {escape(host)}' if host else ''}" for (kind, host), items in ordered
    ]
    if len(names) > 1:
        yield f'<p class="groups">{"<br>".join(names[:MOST_SHOWN])}</p>'
    where = shlex.quote(str(summary["directory"]))
    yield (
        "<p>To try them again, run the same command. All of them: "
        f"<code>argosy status --failed {escape(where)}</code></p>"
    )
    for name, (_, items) in zip(names, ordered, strict=True):
        yield f"<h3>{name}</h3>\n<ul>"
        yield from (f"<li>{_failure(item)}</li>" for item in items[:SHOWN_AT_ONCE])
        yield "</ul>"
        if more := items[SHOWN_AT_ONCE:]:
            yield f"<details><summary>{len(more)} more</summary>\n<ul>"
            yield from (f"<li>{_failure(item)}</li>" for item in more[: MOST_SHOWN - SHOWN_AT_ONCE])
            if len(items) > MOST_SHOWN:
                yield f"<li>… and {len(items) - MOST_SHOWN} more</li>"
            yield "</ul></details>"


def _cause(failure: Mapping[str, Any]) -> str:
    """Return the cause in a word: of a status that does not deliver the file, the status itself."""
    status = re.search(r"\b[1-5][0-9][0-9]\b", str(failure["message"])) if failure["kind"] == "status" else None
    return status[0] if status else str(failure["kind"])


def _failure(failure: Mapping[str, Any]) -> str:
    names = " ".join(dict.fromkeys(str(failure[key]) for key in ("title", "id") if failure.get(key)))
    url = f"<br><code>{escape(failure['url'])}</code>" if failure.get("url") else ""
    return f"<b>{escape(one_line(names))}</b>: {escape(one_line(str(failure['message'])))}{url}"


def _notices(summary: Mapping[str, Any]) -> Iterator[str]:
    if notices := summary.get("notices"):
        yield "<h2>Notices</h2>\n<ul>"
        yield from (f"<li>{escape(one_line(str(notice)))}</li>" for notice in notices)
        yield "</ul>"


def _settings(timeline: Timeline) -> Iterator[str]:
    summary = timeline.summary
    rows: list[tuple[str, object]] = []
    for name in ("strategy", "lease"):
        value = summary.get(name)
        if isinstance(value, Mapping):
            reason = f" ({value['reason']})" if value.get("reason") else ""
            rows.append((name, f"{value['used']}{reason}"))
    rows += [(name.replace("_", " "), summary[name]) for name in ("max_workers", "sessions") if name in summary]
    rows += [("argosy", summary[name]) for name in ("argosy",) if name in summary]
    rows += [("run", summary[name]) for name in ("run",) if name in summary]
    yield "<h2>Settings</h2>\n<table class='settings'>"
    yield from _rows(rows)
    yield "</table>"


def _rows(rows: Iterable[tuple[str, object]]) -> Iterator[str]:
    for name, value in rows:
        yield f"<tr><th>{escape(name)}</th><td>{escape(one_line(str(value)))}</td></tr>"
