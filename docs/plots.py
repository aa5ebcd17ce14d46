"""Draws the plots of ``explanation/how-many-workers.md`` and writes its table of a million items: ``python docs/plots.py``.

Every figure is simulated with the model of ``argosy plan``, so the same version of SimPy gives the same plots. They have their
own background, which follows the color scheme of the reader's system, as does the site.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

from argosy.toolkit.text import plural
from argosy_plan.model import Service, Setup, simulate

HERE = Path(__file__).parent
PAGE = HERE / "explanation" / "how-many-workers.md"

#: The part of the page with the table.
BEGIN, END = "<!-- simulated: python docs/plots.py -->\n", "<!-- end of what was simulated -->\n"

#: The service of the plots: headers 50 ms, body 200 ms, 2 ms for the token, 5 ms between two requests.
SERVICE = Service([0.05], [0.2], store=0.002, own=0.005)

#: Workers of a process, so that the processor is no limit.
WORKERS_OF_A_PROCESS = 16

SESSIONS = (1, 4, 16, 64)
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 10_000)
MILLION = 1_000_000

#: The picture and the plot in it: left, top, right, bottom.
WIDTH, HEIGHT = 600, 400
PLOT = (78, 80, 448, 340)

STYLE = """
  .paper { fill: #ffffff } text { fill: #3d3d3a; font: 18px system-ui, sans-serif } .title { font-weight: 600; font-size: 19px }
  .grid { stroke: #e4e3df } .axis { stroke: #8b8a85 } .line { fill: none; stroke-width: 2.5 }
  .c0 { stroke: #1f6fd0 } .c1 { stroke: #d2571c } .c2 { stroke: #11875d } .c3 { stroke: #8a4fc4 } .c4 { stroke: #77756e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #1a1c1e } text { fill: #d6d5d1 } .grid { stroke: #33363a } .axis { stroke: #85878a }
    .c0 { stroke: #63a5f5 } .c1 { stroke: #f08a55 } .c2 { stroke: #3fc294 } .c3 { stroke: #b78cea } .c4 { stroke: #a3a29c }
  }
"""


@dataclass(frozen=True)
class Axis:
    """An axis from the first of its ticks to the last."""

    title: str
    ticks: Sequence[float]
    is_log: bool = True

    def place(self, value: float) -> float:
        """Return where a value is, from 0 to 1."""
        first, last = self.ticks[0], self.ticks[-1]
        if self.is_log:
            value, first, last = (math.log(one) for one in (value, first, last))
        return (value - first) / (last - first)


@dataclass(frozen=True)
class Line:
    """A line with a label at its end."""

    label: str
    points: Sequence[tuple[float, float]]


def picture(title: str, x: Axis, y: Axis, lines: Iterable[Line]) -> str:
    """Return a plot as SVG."""
    left, top, right, bottom = PLOT

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return left + x.place(point[0]) * (right - left), bottom - y.place(point[1]) * (bottom - top)

    def parts() -> Iterator[str]:
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        yield f"<title>{escape(title)}</title><style>{STYLE}</style>"
        yield f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        yield f'<text class="title" x="16" y="29">{escape(title)}</text>'
        for tick in y.ticks:
            _, height = at((x.ticks[0], tick))
            yield f'<path class="grid" d="M{left} {height:.1f}H{right}"/>'
            yield f'<text x="{left - 8}" y="{height + 6:.1f}" text-anchor="end">{tick:,g}</text>'
        yield f'<path class="axis" d="M{left} {bottom}H{right}"/>'
        for tick in x.ticks:
            across, _ = at((tick, y.ticks[0]))
            yield f'<text x="{across:.1f}" y="{bottom + 24}" text-anchor="middle">{tick:,.0f}</text>'
        yield f'<text x="{(left + right) / 2}" y="{bottom + 50}" text-anchor="middle">{escape(x.title)}</text>'
        yield f'<text x="16" y="54">{escape(y.title)}</text>'
        for number, line in enumerate(lines):
            places = [at(point) for point in line.points]
            steps = "L".join(f"{across:.1f} {height:.1f}" for across, height in places)
            yield f'<path class="line c{number}" d="M{steps}"/>'
            across, height = places[-1]
            yield f'<text x="{across + 12:.1f}" y="{height + 6:.1f}">{escape(line.label)}</text>'
        yield "</svg>"

    return "\n".join(parts()) + "\n"


def curve(label: str, service: Service, workers: Iterable[int], setup: Callable[[int], Setup]) -> Line:
    """Return the requests per second with each number of workers."""
    return Line(label, [(count, simulate(service, setup(count), MILLION).rate) for count in workers])


def with_sessions(sessions: int, workers: int) -> Setup:
    """Return a run of so many workers on enough processes."""
    return Setup(workers, sessions, processes=-(-workers // WORKERS_OF_A_PROCESS))


def headers_and_bodies() -> str:
    """Draw how many times as fast many workers are on one session, with short and long bodies."""
    lines = []
    for body in (0.75, 0.2, 0.02):
        service = Service([0.05], [body], store=SERVICE.store, own=SERVICE.own)
        found = curve(f"body {body * 1000:.0f} ms", service, range(1, 25), lambda count: with_sessions(1, count))
        alone = found.points[0][1]
        lines.append(Line(found.label, [(count, rate / alone) for count, rate in found.points]))
    axes = (
        Axis("workers", (1, 4, 8, 12, 16, 20, 24), is_log=False),
        Axis("times as fast", (0, 4, 8, 12, 16), is_log=False),
    )
    return picture("One session, headers after 50 ms", *axes, lines)


def sessions_of_a_pool() -> tuple[str, dict[int, Line]]:
    """Draw what workers do on one session and on several; also return the lines."""
    lines = {}
    for count in SESSIONS:
        setup = functools.partial(with_sessions, count)
        lines[count] = curve(plural(count, "session"), SERVICE, WORKERS, setup)
    axes = Axis("workers", (1, 10, 100, 1000, 10_000)), Axis("requests/s", (1, 10, 100, 1000, 10_000))
    return picture("Headers 50 ms, body 200 ms", *axes, reversed(lines.values())), lines


def limits() -> str:
    """Draw what else limits a run."""
    computing = Service([0.05], [0.2], own=0.005, processor=0.01)
    free, workers = Setup(1, lease="shared", processes=100), WORKERS[:9]

    def limited(label: str, setup: Setup, service: Service = SERVICE) -> Line:
        return curve(label, service, workers, lambda count: replace(setup, workers=count))

    lines = [
        limited("no limit", free),
        limited("host", replace(free, at_once=64)),
        limited("processor", replace(free, processes=1), computing),
        limited("session", replace(free, lease="exclusive")),
        limited("delay", replace(free, delay=0.2)),
    ]
    axes = Axis("workers", (1, 4, 16, 64, 256)), Axis("requests/s", (1, 10, 100, 1000))
    return picture("Limits: headers 50 ms, body 200 ms", *axes, lines)


def table(lines: dict[int, Line]) -> str:
    """Return how long a million items take, as Markdown."""
    rows = [["workers", *(line.label for line in lines.values())], ["---"] * (1 + len(lines))]
    for number, workers in enumerate(WORKERS):
        if workers in (1, 8, 32, 256, 1000, 10_000):
            rates = [line.points[number][1] for line in lines.values()]
            rows.append([f"{workers:,}", *(_long(MILLION / rate) for rate in rates)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _long(seconds: float) -> str:
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_left = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours_left} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"


def made() -> dict[Path, str]:
    """Return the files that this program writes."""
    pool, lines = sessions_of_a_pool()
    page = PAGE.read_text("utf-8")
    pattern = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    return {
        HERE / "_static" / "workers-bodies.svg": headers_and_bodies(),
        HERE / "_static" / "workers-sessions.svg": pool,
        HERE / "_static" / "workers-limits.svg": limits(),
        PAGE: pattern.sub(lambda _: f"\n{table(lines)}\n", page),
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, "utf-8")
