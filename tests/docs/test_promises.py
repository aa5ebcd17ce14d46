"""What pages say of exit codes, events, extras and figures is what the program has."""

from __future__ import annotations

import inspect
import re
import tomllib

from argosy import errors
from argosy.events import EventKind
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager
from documents import ROOT

DOCS = ROOT / "docs"


def rows(page: str) -> list[list[str]]:
    """Return the cells of all rows of a page's tables."""
    text = (DOCS / page).read_text("utf-8")
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ]


def test_every_class_of_error_has_its_exit_code() -> None:
    said = {
        name: int(cells[0])
        for cells in rows("reference/exit-codes.md")
        if cells[0].isdigit()
        for name in re.findall(r"`(\w+)`", cells[1])
    }
    assert said == {
        name: cls.exit_code
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.ArgosyError) and cls is not errors.ArgosyError and not name.startswith("_")
    }


def test_every_event_is_in_the_table() -> None:
    said = [kind for cells in rows("how-to/watch-a-run.md") for kind in re.findall(r"`([a-z]+\.[a-z]+)`", cells[0])]
    assert sorted(said) == sorted(kind.value for kind in EventKind)


def test_every_built_in_plugin_is_in_the_tables() -> None:
    plugins = PluginManager()
    kinds = {
        cells[0]: set(re.findall(r"`([a-z0-9-]+)`", cells[2]))
        for cells in rows("explanation/design.md")
        if len(cells) == 3
    }
    assert {kind.words: set(plugins.names(kind)) for kind in Kind}.items() <= kinds.items()
    outputs = {name for cells in rows("how-to/choose-an-output.md") for name in re.findall(r"^`([a-z]+)`$", cells[0])}
    assert outputs == set(plugins.names(Kind.OUTPUT))


def test_every_extra_is_named_and_each_that_is_named_is_there() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
    listed = {name for cells in rows("README.md") for name in re.findall(r"`([\w-]+)`", cells[0])}
    assert listed == extras - {"test", "services", "benchmarks", "docs", "release", "dev"}
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    code = [path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    named = {
        name
        for path in (*pages, *code)
        for group in re.findall(r"argosy\[([a-z0-9,]+)\]", path.read_text("utf-8"))
        for name in group.split(",")
    }
    assert named <= extras


def test_leases_a_second_are_those_that_were_measured() -> None:
    measured: dict[str, float] = {}
    for cells in rows("performance.md"):
        if len(cells) == 5 and re.fullmatch(r"[0-9.]+", cells[3]):
            measured.setdefault(cells[0], float(cells[3]))  # the newest measurement comes first
    said = {
        cells[0]: [float(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", cells[2])]
        for cells in rows("how-to/choose-a-cookie-store.md")
        if len(cells) == 6 and cells[0].startswith("`")
    }
    assert len(said) == 5
    for store, figures in said.items():
        found = [measured[store]] + [measured[name] for name in (f"{store}, `appendfsync always`",) if name in measured]
        assert figures == [float(f"{figure:.2g}") for figure in found], store


def test_the_afternoon_is_long_enough_for_the_reading_list() -> None:
    page = (DOCS / "explanation" / "design.md").read_text("utf-8")
    listed = page.partition("## Read it in an afternoon")[2].partition("\n## ")[0]
    core = ROOT / "core" / "argosy"
    files, folder = [], core
    for name in re.findall(r"`([\w/]+\.py)`", listed.partition("All paths")[0]):
        folder = (core / name).parent if "/" in name or (core / name).exists() else folder
        files.append(folder / name.rpartition("/")[2])
    assert len(set(files)) == len(files) <= 30
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) <= 5_000
