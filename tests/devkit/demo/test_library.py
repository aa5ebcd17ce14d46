"""The books are whole, readable, and the same every time."""

from __future__ import annotations

import platform
import sysconfig
from html.parser import HTMLParser
from pathlib import Path

import pytest

from argosy.errors import ArgosyError
from argosy_devkit.demo import library
from argosy_devkit.demo.docstrings import Entry
from argosy_devkit.demo.library import Book, build_library
from argosy_devkit.demo.pages import words_in
from argosy_devkit.demo.subjects import ChapterPlan

pytestmark = pytest.mark.slow

VOID = {"meta", "link", "br", "hr", "img"}


class Checker(HTMLParser):
    """Collects links and finds tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"p", "pre", "ul", "h2"} and "p" in self.open[:-1]:
            self.problems.append(f"{tag} inside p")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Book]]:
    directory = tmp_path_factory.mktemp("shelf") / "books"
    return directory, build_library(directory)


def test_there_are_books_with_chapters(storage: tuple[Path, list[Book]]) -> None:
    _, books = storage
    assert len({book.id for book in books}) == len(books) >= 10
    for book in books:
        assert 3 <= len(book.chapters) <= 8, book.id
        assert "Python" in book.tags
        assert book.metadata["python"] == platform.python_version()
        assert book.metadata["chapters"] == len(book.chapters)
        assert book.metadata["license"] == "PSF-2.0"
        assert book.metadata["words"] > 4_000


def test_files_are_those_that_are_named(storage: tuple[Path, list[Book]]) -> None:
    directory, books = storage
    named = {f"{book.id}/{file}" for book in books for file in book.files}
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    assert named == there
    for book in books:
        assert {path for path, _ in book.chapters} | {"index.html", "style.css"} == set(book.files)


def test_chapters_are_of_fairly_even_size(storage: tuple[Path, list[Book]]) -> None:
    directory, books = storage
    for book in books:
        for path, title in book.chapters:
            assert 4_000 < (directory / book.id / path).stat().st_size < 65_000, f"{book.title}: {title}"


def test_pages_are_well_formed_and_links_resolve(storage: tuple[Path, list[Book]]) -> None:
    directory, books = storage
    for book in books:
        linked: set[str] = set()
        for name in book.files:
            if not name.endswith(".html"):
                continue
            checker = Checker()
            text = (directory / book.id / name).read_text("utf-8")
            checker.feed(text)
            checker.close()
            assert text.startswith("<!DOCTYPE html>\n")
            assert (checker.open, checker.problems) == ([], []), f"{book.id}/{name}"
            assert set(checker.links) <= set(book.files), f"{book.id}/{name}"
            linked |= set(checker.links)
        assert linked == set(book.files)


def test_the_same_python_writes_the_same_bytes(storage: tuple[Path, list[Book]], tmp_path: Path) -> None:
    directory, books = storage
    assert build_library(tmp_path) == books
    for book in books:
        for name in book.files:
            assert (tmp_path / book.id / name).read_bytes() == (directory / book.id / name).read_bytes()


def test_nothing_of_this_machine_is_inside(storage: tuple[Path, list[Book]]) -> None:
    directory, _ = storage
    places = (str(directory), sysconfig.get_paths()["stdlib"], str(Path.home()) + "/", str(Path.cwd()))
    for path in directory.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not [place for place in places if place in text], path.name


def test_a_long_chapter_is_divided_between_sections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from argosy_devkit.demo import docstrings
    from argosy_devkit.demo.subjects import BookPlan

    source = "\n".join(f'def f{number}():\n    """{"word " * 400}"""' for number in range(60))
    (tmp_path / "long.py").write_text(f'"""Long."""\n{source}\n')

    def from_here(module: str) -> list[Entry]:
        return docstrings.entries(module, tmp_path)

    plan = BookPlan("b", "B", ("Python",), (ChapterPlan("Much", ("long",)), ChapterPlan("None", ("none",))))
    monkeypatch.setattr(library, "entries", from_here)
    monkeypatch.setattr(library, "plans", lambda: (plan,))
    book = build_library(tmp_path / "books")[0]
    assert book.chapters == [
        ("01-much-1.html", "Much, part 1"),
        ("02-much-2.html", "Much, part 2"),
        ("03-much-3.html", "Much, part 3"),
    ]
    texts = [(tmp_path / "books/b" / path).read_text() for path, _ in book.chapters]
    assert 'Continues in <a href="02-much-2.html">Much, part 2</a>' in texts[0]
    assert "Continues in" not in texts[2]
    assert sum(text.count("<h3>") for text in texts) == 60
    assert book.metadata["words"] == 60 * 401 + 2


def test_a_python_without_source_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "entries", lambda module: [])
    with pytest.raises(ArgosyError, match="no source files"):
        build_library(tmp_path / "books")
    assert not (tmp_path / "books").exists()


def test_words_are_those_that_show() -> None:
    assert words_in('<p class="a b">one <code>two</code></p><p>three</p>') == 3
