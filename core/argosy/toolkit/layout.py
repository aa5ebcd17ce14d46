"""Layouts: names of files made of a template, such as ``{tag}/{title} [{id}]/{path}``.

A template is divided at its slashes first, then its fields are filled in. So no title and no id can make a folder,
and each part becomes a safe one by the rule of `argosy.toolkit.names.safe_part`. A part that comes out empty is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy.errors import ConfigError
from argosy.models.items import Item
from argosy.toolkit.names import safe_part

#: Fields of an item; those of one file of it; those that may hold several parts.
ITEM_FIELDS = ("id", "title", "tag", "tags", "folder")
FILE_FIELDS = ("path", "name", "stem", "suffix", "number")
_WHOLE = frozenset({"path", "folder"})

#: What the fields of an item's metadata begin with.
_METADATA = "metadata."

_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class _Field:
    """A field: the first of some names that is not empty, or else a text."""

    names: tuple[str, ...]
    text: str = ""


class Layout:
    """A template of names.

    Parameters
    ----------
    template
        Text with fields in braces, ``/`` between the parts. ``{folder|id}`` is the id where there is no folder, and
        ``{tag|none}`` the word where there is no tag.
    option
        The name of the option it comes from, for messages.
    of_files
        Whether it names the files of an item (which have the fields of `FILE_FIELDS`), or the item alone.

    Raises
    ------
    ConfigError
        If it has a field that is unknown here, or is no relative name.

    Examples
    --------
    >>> item = Item("b1", "Dune: a novel", tags=("Novel",), folder="b1")
    >>> Layout("{tag}/{title} [{id}]/{path}").name(item, "text/1.html", 1)
    'Novel/Dune_ a novel [b1]-7113da18/text/1.html'
    >>> Layout("{metadata.author|unknown}/{title}.zip", of_files=False).name(item)
    'unknown/Dune_ a novel-b2705002.zip'
    """

    def __init__(self, template: str, option: str = "layout", *, of_files: bool = True) -> None:
        self._known = ITEM_FIELDS + (FILE_FIELDS if of_files else ())
        self._option = option
        self._parts = [self._parsed(part) for part in template.split("/")]
        if not template or template.startswith("/"):
            raise self._wrong(f"{template!r} is no relative name")

    def has_own_folder(self, item: Item) -> bool:
        """Return whether its folders are those of one item alone: they say its id, or the folder that it has."""
        names = {n for part in self._parts[:-1] for f in part if isinstance(f, _Field) for n in f.names}
        return "id" in names or ("folder" in names and bool(item.folder))

    def name(self, item: Item, path: str = "", number: int = 0, *, ending: str = "") -> str:
        """Return the name of one file of an item, relative to the target directory.

        Parameters
        ----------
        item
            The item.
        path
            The path of the resource, with ``/`` between the parts.
        number
            Which one of the item's it is, from 1 on.
        ending
            What the name ends with: ``.zip``.
        """
        return "/".join(self._filled(self._parts, _values(item, path, number), ending) or [f"_{ending}"])

    def folder(self, item: Item, path: str = "", number: int = 0) -> str:
        """Return the folder of that name, without the parts that ``{path}`` brings; empty for the target itself."""
        return "/".join(self._filled(self._parts[:-1], _values(item, path, number), ""))

    def _filled(self, parts: list[list[str | _Field]], values: _Values, ending: str) -> list[str]:
        made: list[str] = []
        for part in parts:
            text = "".join(p if isinstance(p, str) else values.of(p) for p in part).strip()
            if len(part) == 1 and isinstance(part[0], _Field) and values.is_path(part[0]):
                made += text.split("/")  # it is a relative name already, and was looked at as one
            elif text:
                made.append(safe_part(text, keep_suffix=part is self._parts[-1]))
        if made and ending:
            made[-1] = safe_part(f"{made[-1]}{ending}", keep_suffix=True)
        return made

    def _parsed(self, part: str) -> list[str | _Field]:
        found: list[str | _Field] = []
        at = 0
        for match in _FIELD.finditer(part):
            found += [part[at : match.start()], self._field(match[1])]
            at = match.end()
        found.append(part[at:])
        kept = [p for p in found if p != ""]
        if any(isinstance(p, str) and ("{" in p or "}" in p) for p in kept):
            raise self._wrong(f"{part!r} has a brace without its other half")
        if len(kept) > 1 and any(isinstance(p, _Field) and _WHOLE & {*p.names} for p in kept):
            raise self._wrong(
                f"{part!r} has something beside {{path}} or {{folder}}, which may be several folders",
                "Put a slash between them, or take {name}: the last part of the path.",
            )
        return kept

    def _field(self, text: str) -> _Field:
        *names, last = text.split("|")
        if self._is_field(last) or not names:
            names, last = [*names, last], ""
        for name in names:
            if not self._is_field(name):
                fields = ", ".join(f"{{{field}}}" for field in (*self._known, "metadata.NAME"))
                raise self._wrong(f"there is no field {{{name}}}", f"There are {fields}.")
        return _Field(tuple(names), last)

    def _is_field(self, name: str) -> bool:
        return name in self._known or (name.startswith(_METADATA) and name != _METADATA)

    def _wrong(self, what: str, hint: str | None = None) -> ConfigError:
        return ConfigError(
            f'The option "{self._option}" is not valid: {what}.',
            hint=hint or "A layout looks like this: {tag}/{title} [{id}]/{path}",
        )


class _Values:
    """The values of the fields for one file."""

    def __init__(self, item: Item, values: Mapping[str, str]) -> None:
        self._item = item
        self._values = values

    def of(self, field: _Field) -> str:
        """Return the value of a field."""
        return next(filter(None, map(self._value, field.names)), field.text)

    def is_path(self, field: _Field) -> bool:
        """Return whether a field's value may have several parts."""
        name = next(filter(self._value, field.names), None)
        return name in _WHOLE

    def _value(self, name: str) -> str:
        if name.startswith(_METADATA):
            return _text(self._item.metadata.get(name.removeprefix(_METADATA)))
        return self._values[name]


def _values(item: Item, path: str, number: int) -> _Values:
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    values = {
        "id": item.id,
        "title": item.title,
        "tag": item.tags[0] if item.tags else "",
        "tags": ", ".join(item.tags),
        "folder": item.folder,
        "path": path,
        "name": name,
        "stem": stem or name,
        "suffix": f"{dot}{suffix}" if stem else "",
        "number": str(number),
    }
    return _Values(item, values)


def _text(value: Any) -> str:
    """Return a value of an item's metadata as it stands in a name: texts, numbers, and lists of them."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_text, value)))
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
