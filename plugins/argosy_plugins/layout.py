"""Layouts: templates of file names, such as ``{tag}/{title} [{id}]/{path}``."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from argosy.errors import ConfigError
from argosy.models.items import Item
from argosy.toolkit.names import safe_part

ITEM_FIELDS = ("id", "title", "tag", "tags", "folder")
FILE_FIELDS = ("path", "name", "stem", "suffix", "number")
#: Fields that may have several parts.
_WHOLE = frozenset({"path", "folder"})

_METADATA = "metadata."
#: Fields, of which the first that is not empty counts, and the text if all are empty.
_Choice = tuple[tuple[str, ...], str]


class Layout:
    """A template of names.

    It is divided at its slashes before its fields are filled in, so no title or ID can make a folder. Each part becomes a
    safe one (`argosy.toolkit.names.safe_part`), and an empty part is left out. An invalid template is a `ConfigError`.

    A field such as ``{folder|id}`` is the ID if there is no folder, ``{tag|none}`` is "none" without a tag. If `of_files`
    is false, it names an item, without `FILE_FIELDS`. `option` is the option it comes from, for messages.

    Examples
    --------
    >>> item = Item("b1", "Dune: a novel", tags=("Novel",), folder="b1")
    >>> Layout("{tag}/{title} [{id}]/{path}").name(item, "text/1.html", 1)
    'Novel/Dune_ a novel [b1]-7113da18/text/1.html'
    """

    def __init__(self, template: str, option: str = "layout", *, of_files: bool = True) -> None:
        self._known = ITEM_FIELDS + (FILE_FIELDS if of_files else ())
        self._option = option
        if not template or template.startswith("/"):
            raise self._invalid(f"{template!r} is not a relative name")
        self._parts = [self._parsed(part) for part in template.split("/")]

    def has_own_folder(self, item: Item) -> bool:
        """Return whether its folders belong to one item alone: they contain its ID, or the folder that it has."""
        names = {name for part in self._parts[:-1] for fields, _ in part for name in fields}
        return "id" in names or ("folder" in names and bool(item.folder))

    def name(self, item: Item, path: str = "", number: int = 0, *, ending: str = "") -> str:
        """Return the name of one file of an item, relative to the target directory.

        `path` and `number` (from 1) are those of the resource; `ending` is the end of the name, such as ``.zip``.
        """
        *folders, last = self._filled(self._parts, _values(item, path, number)) or ["_"]
        return "/".join([*folders, safe_part(f"{last}{ending}", keep_suffix=True) if ending else last])

    def folder(self, item: Item) -> str:
        """Return the folder of an item, without the parts of ``{path}``; empty for the target directory."""
        return "/".join(self._filled(self._parts[:-1], _values(item, "", 0)))

    def _filled(self, parts: list[list[_Choice]], values: Mapping[str, str]) -> list[str]:
        made: list[str] = []
        for part in parts:
            text, name = "", ""
            for names, otherwise in part:
                name = next((name for name in names if values.get(name)), "")
                text += values[name] if name else otherwise
            text = text.strip()
            if name in _WHOLE:
                made += text.split("/")  # the only field of its part, and a checked relative name
            elif text:
                made.append(safe_part(text, keep_suffix=part is self._parts[-1]))
        return made

    def _parsed(self, part: str) -> list[_Choice]:
        choices: list[_Choice] = []
        try:
            for text, field, *_ in Formatter().parse(part):
                choices += [((), text)] if text else []
                choices += [] if field is None else [self._choice(field)]
        except ValueError as error:
            raise self._invalid(f"{part!r} has a brace without its other half ({error})") from None
        if len(choices) > 1 and any(_WHOLE & {*names} for names, _ in choices):
            raise self._invalid(
                f"{part!r} has something beside {{path}} or {{folder}}, which may be several folders",
                "Put a slash between them, or use {name}, the last part of the path.",
            )
        return choices

    def _choice(self, text: str) -> _Choice:
        names = text.split("|")
        otherwise = "" if len(names) == 1 or self._is_known(names[-1]) else names.pop()
        for name in names:
            if not self._is_known(name):
                fields = ", ".join(f"{{{field}}}" for field in (*self._known, "metadata.NAME"))
                raise self._invalid(f"there is no field {{{name}}}", f"The fields are {fields}.")
        return tuple(names), otherwise

    def _is_known(self, name: str) -> bool:
        return name in self._known or (name.startswith(_METADATA) and name != _METADATA)

    def _invalid(self, what: str, hint: str = "Example: {tag}/{title} [{id}]/{path}") -> ConfigError:
        return ConfigError(f'The option "{self._option}" is not valid: {what}.', hint=hint)


def _values(item: Item, path: str, number: int) -> dict[str, str]:
    name = path.rpartition("/")[2]
    at = name.rfind(".")
    at = at if 0 < at < len(name) - 1 else len(name)  # as pathlib has it
    return {
        **{f"{_METADATA}{key}": _text(value) for key, value in item.metadata.items()},
        "id": item.id,
        "title": item.title,
        "tag": item.tags[0] if item.tags else "",
        "tags": ", ".join(item.tags),
        "folder": item.folder,
        "path": path,
        "name": name,
        "stem": name[:at],
        "suffix": name[at:],
        "number": str(number),
    }


def _text(value: Any) -> str:
    """Return a metadata value for a name: texts, numbers, and lists of them."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_text, value)))
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
