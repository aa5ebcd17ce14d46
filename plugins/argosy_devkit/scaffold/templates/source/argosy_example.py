"""A source for argosy: a text file with a URL and a title per line."""

from __future__ import annotations

from collections.abc import Iterator

import requests

import argosy
from argosy.errors import Problem, SourceError
from argosy.toolkit.names import safe_part
from argosy.toolkit.urls import check_url, file_name

#: The most problems in one error.
MOST_PROBLEMS = 20


class ExampleSource(argosy.Source):
    """Yields an item per line: its URL, and after a space its title."""

    name = "example"
    summary = "A text file with a URL and a title per line"
    options_schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "The file."},
        },
        "required": ["path"],
    }

    def items(self, http: requests.Session) -> Iterator[argosy.Item]:
        """Yield the items while reading, without building a list; a source that sends requests sets ``asks = True``.

        Raises
        ------
        SourceError
            If the file cannot be read; at the end, if lines are not valid.
        """
        path = self.context.path(self.options["path"])
        problems: list[Problem] = []
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    url, _, title = line.strip().partition(" ")
                    if not url or url.startswith("#"):
                        continue
                    where = f"{path.name}:{number}"
                    wrong = check_url(url)
                    if wrong is None:
                        yield self._item(url, title.strip(), where)
                    elif len(problems) < MOST_PROBLEMS:
                        problems.append(Problem(where, f"the URL {wrong}", "an http or https URL"))
        except OSError as error:
            raise SourceError(
                f"The list {path} cannot be read: {error.strerror}.",
                hint="Check the option path; a relative one is relative to the configuration.",
            ) from None
        except UnicodeDecodeError:
            raise SourceError(f"The list {path} is not UTF-8 text.", hint="Save it as UTF-8.") from None
        if problems:
            raise SourceError(f"The list {path} is not valid.", tuple(problems))

    def _item(self, url: str, title: str, where: str) -> argosy.Item:
        name = file_name(url)
        resource = argosy.Resource(url, name)
        # a separate folder, because files of different items may have the same name
        return argosy.Item(url, title or name, (resource,), folder=safe_part(url, limit=200), origin=where)


@argosy.hookimpl
def argosy_source() -> type[argosy.Source]:
    """Register the source."""
    return ExampleSource
