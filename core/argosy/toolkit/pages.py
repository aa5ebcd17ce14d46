"""HTML pages, which services send in place of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

START = 64 * 1024  # how many bytes of a body are examined

# files that are not pages; a colon, as in /wiki/File:Cat.jpg, names a page about the file
_FILE = (
    r"(?i)/[^/:]+\.(?:pdf|epub|mobi|azw3|djvu|docx?|xlsx?|pptx?|od[tsp]|zip|gz|tgz|bz2|xz|zst|7z|rar|tar|json|jsonl|geojson"
    r"|csv|tsv|parquet|mp3|m4[abv]|aac|flac|ogg|opus|wav|mp4|mkv|webm|mov|avi|jpe?g|png|gif|webp|avif|tiff?|nc4?|h5|he5"
    r"|hdf5?|grib2?|fits|iso|exe|msi|dmg|deb|rpm|apk|whl|jar|bin|woff2?|ttf|css|js)\Z"
)
#: The media types of pages.
HTML = frozenset({"text/html", "application/xhtml+xml"})
# a tag, a comment or a declaration, after a byte order mark and white space
_MARKUP = rb"(?i)(?:\xef\xbb\xbf)?\s*<[a-z!?]"


def takes_pages(options: Mapping[str, Any]) -> bool:
    """Return whether an auth plugin's options say that the service shows files in HTML pages."""
    refusal = options.get("refusal")
    return isinstance(refusal, Mapping) and refusal.get("html_for_files") is False


def media_type(headers: Mapping[str, str]) -> str:
    """Return the declared media type of a response, such as ``text/html``, or an empty string."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def is_html(headers: Mapping[str, str]) -> bool:
    """Return whether a response declares an HTML page."""
    return media_type(headers) in HTML


def is_of_a_file(url: str) -> bool:
    """Return whether a URL names a file that is no page, such as ``/books/7.pdf``."""
    return re.search(_FILE, urlsplit(url).path) is not None


def is_page_for_file(url: str, path: str, start: bytes) -> bool:
    """Return whether a page came for a file of another kind, by its path and how the body starts."""
    # the declared type is not enough: many services declare everything as text/html
    about = ":" in unquote(urlsplit(url).path).rpartition("/")[2]
    return not about and re.search(_FILE, f"/{path}") is not None and re.match(_MARKUP, start) is not None
