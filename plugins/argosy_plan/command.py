"""``argosy plan``: how long a download takes with how many workers and sessions, and what limits it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from argosy.errors import ConfigError
from argosy.toolkit.text import plural, size_text, time_text

if TYPE_CHECKING:
    from argosy_plan.model import Outcome, Service, Setup

#: The workers to compare, and the sessions.
WORKERS, SESSIONS = (1, 4, 8, 16, 64), (1, 4)


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
@click.argument("events", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--items", type=click.IntRange(1), default=None, help="How many requests the download has.")
@click.option("--workers", callback=_numbers, metavar="N,N", help="Numbers of workers to compare.")
@click.option("--sessions", callback=_numbers, metavar="N,N", help="Numbers of sessions to compare.")
@click.option(
    "--lease",
    type=click.Choice(["exclusive", "exclusive-to-end", "shared"]),
    default="exclusive",
    show_default=True,
    help="How requests share a session.",
)
@click.option(
    "--processes", type=click.IntRange(1), default=1, show_default=True, help="Processes that compute at once."
)
@click.option("--delay", type=click.FloatRange(0), default=0.0, help="Seconds between two requests (download_delay).")
@click.option("--at-once", type=click.IntRange(1), help="Requests that the host serves at the same time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    events: tuple[Path, ...],
    items: int | None,
    workers: tuple[int, ...] | None,
    sessions: tuple[int, ...] | None,
    lease: str,
    processes: int,
    delay: float,
    at_once: int | None,
    as_json: bool,
) -> None:
    r"""Say how long a download takes with more workers or sessions, from the EVENTS of short runs.

    Measure two runs of a few items, one with a single worker, and one with several; nothing else is sent:

    \b
        argosy download CONFIG --limit 20 -j 1 --events serial.jsonl
        argosy download CONFIG --limit 60 -j 8 --events parallel.jsonl
        argosy plan serial.jsonl parallel.jsonl --items 1000000
    """
    from argosy_plan.measure import read_requests, together
    from argosy_plan.model import Setup, most_workers, simulate

    try:
        import simpy  # noqa: F401 - to say what is missing before anything is read
    except ImportError:
        hint = "Install it: pip install 'argosy[plan]'"
        raise ConfigError("`argosy plan` needs the package `simpy`.", hint=hint) from None
    runs = sorted((read_requests(path) for path in events), key=lambda run: run.workers)
    service = together([run.service() for run in runs])
    count = items or sum(len(run.done) for run in runs)
    base = Setup(1, 1, lease, processes, delay, at_once)
    feeds = most_workers(service, base)
    is_shared = lease == "shared"
    setups = [
        replace(base, workers=worker, sessions=number)
        for number in sessions or ((1,) if is_shared else SESSIONS)
        for worker in workers or sorted({*WORKERS} if is_shared else {*WORKERS, feeds * number})
    ]
    rows = [(setup, simulate(service, setup, count)) for setup in setups]
    shown = _document if as_json else _lines
    for line in shown(service, rows, feeds, count):
        click.echo(line)


def _document(service: Service, rows: list[tuple[Setup, Outcome]], feeds: int, count: int) -> Iterator[str]:
    """Yield the result as JSON."""
    measured = {name: statistics.mean(getattr(service, name)) for name in ("headers", "bodies", "sizes")}
    measured |= {"store": service.store, "own": service.own, "requests": len(service.headers)}
    runs = [{**asdict(setup), **asdict(outcome)} for setup, outcome in rows]
    yield json.dumps({"measured": measured, "session_feeds": feeds, "requests": count, "runs": runs}, indent=2)


def _lines(service: Service, rows: list[tuple[Setup, Outcome]], feeds: int, count: int) -> Iterator[str]:
    """Yield the result for people."""
    headers, bodies = statistics.mean(service.headers), statistics.mean(service.bodies)
    yield (
        f"measured   {plural(len(service.headers), 'request')}: headers {_ms(headers)}, body {_ms(bodies)} "
        f"({size_text(statistics.mean(service.sizes))}), token {_ms(service.store)}, processor {_ms(service.own)}"
    )
    yield ""
    yield f"{'workers':>7}  {'sessions':>8}  {'requests/s':>10}  {'speed':>10}  {f'{count:,} requests':>18}  waiting"
    for setup, outcome in rows:
        speed = f"{size_text(outcome.rate * statistics.mean(service.sizes))}/s"
        yield (
            f"{setup.workers:>7}  {setup.sessions:>8}  {outcome.rate:>10.1f}  {speed:>10}  "
            f"{_long(outcome.seconds):>18}  {outcome.waiting:>6.0%}"
        )
    yield ""
    yield from _advice(service, rows, feeds)


def _advice(service: Service, rows: list[tuple[Setup, Outcome]], feeds: int) -> Iterator[str]:
    """Yield what limits the download, and what to set."""
    setup = rows[0][0]
    if setup.lease == "shared":
        yield "Requests need not wait for the session: its token stays."
    elif setup.lease == "exclusive-to-end":
        yield "One session serves one request at a time, to the end of its body. Only more sessions help."
    else:
        yield f"One session feeds {plural(feeds, 'worker')} (max_workers); more would wait for its token."
    best = max(outcome.rate for _, outcome in rows)
    enough = min(
        (one for one, outcome in rows if outcome.rate > 0.95 * best), key=lambda one: (one.sessions, one.workers)
    )
    yield f"Of these, {plural(enough.workers, 'worker')} with {plural(enough.sessions, 'session')} do nearly all that is possible."
    if setup.delay and best > 0.9 / setup.delay:
        yield f"The delay of {setup.delay:g} s is the limit: {1 / setup.delay:.1f} requests/s, with any number of workers."
    elif setup.processes and service.own and best > 0.8 * setup.processes / service.own:
        yield "The processor is the limit: use several processes (--strategy multiprocess)."
    if len({one.sessions for one, _ in rows}) > 1:
        yield "Several sessions need a service that allows them for one account."


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _long(seconds: float) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days:.0f} d {rest / 3600:.0f} h" if days else time_text(seconds)
