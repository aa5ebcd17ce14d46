"""``argosy demo``: a real download from a library on this machine."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--directory",
    default="argosy-demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Download the books to this directory.",
)
@click.option(
    "--max-workers",
    default=4,
    show_default=True,
    type=click.IntRange(2, 32),
    help="Threads of the second download.",
)
@click.option(
    "--output",
    multiple=True,
    metavar="NAME",
    help="Output for the books, as for download; may be repeated.  [default: files]",
)
@click.option("--quiet", is_flag=True, help="Only show the result.")
def demo(directory: Path, max_workers: int, output: tuple[str, ...], quiet: bool) -> int:
    """Download a library whose token is replaced with every response: first serially, then in parallel.

    The library is a server on this machine, behind a login. Its books contain the documentation of
    Python's standard library. Nothing leaves this machine.
    """
    from argosy_devkit.demo.show import show

    return show(directory.absolute(), max_workers, output or ("files",), quiet=quiet)
