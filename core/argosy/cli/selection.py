"""The options ``--match`` and ``--limit``: which items of a source a run takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from argosy.models.items import Item
    from argosy.models.shard import Shard

_FORM = re.compile(r"(?P<field>[^=~!]++)(?P<negated>!?)(?P<operator>[=~])(?P<value>.*+)", re.S)

#: The most characters of a text that a regular expression looks at.
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One ``--match``: a field of an item, and what one of its values must be, or must not be."""

    text: str  # as written
    field: str
    negated: bool
    is_match: Callable[[str], bool]

    def holds(self, item: Item) -> bool:
        """Return whether an item meets it."""
        return any(map(self.is_match, values_of(item, self.field))) is not self.negated


def condition(text: str) -> Condition:
    """Read ``FIELD=TEXT`` or ``FIELD~REGEX``, with ``!`` before the sign for the contrary; raise a usage error."""
    found = _FORM.fullmatch(text)
    if found is None or not found["field"].strip():
        raise click.BadParameter(
            f"{text!r} is neither FIELD=TEXT nor FIELD~REGEX, such as title~^A. Fields: id, title, url, path, tag, or a key "
            "of the metadata."
        )
    value = found["value"]
    is_match: Callable[[str], bool] = value.__eq__
    if found["operator"] == "~":
        try:
            pattern = re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise click.BadParameter(f"The regular expression {value!r} is not valid: {error}.") from None

        def is_match(one: str) -> bool:
            return pattern.search(one[:_LONGEST]) is not None

    return Condition(text, found["field"].strip(), bool(found["negated"]), is_match)


def values_of(item: Item, name: str) -> list[str]:
    """Return the values of a field of an item as text; none if it lacks the field."""
    if name in ("id", "title"):
        return [str(getattr(item, name))]
    if name in ("url", "path"):
        return [getattr(resource, name) for resource in item.resources] if name == "url" else list(item.names())
    if name in ("tag", "tags"):
        return list(item.tags)
    if name in item.metadata:
        return _texts(item.metadata[name])
    found: Any = item.metadata
    for key in name.removeprefix("metadata.").split("."):
        if not isinstance(found, Mapping) or key not in found:
            return []
        found = found[key]
    return _texts(found)


def _texts(value: Any) -> list[str]:
    """Return a JSON value as text; that of a list is any of its members."""
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    if value is None or isinstance(value, Mapping):
        return []
    return [str(value).lower() if isinstance(value, bool) else str(value)]


@dataclass
class Selection:
    """Takes the items that meet all conditions, and counts all items of the source."""

    conditions: tuple[Condition, ...] = ()
    limit: int | None = None
    #: Why items are left out, for people.
    reason: str = ""
    seen: int = field(default=0, init=False)

    def items(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items to take; raise a ConfigError at the end if there was none."""
        from argosy.errors import ConfigError

        taken, known, keys = 0, set[str](), set[str]()
        for item in items:
            self.seen += 1
            for one in self.conditions:
                if one.field not in known and values_of(item, one.field):
                    known.add(one.field)
            if len(keys) < 20:
                keys.update(item.metadata)
            if all(one.holds(item) for one in self.conditions):
                taken += 1
                yield item
        if not self.seen or taken:
            return
        unknown = [one.field for one in self.conditions if one.field not in known]
        names = ", ".join(["id", "title", "url", "path", "tag", *sorted(keys)])
        hint = f"No item has a field {unknown[0]!r}; they have: {names}." if unknown else "Try it with --dry-run."
        wanted = " and ".join(repr(one.text) for one in self.conditions)
        raise ConfigError(f"None of the {self.seen} items matches {wanted}.", hint=hint)

    def left_out(self, items: int) -> str:
        """Return how many items a run of `items` items leaves out and why, or an empty text."""
        count = self.seen - items
        return f"{count} of {self.seen} items ({self.reason})" if count > 0 else ""


def selection(options: Mapping[str, Any], shard: Shard | None) -> Selection:
    """Return the selection of the options of a command, and of the shard of its settings."""
    conditions: tuple[Condition, ...] = options["match"]
    reasons = [f"--match {one.text}" for one in conditions]
    reasons += ["in other shards"] if shard is not None else []
    reasons += ["by tags"] if options["tags"] else []
    reasons += [f"--limit {options['limit']}"] if options["limit"] is not None else []
    return Selection(conditions, options["limit"], ", ".join(reasons))


def read_conditions(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    """Read all values of ``--match``."""
    return tuple(map(condition, values))
