"""The rule for file names: which are refused, how to make a safe one, and which are equal.

It is as strict as the strictest system (names that Windows forbids, lengths of Linux), so that a library can be moved.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: The longest part of a name, in bytes of UTF-8 (NAME_MAX of the usual file systems).
MAX_PART = 255
#: The longest name as a whole, in bytes of UTF-8; leaves room for its folder (PATH_MAX is 4096).
MAX_NAME = 1024
RESERVED = ".argosy"  # argosy's own folder below the target directory
#: Unicode categories: control, format (bidi included), lone surrogate, line and paragraph separator.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
# superscript digits count as digits (Microsoft, "Naming Files, Paths, and Namespaces")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³])\s*(?:\..*)?\Z", re.I | re.S)
# what nearly all names look like, for speed: a manifest may have a million of them
_PLAIN_PART = r"(?!(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:[./]|\Z))[0-9a-z_-]+(?:\.[0-9a-z_-]+)*"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART})*\Z", re.I | re.A)
_SUFFIX = re.compile(r"(?:\.tar)?\.[A-Za-z0-9]{1,10}\Z")


def problem_of(name: str) -> str | None:
    """Return what is wrong with a name relative to the target directory ("is empty", safe to show), or None."""
    if len(name) <= MAX_PART and _PLAIN.match(name):
        return None
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is absolute; a name is relative to the target directory"
    for character in name:
        if _is_forbidden(character):
            shown = repr(character) if "\x20" < character < "\x7f" else f"U+{ord(character):04X}"
            return f"has the character {shown}, which is not allowed in a name"
    if len(name.encode()) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    parts = name.split("/")
    if parts[0].casefold() == RESERVED:
        return f"begins with {RESERVED}, which is argosy's own folder"
    return next(filter(None, map(_problem_of_part, parts)), None)


def _problem_of_part(part: str) -> str | None:
    if not part:
        return "has an empty part"
    if part in {".", ".."}:
        return f"has the part {part!r}, which could lead out of the target directory"
    if part[-1] in ". ":
        return f"has the part {part!r}, which ends in a dot or a space"
    if len(part.encode()) > MAX_PART:
        return f"has a part longer than {MAX_PART} bytes"
    if _DEVICE.match(part):
        return f"has the part {part!r}, which is the name of a device on Windows"
    return None


def _is_forbidden(character: str) -> bool:
    if character < "\x80":
        return _FORBIDDEN.match(character) is not None
    return unicodedata.category(character) in UNSEEN


def safe_part(text: str, *, limit: int = MAX_PART, keep_suffix: bool = False) -> str:
    """Return one part of a name made from any text.

    The text is normalized to NFC. URLs in it lose their secrets, forbidden characters and ``/`` become ``_``, dots and
    spaces at the end go, and device names, ``.argosy`` and empty texts get a ``_``. If that changed anything, or the
    result is longer than `limit` (at least 32) bytes of UTF-8, it is cut and gets the first 8 hex digits of the SHA-256
    of the normalized text, before a suffix such as ``.tar.gz`` if `keep_suffix` is true. So different texts get different
    parts, except those that differ in case alone (see `collision_key`), and a safe part stays as it is.

    Examples
    --------
    >>> safe_part("doi:10.1000/182")
    'doi_10.1000_182-1365c777'
    >>> safe_part("what?.pdf", keep_suffix=True)
    'what_-92323b8e.pdf'
    """
    if limit < 32:
        raise ValueError(f"limit is {limit}; it is at least 32")
    if len(text) <= limit and "/" not in text and _PLAIN.match(text):
        return text
    from argosy.toolkit.urls import redact_urls  # imports this module

    normal = unicodedata.normalize("NFC", text)
    clean = "".join("_" if c == "/" or _is_forbidden(c) else c for c in redact_urls(normal))
    clean = clean.rstrip(". ") or "_"
    if _DEVICE.match(clean) or clean.casefold() == RESERVED:
        clean = f"_{clean}"
    if clean == normal and len(clean.encode()) <= limit:
        return clean
    found = _SUFFIX.search(clean) if keep_suffix else None
    suffix = found.group() if found and found.start() > 0 else ""
    ending = f"-{_digest(normal)}{suffix}"
    stem = clean.removesuffix(suffix).encode()[: limit - len(ending)]
    return stem.decode("utf-8", "ignore") + ending


def with_digest(name: str, text: str) -> str:
    """Return the name of a file with the digest of a text before its suffix: ``report-097173a1.pdf``."""
    stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
    return safe_part(f"{stem}-{_digest(text)}{dot}{suffix}", keep_suffix=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def collision_key(name: str) -> str:
    """Return a key that is equal for names that some file system treats as one."""
    if name.isascii():
        return name.lower()
    # the canonical caseless match (The Unicode Standard, section 3.13, D145), in NFC
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
