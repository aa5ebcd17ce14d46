"""Writes a whole book."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from argosy.errors import TransferError
from argosy.models.items import StagedItem
from argosy_epub import package
from argosy_epub.archive import Archive
from argosy_epub.bounds import TooComplex
from argosy_epub.chapters import Chapter, drawing, finished, read_chapter
from argosy_epub.kinds import HEAD, Kind, Role, sniffed
from argosy_epub.members import AS_IT_IS, BookFile, Members, References
from argosy_epub.metadata import Metadata, metadata_of
from argosy_epub.pages import READING, READING_STYLE
from argosy_epub.styles import LARGEST_SHEET, clean_sheet

#: The largest chapter or drawing in bytes. `bounds.MOST_ELEMENTS` limits the size of its tree.
LARGEST_TEXT = 16 << 20
_COVER = re.compile(r"(?:front[-_ ]?)?cover(?![a-z])", re.I)
_NOT_MISSED = frozenset({"text/javascript"})
_MOST_NAMED = 5


@dataclass(slots=True)
class Made:
    """What a reader should know about a book that was written."""

    left_out: list[str] = field(default_factory=list)  # what was left out, each with the reason
    empty: list[str] = field(default_factory=list)  # the paths of chapters without visible content

    def remarks(self) -> Iterable[str]:
        """Yield a line for each fact worth reporting."""
        if self.left_out:
            yield f"left out {_named(self.left_out)}"
        if self.empty:
            yield f"empty: {_named(self.empty)}"


def has_chapters(item: StagedItem) -> bool:
    """Return whether an item has a chapter."""
    return any(sniffed(f.resource.path, _head(f.path)).role is Role.CHAPTER for f in item.files)


def write_book(item: StagedItem, target: Path, scratch: Path, *, cover: str, language: str, headings: bool) -> Made:
    """Write an item with at least one chapter as an EPUB.

    `cover` is the configured path of the cover; `language` is used if neither the metadata nor the chapters name one.
    Raises TransferError if a chapter is too large or too complex.
    """
    known = metadata_of(item.item)
    made = Made()
    members = _members(item, scratch, made)
    chapters = []
    for member in members.of(Role.CHAPTER):
        chapters.append(read_chapter(member, members, scratch, known.titles or {}, known.language))
        if chapters[-1].unstyled:
            made.left_out.append(f"a style sheet in {member.path} (more than {LARGEST_SHEET >> 20} MiB)")
        if not headings:
            chapters[-1].headings = []
    made.empty = [chapter.member.path for chapter in chapters if chapter.empty]
    with Archive(target) as archive:
        archive.write("META-INF/container.xml", package.CONTAINER)
        by_number = {chapter.member.number: chapter for chapter in chapters}
        for chapter in chapters:
            archive.write(f"EPUB/{chapter.member.name}", finished(chapter, by_number))
            chapter.draft.unlink()
        written = _write_others(archive, members, made)
        spoken = Counter(chapter.language for chapter in chapters if chapter.language).most_common(1)
        tongue = known.language or (spoken[0][0] if spoken else language)
        _write_package(archive, known, tongue, chapters, written, _cover(known, cover, written))
    return made


def _members(item: StagedItem, scratch: Path, made: Made) -> Members:
    members = Members(scratch)
    for file in item.files:
        kind = sniffed(file.resource.path, _head(file.path))
        if kind.role is Role.OTHER:
            if kind.media_type not in _NOT_MISSED:
                made.left_out.append(f"{file.resource.path} ({kind.media_type} is not allowed in an EPUB)")
        elif file.size > _largest(kind) and kind.role not in AS_IT_IS:
            _too_large(file.resource.path, kind, made)
        else:
            members.add(file, kind)
    return members


def _largest(kind: Kind) -> int:
    return LARGEST_SHEET if kind.role is Role.STYLE else LARGEST_TEXT


def _too_large(path: str, kind: Kind, made: Made) -> None:
    if kind.role is Role.CHAPTER:
        raise TransferError(
            f"The chapter {path!r} has more than {LARGEST_TEXT >> 20} MiB, too much for readers.",
            kind="content",
            hint="Use another output for this item.",
        )
    made.left_out.append(f"{path} (more than {_largest(kind) >> 20} MiB of {kind.media_type})")


def _write_others(archive: Archive, members: Members, made: Made) -> list[BookFile]:
    """Write everything but the chapters; return the files written."""
    written = []
    at = 0
    while at < len(members.all):  # a style sheet or a drawing may add more, from data: URLs
        member = members.all[at]
        at += 1
        role = member.kind.role
        if role in AS_IT_IS:
            archive.copy(f"EPUB/{member.name}", member.file)
        elif role is Role.STYLE:
            resolve = References(members, member).style_address
            archive.write(f"EPUB/{member.name}", clean_sheet(member.file.read_bytes(), resolve))
        elif role is Role.DRAWING:
            archive.write(f"EPUB/{member.name}", _drawing(member, members, made))
        else:
            continue
        written.append(member)
    return written


def _drawing(member: BookFile, members: Members, made: Made) -> bytes:
    """Return a cleaned drawing; an empty one if the file has none, because something refers to it."""
    why = "contains no drawing"
    try:
        content = drawing(member, members)
    except TooComplex as error:
        content, why = None, str(error)
    if content is None:
        made.left_out.append(f"{member.path or member.name} ({why})")
    return content or b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>\n'


def _write_package(
    archive: Archive,
    known: Metadata,
    language: str,
    chapters: list[Chapter],
    members: list[BookFile],
    cover: BookFile | None,
) -> None:
    """Write the package document, the contents and, unless the first chapter is a cover, the cover page."""
    first = PurePosixPath(chapters[0].member.path).stem
    own_page = cover is not None and not _COVER.match(first)
    shown = {"cover": own_page}
    opf = package.package(known, language, chapters, members, cover, cover_page=own_page)
    archive.write("EPUB/package.opf", opf)
    archive.write(f"EPUB/{READING}", READING_STYLE)
    archive.write("EPUB/nav.xhtml", package.navigation(known.title, known.title, language, chapters, **shown))
    archive.write("EPUB/toc.ncx", package.old_contents(known, language, chapters, **shown))
    if cover is not None and own_page:
        archive.write(f"EPUB/{package.COVER_PAGE}", package.cover_page(known.title, language, cover))


def _cover(known: Metadata, configured: str, members: list[BookFile]) -> BookFile | None:
    """Return the cover image: the configured one, the one in the metadata, or the first image named cover."""
    pictures = [member for member in members if member.kind.role in {Role.IMAGE, Role.DRAWING} and member.path]
    for wanted in (configured, known.cover):
        for member in pictures:
            if wanted and wanted in {member.path, member.url, unquote(urlsplit(member.url).path)}:
                return member
    return next((member for member in pictures if _COVER.match(PurePosixPath(member.path).stem)), None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _named(texts: list[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
