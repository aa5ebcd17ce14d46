"""EPUBCheck, which shops and libraries ask, finds nothing wrong: with hard books, tag soup, and those of the demo."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from argosy_devkit.demo.library import build_library
from books import Book, make, png, staged
from hard_books import HARD, HARD_METADATA
from missing import need
from soup import soup

pytestmark = pytest.mark.slow

#: It starts in half the time so, and nothing here runs for long.
_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_MANY = Path(__file__).with_name("EpubCheckMany.java")


def complaints(books: Sequence[Path]) -> list[str]:
    """Return what EPUBCheck says against books: errors and warnings."""
    program = shutil.which("epubcheck") or ""
    names = [str(book) for book in books]
    starts = [[program, name] for name in names]
    if zipfile.is_zipfile(program):  # Debian's program is the archive itself, elsewhere it is a script
        starts = [[*_JAVA, "-jar", program, name] for name in names]
        if shutil.which("javac"):  # there is a compiler: one start for all
            starts = [[*_JAVA, "-cp", program, str(_MANY), *names]]
    runs = [subprocess.run(start, capture_output=True, text=True, check=False) for start in starts]
    said = [f"{run.stdout}\n{run.stderr}" for run in runs]
    assert sum(text.count("Validating using EPUB version 3") for text in said) == len(names), said
    return [line for text in said for line in text.splitlines() if line.startswith(("ERROR", "WARN", "FATAL"))]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Book]:
    """Make all the books that are checked."""
    root = tmp_path_factory.mktemp("books")
    # EPUBCheck 4 knows EPUB 3.2, to which WebP is foreign: the books have none
    items = {
        "hard": staged(root / "hard", HARD, title="Hard & <heavy>", tags=["a", "b & c"], metadata=HARD_METADATA),
        "plain": staged(root / "plain", {"1.html": "x"}, id="a:b/c", title=""),
        "own cover": staged(root / "own", {"cover.html": "<img src=c.png alt=Cover>", "1.html": "x", "c.png": png()}),
        "soup": staged(root / "soup", {"p.png": png(), **{f"{n}.html": soup(n) for n in range(60)}}),
    }
    for book in build_library(root / "shelf"):
        files = {path: (root / "shelf" / book.id / path).read_bytes() for path in book.files}
        items[book.id] = staged(root / f"in-{book.id}", files, title=book.title, metadata=book.metadata)
    made = {}
    for name, item in items.items():
        made[name] = make(item, root / f"out-{name}", cover="c.png")
        made[name].path = made[name].path.rename(root / f"{name}.epub")
    return made


def test_epubcheck_finds_nothing_wrong_but_what_is_put_in(books: dict[str, Book], tmp_path: Path) -> None:
    need("epubcheck")
    bad = tmp_path / "put-in.epub"
    with zipfile.ZipFile(books["plain"].path) as good, zipfile.ZipFile(bad, "w") as archive:
        for info in good.infolist():
            archive.writestr(info, good.read(info).replace(b"x</body>", b"<p><div/></p></body>"))
    assert len(books) > 10
    said = complaints([*(book.path for book in books.values()), bad])
    assert [line for line in said if bad.name not in line] == []
    assert any("RSC-005" in line for line in said)
