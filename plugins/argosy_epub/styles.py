"""CSS without references outside the book and without rules that EPUB readers reject."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import tinycss2

from argosy_epub.selectors import font_parts, known_selectors, split

#: Gets the contents of a ``url()`` and the roles allowed there; returns what to write, or None to drop it.
Resolve = Callable[[str, str], str | None]

# EPUB 3.3 section 6.3.1: these two belong in the markup; the others run programs or fetch files
_NO_PROPERTY = frozenset({"direction", "unicode-bidi", "behavior", "-moz-binding", "-epub-behavior"})
_NO_FUNCTION = frozenset(
    {
        "expression",
        "image-set",
        "-webkit-image-set",
        "cross-fade",
        "-webkit-cross-fade",
        "element",
        "image",
        "paint",
    }
)
_WHOLE = frozenset({":root", "html", "body", "*"})
_WHOLE_FONTS = frozenset(
    {"inherit", "initial", "unset", "caption", "icon", "menu", "message-box", "small-caption", "status-bar"}
)
#: The largest style sheet in bytes: it takes over a hundred times its size in memory.
LARGEST_SHEET = 2 << 20
_LONGEST = 1000
#: The most characters that custom properties may add to a sheet.
_MOST_ADDED = 1 << 20
# excludes custom properties and names that need escapes
_NAME = re.compile(r"-?[A-Za-z][\w-]*\Z", re.ASCII)
_BRACKETS = re.compile(r"[(\[{)\]}]")
_DEEPEST = 60
_WITH_RULES = frozenset({"media", "supports", "layer", "container", "scope", "starting-style"})
_WITH_DECLARATIONS = frozenset({"page", "font-face"})
_NOT_FOR_READING = frozenset({"print", "speech", "aural", "braille", "embossed", "projection", "tty", "tv"})


def clean_sheet(sheet: str | bytes, resolve: Resolve) -> str:
    """Return a style sheet in which every reference leads to a file of the book; empty above `LARGEST_SHEET`.

    Invalid CSS is left out, as in a browser (CSS Syntax Level 3, section 2.2), and so is each declaration with a
    reference that leads nowhere. Custom properties of ``:root`` are replaced by their values, since many readers do not
    know them.
    """
    if len(sheet) > LARGEST_SHEET or _is_deep(sheet if isinstance(sheet, str) else sheet.decode("latin-1")):
        return ""
    if isinstance(sheet, bytes):
        rules, _ = tinycss2.parse_stylesheet_bytes(sheet, skip_comments=True, skip_whitespace=True)
    else:
        rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return "".join(f"{rule}\n" for rule in _rules(rules, _Scope(resolve, rules), outermost=True))


def clean_declarations(style: str, resolve: Resolve) -> str:
    """Return the value of a ``style`` attribute, cleaned in the same way."""
    if len(style) > LARGEST_SHEET or _is_deep(style):
        return ""
    return "; ".join(_declarations(tinycss2.parse_blocks_contents(style, skip_comments=True), _Scope(resolve, ())))


def _is_deep(text: str) -> bool:
    """Return whether brackets are nested absurdly deep: parsers would exhaust the stack."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth = depth + 1 if found.group() in "([{" else max(0, depth - 1)
        if depth > _DEEPEST:
            return True
    return False


class _Scope:
    """Replaces names in values: files and custom properties."""

    def __init__(self, resolve: Resolve, rules: Iterable[Any]) -> None:
        self.resolve = resolve
        self._left = _MOST_ADDED
        self._tokens: dict[str, list[Any]] = {}
        self._values: dict[str, str | None] = {}
        for rule in rules:
            if rule.type != "qualified-rule" or tinycss2.serialize(rule.prelude).strip() not in _WHOLE:
                continue
            for item in tinycss2.parse_blocks_contents(rule.content, skip_comments=True):
                if item.type == "declaration" and item.name.startswith("--"):
                    self._tokens[item.name] = item.value

    def variable(self, arguments: list[Any]) -> str | None:
        """Return the value of a ``var()``, or None."""
        name = next((token.value for token in arguments if token.type == "ident"), "")
        if name not in self._values:
            self._values[name] = None  # a property that refers to itself has no value
            value = _value(self._tokens[name], self) if name in self._tokens else None
            self._values[name] = value.strip() if value is not None and len(value) <= _LONGEST else None
        found = self._values[name]
        comma = next((at for at, t in enumerate(arguments) if t.type == "literal" and t.value == ","), None)
        if found is None and comma is not None:
            return _value(arguments[comma + 1 :], self)
        self._left -= len(found or "")
        return found if self._left >= 0 else None


def media_wanted(query: str) -> bool:
    """Return whether a media query matches a device for reading books."""
    first = query.strip().lower().split(" ", 1)[0].rstrip(",")
    return first not in _NOT_FOR_READING or "," in query


def _rules(rules: Iterable[Any], scope: _Scope, *, outermost: bool = False) -> Iterable[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selector = known_selectors(rule.prelude)
            declarations = _declarations(tinycss2.parse_blocks_contents(rule.content, skip_comments=True), scope)
            if selector and declarations:
                yield f"{selector} {{ {'; '.join(declarations)} }}"
        elif rule.type == "at-rule" and not _has_error(rule.prelude):
            yield from _at_rule(rule, scope, outermost=outermost)


def _at_rule(rule: Any, scope: _Scope, *, outermost: bool) -> Iterable[str]:
    name, prelude = rule.lower_at_keyword, tinycss2.serialize(rule.prelude).strip()
    if name == "import":
        if outermost and (imported := _import(rule.prelude, scope)):
            yield imported
    elif rule.content is None:
        return
    elif name in _WITH_RULES:
        if name == "media" and not media_wanted(prelude):
            return
        inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
        if body := " ".join(_rules(inner, scope)):
            yield f"@{name} {prelude} {{ {body} }}"
    elif name in _WITH_DECLARATIONS:
        contents = tinycss2.parse_blocks_contents(rule.content, skip_comments=True)
        declarations = _font_face(contents, scope) if name == "font-face" else _declarations(contents, scope)
        if declarations:
            yield f"@{name} {f'{prelude} ' if prelude else ''}{{ {'; '.join(declarations)} }}"


def _import(prelude: list[Any], scope: _Scope) -> str | None:
    tokens = [token for token in prelude if token.type not in {"whitespace", "comment"}]
    address = _address(tokens[0]) if tokens else None
    target = scope.resolve(address, "style") if address is not None else None
    if target is None:
        return None
    media = tinycss2.serialize(tokens[1:]).strip()
    if not media_wanted(media):
        return None
    return f'@import "{target}"{f" {media}" if media else ""};'


def _font_face(contents: Iterable[Any], scope: _Scope) -> list[str]:
    """Return the declarations of a font that the book has; ``src`` keeps the alternatives that exist."""
    kept: list[str] = []
    found = False
    for item in contents:
        if item.type == "declaration" and item.lower_name == "src":
            alternatives = [_alternative(part, scope) for part in split(item.value)]
            if there := [text for text in alternatives if text]:
                kept.append(f"src: {', '.join(there)}")
                found = True
        else:
            kept += _declarations([item], scope)
    return kept if found else []


def _alternative(tokens: list[Any], scope: _Scope) -> str | None:
    for token in tokens:
        if token.type == "function" and token.lower_name == "local":
            return str(tinycss2.serialize(tokens)).strip()
        address = _address(token, strings=False)
        if address is not None:
            target = scope.resolve(address, "font")
            return None if target is None else f'url("{target}")'
    return None


def _declarations(contents: Iterable[Any], scope: _Scope) -> list[str]:
    kept = []
    for item in contents:
        if item.type != "declaration" or item.lower_name in _NO_PROPERTY or not _NAME.match(item.name):
            continue
        value = _value(item.value, scope)
        if value is None or not value.strip():
            continue
        if item.lower_name == "position" and value.strip().lower() in {"fixed", "sticky"}:
            continue  # a book has no window for it
        said = [(item.name, value.strip())]
        if item.lower_name == "font" and value.strip().lower() not in _WHOLE_FONTS:
            said = list(font_parts(value))
        kept += [f"{name}: {text}{' !important' if item.important else ''}" for name, text in said]
    return kept


def _value(tokens: Iterable[Any], scope: _Scope) -> str | None:
    """Return a value as text, or None if it refers to something that is missing."""
    parts: list[str] = []
    for token in tokens:
        if token.type == "error":
            return None
        address = _address(token, strings=False)
        if address is not None:
            target = scope.resolve(address, "image")
            if target is None:
                return None
            parts.append(f'url("{target}")')
        elif token.type == "function" and token.lower_name == "var":
            variable = scope.variable(token.arguments)
            if variable is None:
                return None
            parts.append(variable)
        elif token.type == "function":
            wanted = token.lower_name not in _NO_FUNCTION and _NAME.match(token.name)
            inner = _value(token.arguments, scope) if wanted else None
            if inner is None:
                return None
            parts.append(f"{token.name}({inner})")
        elif token.type in {"() block", "[] block", "{} block"}:
            if token.type == "{} block" or _has_error(token.content):
                return None
            parts.append(tinycss2.serialize([token]))
        else:
            parts.append(tinycss2.serialize([token]))
    return "".join(parts)


def _address(token: Any, *, strings: bool = True) -> str | None:
    if token.type == "url" or (strings and token.type == "string"):
        return str(token.value)
    if token.type == "function" and token.lower_name in {"url", "src"}:
        texts = [inner.value for inner in token.arguments if inner.type == "string"]
        return str(texts[0]) if texts else ""
    return None


def _has_error(tokens: Iterable[Any]) -> bool:
    for token in tokens:
        if token.type == "error":
            return True
        content = token.arguments if token.type == "function" else getattr(token, "content", None)
        if content and token.type != "at-rule" and _has_error(content):
            return True
    return False
