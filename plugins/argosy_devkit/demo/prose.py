"""Converts docstrings to HTML: paragraphs, lists, headings and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

_UNDERLINE = re.compile(r"[-=~^*#]{3,}$")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,2}[.)]) +(?=\S)")
_COLUMNS = re.compile(r"\S {3,}\S|\S +--+ +\S")
_SENTENCE = re.compile(r"[A-Z][a-z]* [a-z]")
_CODE = re.compile(r"``(.+?)``|:[a-z:]+:`~?\.?([^`<>]+)`|(?<![\w`'])`([^`'\n]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a docstring: a ``paragraph``, ``heading``, ``code``, list ``item``, or an indented ``note``."""

    kind: str
    lines: tuple[str, ...]


def to_html(text: str) -> str:
    """Return a docstring as escaped HTML."""
    parts: list[str] = []
    in_list = False
    for block in blocks(text):
        if in_list != (block.kind == "item"):
            in_list = not in_list
            parts.append("<ul>" if in_list else "</ul>")
        parts.append(_render(block))
    if in_list:
        parts.append("</ul>")
    return "\n".join(parts)


def _render(block: Block) -> str:
    if block.kind == "code":
        return f"<pre>{escape(chr(10).join(block.lines))}</pre>"
    words = inline(" ".join(line.strip() for line in block.lines))
    match block.kind:
        case "heading":
            return f'<p class="heading">{words}</p>'
        case "item":
            return f"<li>{words}</li>"
        case "note":
            return f'<p class="note">{words}</p>'
    return f"<p>{words}</p>"


def inline(text: str) -> str:
    """Return a line of text as HTML, with code marked up."""
    parts, end = [], 0
    for match in _CODE.finditer(text):
        code = next(group for group in match.groups() if group is not None)
        parts += [escape(text[end : match.start()]), f"<code>{escape(code)}</code>"]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a docstring; merge code blocks that only empty lines separate."""
    code: list[str] = []
    for group in _groups(text):
        for block in _split(group):
            if block.kind == "code":
                code += [*([""] if code else []), *block.lines]
                continue
            if code:
                yield _dedented(code)
                code = []
            yield block
    if code:
        yield _dedented(code)


def _dedented(lines: list[str]) -> Block:
    margin = min(len(line) - len(line.lstrip()) for line in lines if line)
    lines = [line[margin:] for line in lines]
    return Block("note" if _is_sentence(lines) else "code", tuple(lines))


def _is_sentence(lines: list[str]) -> bool:
    """Return whether indented lines are prose rather than code."""
    if any(not line or line.startswith((" ", ">>>")) or "  " in line.replace(".  ", ". ") for line in lines):
        return False
    return bool(_SENTENCE.match(lines[0])) and lines[-1].endswith(".")


def _groups(text: str) -> Iterator[list[str]]:
    group: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip():
            group.append(line.rstrip())
        elif group:
            yield group
            group = []


def _split(lines: list[str]) -> Iterator[Block]:
    """Yield blocks of lines without an empty line."""
    if lines[0].startswith((" ", ">>>")) or _is_table(lines):
        yield Block("code", tuple(lines))
        return
    if len(lines) > 1 and _UNDERLINE.match(lines[1]):
        yield Block("heading", (lines[0],))
        if lines[2:]:
            yield from _split(lines[2:])
        return
    item = _ITEM.match(lines[0])
    margin = item.end() if item else 0
    end = 1
    while end < len(lines) and _goes_on(lines[end], margin):
        end += 1
    first = lines[0][margin:]
    yield Block("item" if item else "paragraph", (first, *lines[1:end]))
    if lines[end:]:
        yield from _split(lines[end:])


def _goes_on(line: str, margin: int) -> bool:
    indent = len(line) - len(line.lstrip())
    if line.startswith(">>>") or _ITEM.match(line):
        return False
    # under a list item all lines belong to it; under a paragraph indented lines are code
    return indent > 0 if margin else indent == 0


def _is_table(lines: list[str]) -> bool:
    return len(lines) > 1 and sum(bool(_COLUMNS.search(line.strip())) for line in lines) * 2 > len(lines)
