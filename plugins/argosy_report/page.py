"""The page of a run: what people need first is plain HTML; a script draws the rest from data in the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from argosy.toolkit.text import one_line, plural, size_text, time_text
from argosy_report.timeline import Timeline

#: Failures to show of each group.
MOST_SHOWN = 20


def page(timeline: Timeline) -> str:
    """Return the page of a run as HTML, below 3 MB, without links to anything else."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    summary = timeline.summary
    lease = summary.get("lease") or {}
    data = {**timeline.to_dict(), "lease": lease.get("used")}
    packed = base64.b64encode(gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0)).decode()
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
<h2>Throughput</h2>
<canvas id="throughput" height="120" role="img" aria-label="Bytes per second and active items over time"></canvas>
<h2>Who had the token, and what arrived</h2>
<p id="explain"></p>
<p class="legend"><span class="key held"></span> holds the token, until the headers are in
<span class="key body"></span> its body arrives <span class="key idle"></span> waits or works locally
<span class="key failed"></span> failed</p>
<canvas id="timeline" tabindex="0" role="img" aria-label="A lane for each worker: arrow keys move, + and - zoom, 0 shows
 everything"></canvas>
<p class="hint">Scroll or press + and - to zoom, drag or press the arrow keys to move, 0 to see everything.</p>
<p id="tip" role="status"></p>
<h2>Items</h2>
<p><label>Search <input id="search" type="search" autocomplete="off"></label>
<span id="found" role="status"></span></p>
<table id="items"><thead><tr></tr></thead><tbody></tbody></table>
<p><button id="more" hidden>Show more</button></p>
</section>
<noscript><p>The charts and the list of items need JavaScript.</p></noscript>"""


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
    for (kind, host), items in sorted(groups.items(), key=lambda entry: -len(entry[1])):
        at = f" at {escape(host)}" if host else ""
        yield f"<h3>{len(items)} &times; {escape(kind)}{at}</h3>\n<ul>"
        yield from (f"<li>{_failure(item)}</li>" for item in items[:MOST_SHOWN])
        if len(items) > MOST_SHOWN:
            yield f"<li>… and {len(items) - MOST_SHOWN} more</li>"
        yield "</ul>"
    where = shlex.quote(str(summary["directory"]))
    yield (
        "<p>To try them again, run the same command. All of them: "
        f"<code>argosy status --failed {escape(where)}</code></p>"
    )


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
