"""All benchmarks with one command: ``python tests/benchmarks [NAME ...] [--quick] [--json FILE]``.

Every other module in this folder that has a function ``tables(quick)`` is a benchmark. It yields one
`benchmarks.table.Table` after the other, each as soon as it is measured; with ``quick`` it measures less, to
show that it works. The first line of its docstring says what it measures; `NEEDS_NGINX = True` that it cannot do
without nginx. Nothing leaves this machine, and no test depends on a figure. Compare ratios of one run only: another machine, or one that is busy, has other seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def benchmarks() -> Iterator[tuple[str, ModuleType]]:
    """Yield the benchmarks by name."""
    for path in sorted(HERE.glob("[a-z]*.py")):
        if path.stem.startswith("test_"):
            continue
        module = importlib.import_module(f"benchmarks.{path.stem}")
        if hasattr(module, "tables"):
            yield path.stem, module


def main() -> None:
    """Measure, print tables, and write JSON where asked."""
    sys.path[0] = str(HERE.parent)  # for `benchmarks` and `voyage`, here and in child processes
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile all modules again
    from benchmarks import document, nginx, tools
    from benchmarks.machine import machine
    from benchmarks.table import Table

    known = dict(benchmarks())
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(known)} (all by default)")
    parser.add_argument("--quick", action="store_true", help="less of everything: it works, but the figures say little")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--document", action="store_true", help="write the tables into docs/performance.md")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    options = parser.parse_args()
    for name in options.names:
        if name not in known:
            parser.error(f"there is no benchmark {name!r}; there are: {', '.join(known)}")
    if options.list:
        for name, module in known.items():
            print(f"{name:12} {(module.__doc__ or '').splitlines()[0]}")
        return
    if options.document and options.quick:
        parser.error("--quick measures too little for the document")
    chosen = options.names or list(known)
    if nginx.found() is None and (for_it := [name for name in chosen if hasattr(known[name], "NEEDS_NGINX")]):
        parser.error(f"nginx is not installed ({nginx.INSTALL}); needed for {', '.join(for_it)}")
    for line in tools.missing():
        print(line)
    where = machine()
    print("; ".join(f"{key} {value}" for key, value in where.items()))
    measured: dict[str, list[Table]] = {}
    for name in chosen:
        measured[name] = []
        for table in known[name].tables(options.quick):
            print(f"\n{table.render()}", flush=True)
            measured[name].append(table)
    where["load at the end"] = f"{os.getloadavg()[0]:.1f}"
    print(f"\nThe load was {where['load']} at the start and is {where['load at the end']} now.")
    if options.json:
        figures = {name: [table.to_json() for table in tables] for name, tables in measured.items()}
        whole = {"machine": where, "quick": options.quick, "benchmarks": figures}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    if options.document:
        document.write(where, measured)


if __name__ == "__main__":
    main()
