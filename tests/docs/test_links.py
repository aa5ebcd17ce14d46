"""Links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from documents import ROOT, documents, files, prose

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")


def links(document: Path) -> list[str]:
    return [found["target"] for found in _LINK.finditer(prose(document))]


def anchors(document: Path) -> set[str]:
    """Return the anchors of the headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    dead = []
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or not target.is_relative_to(ROOT) or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("document", [path for path in documents() if files(path)], ids=lambda path: path.name)
def test_readers_see_the_names_of_files(document: Path) -> None:
    """The word after the language of a block is not shown."""
    assert [name for name in files(document) if f"`{name}`" not in prose(document)] == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        targets = [(document.parent / link.partition("#")[0]).resolve() for link in links(document)]
        waiting += [target for target in targets if target.suffix == ".md" and target.exists()]
    home = ROOT / "docs" / "index.md"  # of the site
    assert set(documents()) - reached - {home} == set()
