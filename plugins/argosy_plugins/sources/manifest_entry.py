"""Checks one entry of a manifest and turns it into an item.

Handwritten, because reading a million lines again must be cheap: a JSON Schema validator takes about a hundred times
as long. The rules are those of ``manifest.v1``:

- ``url`` alone, or ``resources``, plus the item's ``id``, ``title``, ``tags``, ``metadata``;
- ``path``, ``size``, the digests, ``headers``, ``referer`` and what to POST are next to the ``url`` they describe;
- null means absent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urldefrag, urlencode

from argosy.models.items import DIGESTS, Item, Resource
from argosy.toolkit.names import MAX_NAME, problem_of, safe_part
from argosy.toolkit.urls import check_url, file_name

#: Gets what was found and what was expected.
Report = Callable[[str, str], None]

#: Keys of a file that is the response to a POST: its body in one of three forms, or none.
_BODIES = ("body", "json", "form")
_POST_KEYS = ("method", *_BODIES, "content_type", "repeatable")
RESOURCE_KEYS = ("url", "path", "size", *DIGESTS, "headers", "referer", *_POST_KEYS)
ITEM_KEYS = ("id", "title", "tags", "metadata")
ENTRY_KEYS = frozenset((*ITEM_KEYS, *RESOURCE_KEYS, "resources"))
_RESOURCE_KEYS = frozenset(RESOURCE_KEYS)
_HEX_LENGTH = {"sha256": 64, "sha512": 128, "blake2b": 128, "sha1": 40, "md5": 32}
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_TYPE = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*;[ -~]*)?\Z"
)  # RFC 9110 section 8.3.1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_ID = 1024
_MAX_SIZE = 2**63 - 1


def entry_to_item(
    entry: object, origin: str, report: Report, *, served: bool = False, ignore_query: bool = False
) -> Item | None:
    """Return the item that one decoded entry describes, or None after reporting its problems.

    `origin` is the place for messages: ``books.jsonl:3``. With `served`, the server names resources without a path.
    """
    if not isinstance(entry, dict):
        report(f"{_kind(entry)}", 'an object such as {"url": "https://..."}')
        return None
    check = _Checker(report, served, ignore_query)
    if not entry.keys() <= ENTRY_KEYS:
        check.unknown_keys(entry, ENTRY_KEYS)
    resources, folder = _resources(entry, check)
    if not check.passed():
        return None
    first = resources[0]
    identifier = entry.get("id")
    if identifier is None:
        identifier = first.url.partition("?")[0] if ignore_query else first.url
        if first.body is not None:  # other bodies bring other files
            identifier += f"#post-{hashlib.blake2b(first.body.encode(), digest_size=4).hexdigest()}"
        title = first.path.rpartition("/")[2]
    else:
        title = identifier
    item = Item(
        id=identifier,
        title=check.string(entry, "title") or title,
        resources=resources,
        tags=check.tags(entry.get("tags")),
        metadata=check.metadata(entry.get("metadata")),
        folder=folder,
        origin=origin,
    )
    return item if check.passed() else None


def _resources(entry: Mapping[str, Any], check: _Checker) -> tuple[tuple[Resource, ...], str]:
    identifier = check.identifier(entry.get("id"))
    listed = entry.get("resources")
    if listed is None:
        if entry.get("url") is None:
            check.fault('neither "url" nor "resources"', "one of them")
            return (), ""
        only = check.resource(entry, "", "")
        return ((only,) if only else ()), ""
    if astray := [key for key in RESOURCE_KEYS if entry.get(key) is not None]:
        check.fault(f'"{astray[0]}" beside "resources"', "it belongs into the resource")
    if not isinstance(listed, list) or not listed:
        found = "is empty" if listed == [] else f"is {_kind(listed)}"
        check.fault(f'"resources" {found}', 'an array of at least one object with a "url"')
        return (), ""
    folder = safe_part(identifier or _first_url(listed, check))
    made = []
    for number, value in enumerate(listed, 1):
        place = f"resource {number}: "
        if not isinstance(value, dict):
            check.fault(f"{place}{_kind(value)}", 'an object such as {"url": "https://..."}')
            continue
        if not value.keys() <= _RESOURCE_KEYS:
            check.unknown_keys(value, _RESOURCE_KEYS, place)
        if (resource := check.resource(value, folder, place)) is not None:
            made.append(resource)
    return tuple(made), folder


def _first_url(listed: list[Any], check: _Checker) -> str:
    url = listed[0].get("url") if isinstance(listed[0], dict) else None
    if not isinstance(url, str):
        return ""
    url = url.partition("#")[0]  # the URL has not been checked yet: urldefrag might raise
    return url.partition("?")[0] if check.ignore_query else url


class _Checker:
    """Checks the values of one entry, and remembers if one is invalid."""

    def __init__(self, report: Report, served: bool, ignore_query: bool) -> None:
        self.served = served
        self.ignore_query = ignore_query
        self._report = report
        self._failed = False

    def passed(self) -> bool:
        return not self._failed

    def fault(self, found: str, expected: str) -> None:
        self._failed = True
        self._report(found, expected)

    def unknown_keys(self, value: Mapping[str, Any], known: frozenset[str], place: str = "") -> None:
        import difflib

        for key in value:
            if key not in known:
                close = difflib.get_close_matches(key.lower(), sorted(known), 1)
                advice = f'did you mean "{close[0]}"?' if close else f"one of {', '.join(sorted(known))}"
                self.fault(f"{place}unknown key {_quoted(key)}", advice)

    def identifier(self, value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(f'"id" is {_kind(value)}', "a string")
        elif not value or len(value) > _MAX_ID or _CONTROL.search(value):
            self.fault(f'"id" is {_quoted(value)}', f"1 to {_MAX_ID} characters, no control characters")
        else:
            return value
        return None

    def string(self, value: Mapping[str, Any], key: str, place: str = "") -> str | None:
        found = value.get(key)
        if found is None or isinstance(found, str):
            return found
        self.fault(f'{place}"{key}" is {_kind(found)}', "a string")
        return None

    def tags(self, value: object) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.fault(f'"tags" is {_kind(value)}', 'an array of strings such as ["Python"]')
            return ()
        for tag in value:
            if not isinstance(tag, str) or not tag.strip():
                found = "an empty string" if isinstance(tag, str) else _kind(tag)
                self.fault(f'"tags" has {found} in it', "strings that are not empty")
                return ()
        return tuple(value)

    def metadata(self, value: object) -> Mapping[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(f'"metadata" is {_kind(value)}', "an object")
        return {}

    def resource(self, value: Mapping[str, Any], folder: str, place: str) -> Resource | None:
        url = value.get("url")
        if not isinstance(url, str):
            found = 'no "url"' if url is None else f'"url" is {_kind(url)}'
            self.fault(f"{place}{found}", "an http or https URL")
            return None
        if (problem := check_url(url)) is not None:
            self.fault(f"{place}the URL {problem}", "an http or https URL without a password in it")
            return None
        url = urldefrag(url).url
        path = self._path(value, url, folder, place)
        size = value.get("size")
        if size is not None and (type(size) is not int or not 0 <= size <= _MAX_SIZE):
            found = str(size)[:40] if type(size) in {int, float} else _kind(size)
            self.fault(f'{place}"size" is {found}', "a whole number of bytes, 0 or more")
            return None
        digests = {}
        for key in DIGESTS:
            if (digest := value.get(key)) is not None:
                digests[key] = self._digest(key, digest, place)
        headers, referer = value.get("headers"), self.string(value, "referer", place) or ""
        if headers is not None and not isinstance(headers, dict):
            self.fault(
                f'{place}"headers" is {_kind(headers)}', 'an object such as {"X-Requested-With": "XMLHttpRequest"}'
            )
            return None
        served = self.served and value.get("path") is None
        post = self._post(value, place) if any(value.get(key) is not None for key in _POST_KEYS) else {}
        try:
            resource = Resource(url, path, size, digests, served, self.ignore_query, headers or {}, referer, **post)
        except ValueError as error:
            self.fault(f"{place}{error}", "header fields that a request may add")
            return None
        return resource if path else None

    def _post(self, value: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return the body of a POST, its type, and whether it may be repeated; nothing for a GET."""
        given = [key for key in _BODIES if value.get(key) is not None]
        method = value.get("method", "POST" if given else "GET") or "GET"
        repeatable = value.get("repeatable") or False
        if method not in ("GET", "POST"):
            found = _quoted(method) if isinstance(method, str) else _kind(method)
            self.fault(f'{place}"method" is {found}', '"GET" or "POST"')
        elif len(given) > 1:
            self.fault(f'{place}"{given[0]}" beside "{given[1]}"', "one of them")
        elif method == "GET" and (astray := [key for key in _POST_KEYS[1:] if value.get(key) is not None]):
            self.fault(f'{place}"{astray[0]}" without a POST', '"method": "POST", or a "body", "json" or "form"')
        elif not isinstance(repeatable, bool):
            self.fault(f'{place}"repeatable" is {_kind(repeatable)}', "true or false")
        elif method == "POST":
            body, kind = self._body(value, given[0] if given else "", place)
            if (own := self.string(value, "content_type", place)) is not None and not _TYPE.match(own):
                self.fault(f'{place}"content_type" is {_quoted(own)}', "a media type such as application/xml")
            return {"body": body, "content_type": own or kind, "repeatable": repeatable}
        return {}

    def _body(self, value: Mapping[str, Any], key: str, place: str) -> tuple[str, str]:
        """Return the body of a POST and its media type."""
        found = value.get(key)
        if key == "json":
            return json.dumps(found, ensure_ascii=False), "application/json"
        if key == "form":
            if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
                return urlencode(found), "application/x-www-form-urlencoded"
            self.fault(f'{place}"form" is not an object of strings', 'one such as {"id": "7"}')
        elif key:
            body = self.string(value, key, place) or ""
            return body, "text/plain; charset=utf-8"
        return "", ""

    def _path(self, value: Mapping[str, Any], url: str, folder: str, place: str) -> str:
        if value.get("path") is None:
            return file_name(url)
        path = self.string(value, "path", place)
        if path is None:
            return ""
        if (problem := problem_of(path)) is not None:
            shown = f" {_quoted(path)}" if path else ""
            self.fault(f'{place}the "path"{shown} {problem}', "a relative path such as ch1.html")
            return ""
        if len(path) > MAX_NAME // 8 and len(f"{folder}/{path}".encode()) > MAX_NAME:
            self.fault(f'{place}the "path" with its folder is longer than {MAX_NAME} bytes', "a shorter one")
            return ""
        return path

    def _digest(self, key: str, value: object, place: str) -> str:
        if not isinstance(value, str):
            self.fault(f'{place}"{key}" is {_kind(value)}', f"a string of {_HEX_LENGTH[key]} hex digits")
        elif len(value) != _HEX_LENGTH[key]:
            found = f"{len(value)} characters long"
            self.fault(f'{place}"{key}" is {found}', f"{_HEX_LENGTH[key]} hex digits")
        elif not _HEX.match(value):
            self.fault(f'{place}"{key}" is not hex', f"{_HEX_LENGTH[key]} digits 0 to 9 and a to f")
        else:
            return value.lower()
        return ""


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return names[type(value)]


def _quoted(text: str) -> str:
    shown = ascii(text) if not text.isprintable() else repr(text)
    return shown if len(shown) <= 60 else f"{shown[:56]}...{shown[0]}"
