"""``argosy plan``: how long a download takes with how many workers and sessions, and what limits it."""

from __future__ import annotations

import functools
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import argosy
from argosy.errors import ConfigError, SourceError
from argosy.toolkit.text import plural, size_text, time_text

if TYPE_CHECKING:
    from argosy_plan.measure import Requests
    from argosy_plan.model import Outcome, Service, Setup

#: The workers to compare, and the sessions.
WORKERS, SESSIONS = (1, 4, 8, 16, 64), (1, 4)

#: With fewer requests, the figures are rough.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What was measured and simulated."""

    service: Service
    rows: list[tuple[Setup, Outcome]]
    feeds: int  # workers that one session feeds
    count: int  # requests of the whole
    now: tuple[Setup, Outcome] | None  # with the configuration as it is
    throttled: bool
    learning: str  # why the lease may still change


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise click.BadParameter("Give whole numbers from 1, with commas: 4,8,16.")
    return numbers


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="CONFIG|EVENTS...")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="How many items of CONFIG to download.  [default: 60]"
)
@click.option("--items", type=click.IntRange(1), default=None, help="How many requests the download has.")
@click.option("--workers", callback=_numbers, metavar="N,N", help="Numbers of workers to compare.")
@click.option("--sessions", callback=_numbers, metavar="N,N", help="Numbers of sessions to compare.")
@click.option(
    "--lease",
    type=click.Choice(["exclusive", "exclusive-to-end", "shared"]),
    help="How requests share a session.  [default: as measured]",
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes that compute at once."
)
@click.option(
    "--delay",
    type=click.FloatRange(0),
    help="Seconds between two requests.  [default: download_delay of CONFIG]",
)
@click.option(
    "--at-once",
    type=click.IntRange(1),
    help="Requests that the host serves at the same time.  [default: as measured]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Also use the plugins in this Python file, which runs with your permissions. Repeatable.",
)
def plan(what: tuple[str, ...], limit: int | None, as_json: bool, plugins: tuple[Path, ...], **options: Any) -> int:
    """Say how long a download takes with more workers or sessions, and what limits it.

    It downloads some items of CONFIG: a quarter of them one after the other, and the others with the workers of CONFIG. They
    are real downloads, so nothing is lost. Then it simulates the rest.

    EVENTS are files that runs have written (argosy download CONFIG --events FILE), instead of CONFIG. Then nothing is sent.
    Give those of a run with a single worker, and of one with several.
    """
    try:
        import simpy  # noqa: F401 - to say what is missing before anything is sent
    except ImportError:
        hint = "Install it: pip install 'argosy[plan]'"
        raise ConfigError("`argosy plan` needs the package `simpy`.", hint=hint) from None
    from argosy_plan.measure import read_requests

    configs = [word for word in what if word.lower().endswith((".toml", ".json"))]
    if configs and len(what) > 1:
        raise click.UsageError("Give one configuration, or files of events.")
    if configs:
        runs, setup = _measured(configs[0], limit or 60, plugins)
        if not runs:
            return 0
    elif limit is not None or plugins:
        raise click.UsageError("--limit and --plugin are for a configuration, not for events.")
    else:
        runs = sorted((read_requests(Path(word)) for word in what), key=lambda run: run.workers)
        setup = None
    _show(_planned(runs, setup, **options), as_json)
    return 0


# -- measure


def _measured(config: str, limit: int, plugins: Sequence[Path]) -> tuple[list[Requests], Setup | None]:
    """Download some items with one worker and with several; return both runs, and how the configuration runs."""
    from argosy_plan.measure import measure
    from argosy_plan.model import Setup

    settings = argosy.read_config(config, plugins=plugins)
    workers, sessions = settings["max_workers"], settings["sessions"]
    options: dict[str, Any] = {"plugins": plugins, "progress": True, "ask": _ask if sys.stdin.isatty() else None}
    if sessions is not None and settings["auth"]["use"] != "cookies":
        options["sessions"] = 1  # one is enough to measure; the files of `cookies` are as many as there are
    alone = max(limit // 4, 1) if workers > 1 else limit
    parts = [(1, alone)] + [(workers, limit - alone)] * (limit > alone)
    _tell(
        f"Downloading up to {plural(limit, 'item')} of {config} to measure, first with 1 worker"
        f"{f', then with {workers}' if len(parts) > 1 else ''}. They are kept; Ctrl-C stops."
    )
    runs: list[Requests] = []
    for number, count in parts:
        if runs and not runs[-1].left:
            break
        runs.append(_interruptible(lambda: measure(config, number, count, **options)))  # noqa: B023 - called at once
        if not runs[-1].done and not runs[-1].failed:
            runs.pop()
            break
    if not runs:
        _tell("Nothing was downloaded: all items are done, or there are none.")
        return [], None
    failed = sum(run.failed for run in runs)
    if not any(run.done for run in runs):
        hint = "See why: argosy status --failed DIRECTORY"
        raise SourceError(f"Nothing was measured: {plural(failed, 'item')} failed.", hint=hint)
    if failed:
        _tell(f"{plural(failed, 'item')} failed and are not in the figures.")
    runs = [run for run in runs if run.done]
    sessions = runs[-1].sessions if sessions is None else sessions
    return runs, Setup(workers, sessions, runs[-1].lease, 1, settings["download_delay"])


def _interruptible(run: Callable[[], Requests]) -> Requests:
    """Run; the first signal lets the transfers end, the second ends them."""
    heard = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, signal.default_int_handler) for number in heard}
    try:
        return run()
    except KeyboardInterrupt:
        _tell("\nargosy: interrupted; the session and all finished work are saved.")
        sys.stderr.flush()
        os._exit(130)  # the interpreter would wait for threads that wait for the network
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@functools.cache  # a store in memory forgets the session between the two runs
def _ask(text: str) -> str:
    return str(click.prompt(text, hide_input=True, err=True))


def _tell(text: str) -> None:
    click.echo(text, err=True)


# -- simulate


def _planned(
    runs: Sequence[Requests],
    configured: Setup | None,
    *,
    items: int | None,
    workers: tuple[int, ...] | None,
    sessions: tuple[int, ...] | None,
    lease: str | None,
    processes: int,
    delay: float | None,
    at_once: int | None,
) -> Plan:
    """Simulate the setups to compare."""
    from argosy_plan.measure import together
    from argosy_plan.model import Setup, most_workers, simulate

    service, last = together(runs), runs[-1]
    done = sum(len(run.done) for run in runs)
    each = done / max(sum(run.items for run in runs), 1)  # requests of an item
    count = items or (round(last.left * each) if configured else done)
    if not count:
        return Plan(service, [], 0, 0, None, False, "")
    base = Setup(1, 1, lease or last.lease, processes, delay or 0.0, at_once or service.at_once)
    if configured is not None and delay is None:
        base = replace(base, delay=configured.delay)
    feeds = most_workers(service, base)
    is_shared = base.lease == "shared"
    now = replace(base, workers=configured.workers, sessions=configured.sessions) if configured else None

    def numbers(sessions: int) -> list[int]:
        """Return the workers to compare: not more than there are requests."""
        found = {*WORKERS} | (set() if is_shared else {feeds * sessions})
        found |= {now.workers} if now is not None and now.sessions == sessions else set()
        return sorted({min(number, count) for number in found})

    setups = [
        replace(base, workers=worker, sessions=number)
        for number in sessions or ((1,) if is_shared else SESSIONS)
        for worker in workers or numbers(number)
    ]
    rows = [(setup, simulate(service, setup, count)) for setup in setups]
    learning = last.lease_reason if "learning" in last.lease_reason else ""
    ran = (
        None
        if now is None
        else next((row for row in rows if row[0] == now), None) or (now, simulate(service, now, count))
    )
    return Plan(service, rows, feeds, count, ran, any(run.throttled for run in runs), learning)


# -- show


def _show(found: Plan, as_json: bool) -> None:
    for line in (_document if as_json else _lines)(found):
        click.echo(line)


def _document(found: Plan) -> Iterator[str]:
    """Yield the result as JSON."""
    service = found.service
    measured: dict[str, Any] = {
        name: statistics.fmean(getattr(service, name)) for name in ("headers", "bodies", "sizes")
    }
    measured |= {name: getattr(service, name) for name in ("store", "own", "processor", "at_once")}
    measured |= {"requests": len(service.headers)}
    runs = [{**asdict(setup), **asdict(outcome)} for setup, outcome in found.rows]
    now = {"configured": {**asdict(found.now[0]), **asdict(found.now[1])}} if found.now else {}
    whole = {"measured": measured, "session_feeds": found.feeds, "requests": found.count, **now, "runs": runs}
    yield json.dumps(whole, indent=2)


def _lines(found: Plan) -> Iterator[str]:
    """Yield the result for people."""
    service, count = found.service, found.count
    headers, bodies = statistics.fmean(service.headers), statistics.fmean(service.bodies)
    yield (
        f"measured   {plural(len(service.headers), 'request')} of {size_text(statistics.fmean(service.sizes))}: "
        f"headers {_ms(headers)}, body {_ms(bodies)}, next request {_ms(service.own)}"
    )
    yield f"           token {_ms(service.store)}" + (
        f", processor {_ms(service.processor)}" if service.processor else ""
    )
    if len(service.headers) < ENOUGH:
        yield "           These are few requests: the figures are rough."
    if not found.rows:
        yield "Nothing is left to download. To plan more requests: --items N"
        return
    yield ""
    whole = plural(count, "request") if count < 1000 else f"{count:,} requests"
    yield f"{'workers':>7}  {'sessions':>8}  {'requests/s':>10}  {'speed':>10}  {whole:>18}  waiting"
    for setup, outcome in found.rows:
        speed = f"{size_text(outcome.rate * statistics.fmean(service.sizes))}/s"
        yield (
            f"{setup.workers:>7}  {setup.sessions:>8}  {outcome.rate:>10.1f}  {speed:>10}  "
            f"{_long(outcome.seconds):>18}  {outcome.waiting:>6.0%}"
        )
    yield ""
    yield from _advice(found)


def _advice(found: Plan) -> Iterator[str]:
    """Yield what limits the download, and what to set."""
    setup = found.rows[0][0]
    if found.now is not None:
        now, outcome = found.now
        yield f"The configuration as it is ({_crew(now)}): {_long(outcome.seconds)} for the rest."
    if setup.lease == "shared":
        yield "No request waits for a session: its token stays, or there is none."
    elif setup.lease == "exclusive-to-end":
        yield "One session serves one request at a time, to the end of its body. Only more sessions help."
    else:
        yield f"One session feeds {plural(found.feeds, 'worker')} (max_workers); more would wait for its token."
    if found.learning:
        yield f"The service may keep its token ({found.learning}). If it does, see --lease shared."
    yield from _best(found)
    yield from _limits(found, max(outcome.rate for _, outcome in found.rows))


def _best(found: Plan) -> Iterator[str]:
    """Yield with how many workers each number of sessions does nearly all that it can, and whether a pool pays."""
    best: list[tuple[Setup, Outcome]] = []
    for number in sorted({setup.sessions for setup, _ in found.rows}):
        rows = [row for row in found.rows if row[0].sessions == number]
        most = max(outcome.rate for _, outcome in rows)
        best.append(min((row for row in rows if row[1].rate > 0.95 * most), key=lambda row: row[0].workers))
    (few, slow), (many, fast) = best[0], best[-1]
    yield f"Of these, {_crew(few)} do nearly all that is possible: {_long(slow.seconds)}."
    if few.sessions == many.sessions:
        return
    gain = fast.rate / slow.rate
    if gain < 1.1:
        yield f"Of these, more sessions do not pay: {many.sessions} are no faster than {few.sessions}."
    else:
        yield (
            f"A pool pays, if the service allows it: {_crew(many)} take {_long(fast.seconds)} ({gain:.1f} times as fast)."
        )


def _crew(setup: Setup) -> str:
    return f"{plural(setup.workers, 'worker')} with {plural(setup.sessions, 'session')}"


def _limits(found: Plan, best: float) -> Iterator[str]:
    """Yield what limits the fastest setup besides sessions."""
    service, setup = found.service, found.rows[0][0]
    if found.throttled:
        yield "The host asked for fewer requests while this was measured. Set download_delay, or fewer workers."
    if setup.delay and best > 0.9 / setup.delay:
        yield f"The delay of {setup.delay:g} s is the limit: {1 / setup.delay:.1f} requests/s, with any number of workers."
    computing = service.processor or service.own
    if computing and best > 0.8 * setup.processes / computing:
        yield "The processor is the limit: use several processes (--strategy multiprocess)."
    if setup.at_once is not None:
        times = statistics.fmean(service.headers) + statistics.fmean(service.bodies)
        is_limit = best > 0.8 * setup.at_once / times
        seen = "became slower under load, as if it served" if service.at_once == setup.at_once else "serves"
        yield (
            f"{'The host or the network is the limit: it' if is_limit else 'The host'} {seen} "
            f"{plural(setup.at_once, 'request')} at once."
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _long(seconds: float) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days:.0f} d {rest / 3600:.0f} h" if days else time_text(seconds)
