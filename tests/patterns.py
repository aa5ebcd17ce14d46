"""All regular expressions of the packages, and texts that are hard for each of them."""

from __future__ import annotations

import importlib
import pkgutil
import re
import re._constants as ops  # type: ignore[import-not-found]  # private, and the only way to see inside a pattern
import re._parser as parser  # type: ignore[import-not-found]  # as above
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import argosy
import argosy_epub
import argosy_gateway
import argosy_plugins
import argosy_redis
import argosy_report

_CALLED = re.compile(r"\bre\.(?:match|search|fullmatch|sub|subn|split|findall|finditer)\(\s*(r?b?\"[^\"\n]+\")")
_ANCHORED = frozenset({"match", "fullmatch"})
_CANDIDATES = string.ascii_letters + string.digits + string.punctuation + " \t\n\x00\xe9"


def modules() -> Iterator[ModuleType]:
    """Yield every module of the core and of the plugins."""
    for package in (argosy, argosy_plugins, argosy_epub, argosy_gateway, argosy_redis, argosy_report):
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in (".templates", ".demo")) and not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def all_patterns() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Return the patterns by their places, and whether each is only used at the beginning of a text."""
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    for module in modules():
        source = "" if module.__file__ is None else Path(module.__file__).read_text("utf-8")
        for name, value in vars(module).items():
            for pattern in _inside(value):
                uses = set(re.findall(rf"\b{re.escape(name)}(?:\[\w+\])?\.(\w+)\(", source))
                found.setdefault(
                    f"{module.__name__}.{name} {pattern.pattern!r:.60}",
                    (pattern, bool(uses) and uses <= _ANCHORED),
                )
        for text in _CALLED.findall(source):
            pattern = re.compile(eval(text))
            found.setdefault(f"{module.__name__} {text:.60}", (pattern, False))
    return found


def _inside(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list, frozenset)):
        for inner in value:
            yield from _inside(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _inside(inner)


def hard_texts(pattern: re.Pattern[Any], size: int) -> Iterator[Any]:
    """Yield texts of about a size: what nearly matches, with each repeat pumped, and over and over again."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    repeats = _count(tree)
    seeds = {_sample(tree, -1, 0), *_letters(tree)}
    short = [seed for seed in seeds if seed]
    seeds |= {one + other for one in sorted(_letters(tree))[:8] for other in sorted(_letters(tree))[:8]}
    seeds |= {sample[:-cut] for sample in short for cut in (1, 2) if len(sample) > cut}
    made = [seed * (size // len(seed)) for seed in seeds if seed]
    made += [_sample(tree, at, size) for at in range(repeats)]
    made += [_sample(tree, at, size // 20) * 20 for at in range(repeats)]
    for text in made:
        for end in ("", "\x00", "\n!"):
            yield ((text + end).encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text + end)


def _count(tree: Any) -> int:
    return sum(1 for _ in _repeats(tree))


def _repeats(tree: Iterable[Any]) -> Iterator[Any]:
    for code, value in tree:
        if code in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            yield value
            yield from _repeats(value[2])
        elif code is ops.SUBPATTERN:
            yield from _repeats(value[3])
        elif code is ops.BRANCH:
            for branch in value[1]:
                yield from _repeats(branch)
        elif code in (ops.ASSERT, ops.ATOMIC_GROUP):
            yield from _repeats(value[1] if code is ops.ASSERT else value)


def _sample(tree: Iterable[Any], pumped: int, size: int) -> str:
    """Return a text that matches, or nearly; the repeat of this number is pumped to a size."""
    numbers = {id(value): number for number, value in enumerate(_repeats(tree))}

    def of(part: Iterable[Any]) -> str:
        return "".join(of_one(code, value) for code, value in part)

    def of_one(code: Any, value: Any) -> str:
        if code is ops.SUBPATTERN:
            return of(value[3])
        if code is ops.ATOMIC_GROUP:
            return of(value)
        if code is ops.BRANCH:
            inner = [branch for branch in value[1] if pumped in {numbers.get(id(v)) for v in _repeats(branch)}]
            return of((inner or value[1])[0])
        if code in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            once: str = of(value[2])
            if numbers[id(value)] == pumped:
                return once * int(size // max(len(once), 1))
            return once * max(int(value[0]), 1)
        return next(iter(_members(code, value)), "")

    return of(tree)


def _members(code: Any, value: Any) -> list[str]:
    if code is ops.LITERAL:
        return [chr(value)]
    if code is ops.ANY:
        return ["a"]
    if code is ops.NOT_LITERAL:
        return [c for c in _CANDIDATES if c != chr(value)][:2]
    if code is ops.IN:
        one = re.compile(_class(value))
        return [c for c in _CANDIDATES if one.match(c)][:2]
    return []


def _class(value: Any) -> str:
    names = {
        ops.CATEGORY_DIGIT: r"\d",
        ops.CATEGORY_NOT_DIGIT: r"\D",
        ops.CATEGORY_SPACE: r"\s",
        ops.CATEGORY_NOT_SPACE: r"\S",
        ops.CATEGORY_WORD: r"\w",
        ops.CATEGORY_NOT_WORD: r"\W",
    }
    text = ""
    for code, inner in value:
        if code is ops.NEGATE:
            text += "^"
        elif code is ops.LITERAL:
            text += re.escape(chr(inner))
        elif code is ops.RANGE:
            text += f"{re.escape(chr(inner[0]))}-{re.escape(chr(inner[1]))}"
        elif code is ops.CATEGORY:
            text += names[inner]
    return f"[{text}]"


def _letters(tree: Iterable[Any]) -> set[str]:
    """Return characters that mean something to a pattern."""
    found: set[str] = set()
    for code, value in tree:
        if code is ops.SUBPATTERN:
            found |= _letters(value[3])
        elif code is ops.ATOMIC_GROUP:
            found |= _letters(value)
        elif code is ops.BRANCH:
            for branch in value[1]:
                found |= _letters(branch)
        elif code in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            found |= _letters(value[2])
        elif code in (ops.ASSERT, ops.ASSERT_NOT):
            found |= _letters(value[1])
        else:
            found |= set(_members(code, value))
    return found
