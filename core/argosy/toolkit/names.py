"""The one rule for the names of files: which are refused, how a safe one is made, and which are the same.

A name that a person or a server asked for is refused where `problem_of` finds something. A name that argosy
makes itself, out of an id or a URL, goes through `safe_part`. The rule is that of the strictest system (the
names Windows forbids, the lengths of Linux), on every system, so that a library can be moved.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

#: The longest part of a name, in bytes of UTF-8 (NAME_MAX of the usual file systems).
MAX_PART = 255
#: The longest name as a whole, in bytes of UTF-8; room is left for the folder it is put into (PATH_MAX is 4096).
MAX_NAME = 1024
#: The folder below the target directory that is argosy's own.
RESERVED = ".argosy"

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
# the superscript digits count as digits here (Microsoft, "Naming Files, Paths, and Namespaces")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³])\s*(?:\..*)?\Z", re.I | re.S)
# control, format (bidi among them), lone surrogate, line and paragraph separator
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# what nearly all names look like, for speed: a manifest has a million of them (\Z stands in for "end of the part")
_PLAIN_PART = r"(?!(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:[./]|\Z))[0-9a-z_-]+(?:\.[0-9a-z_-]+)*"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART})*\Z", re.I | re.A)
_SUFFIX = re.compile(r"(?:\.tar)?\.[A-Za-z0-9]{1,10}\Z")
_SHORTEST_LIMIT = 32


def problem_of(name: str) -> str | None:
    """Return what is wrong with a relative name that was asked for, or None.

    Parameters
    ----------
    name
        Relative to the target directory, with ``/`` between the parts.

    Returns
    -------
    str or None
        The first thing that is wrong, in words that follow the name ("is absolute"); safe to show.
    """
    if len(name) <= MAX_PART and _PLAIN.match(name):
        return None
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is absolute; a name is relative to the target directory"
    if (character := _forbidden_character(name)) is not None:
        return f"has the character {_shown(character)}, which is not allowed in a name"
    if len(name) > MAX_NAME // 4 and _length(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    parts = name.split("/")
    if parts[0].casefold() == RESERVED:
        return f"begins with {RESERVED}, the folder that argosy keeps for itself"
    for part in parts:
        if (problem := _problem_of_part(part)) is not None:
            return problem
    return None


def _forbidden_character(text: str) -> str | None:
    if found := _FORBIDDEN.search(text):
        return found.group()
    if text.isascii():
        return None
    return next((c for c in text if unicodedata.category(c) in _UNSEEN), None)


def _problem_of_part(part: str) -> str | None:
    if not part:
        return "has an empty part"
    if part in {".", ".."}:
        return f"has the part {part!r}, which could lead out of the target directory"
    if part[-1] in ". ":
        return f"has the part {part!r}, which ends in a dot or a space"
    if len(part) > MAX_PART // 4 and _length(part) > MAX_PART:
        return f"has a part longer than {MAX_PART} bytes"
    if _DEVICE.match(part):
        return f"has the part {part!r}, which is the name of a device on Windows"
    return None


def safe_part(text: str, *, limit: int = MAX_PART, keep_suffix: bool = False) -> str:
    """Return one part of a name, made out of any text by a fixed rule.

    1. The text is brought to Unicode form NFC.
    2. A URL in it loses its password and the values of parameters that look like secrets. Each character that
       `problem_of` refuses, and ``/``, becomes ``_``; dots and spaces at the end go; what is then empty becomes
       ``_``; a device name and ``.argosy`` get ``_`` before them.
    3. If the result of step 2 is not the text of step 1, or is longer than `limit`, then ``-`` and the first 8
       hex digits of the SHA-256 of the text of step 1 are appended, after a cut to make room for them.

    So a text that is fine stays as it is, and the function changes nothing that it made itself. Two
    different texts get the same part only where one of them *is* what the function makes of the other, or where
    they differ in nothing but case or Unicode form. (Case is left alone, or every title would carry a digest;
    `collision_key` finds these.)

    Parameters
    ----------
    text
        An id, a title, a segment of a URL.
    limit
        Bytes of UTF-8 the part may have, at least 32.
    keep_suffix
        Whether the digest goes before a suffix such as ``.pdf`` or ``.tar.gz``, for the names of files.

    Examples
    --------
    >>> safe_part("Dune")
    'Dune'
    >>> safe_part("doi:10.1000/182")
    'doi_10.1000_182-1365c777'
    >>> safe_part("what?.pdf", keep_suffix=True)
    'what_-92323b8e.pdf'
    """
    if limit < _SHORTEST_LIMIT:
        raise ValueError(f"limit is {limit}; it is at least {_SHORTEST_LIMIT}")
    if len(text) <= limit and "/" not in text and _PLAIN.match(text):
        return text
    from argosy.toolkit.urls import redact_urls  # here, as argosy.urls names files, too

    normal = unicodedata.normalize("NFC", text)
    clean = _clean(redact_urls(normal))
    if clean == normal and _length(clean) <= limit:
        return clean
    digest = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    found = _SUFFIX.search(clean) if keep_suffix else None
    suffix = found.group() if found and found.start() > 0 else ""
    stem = clean.removesuffix(suffix) if suffix else clean
    room = limit - len(f"-{digest}{suffix}")
    return f"{stem.encode()[:room].decode('utf-8', 'ignore')}-{digest}{suffix}"


def marked(name: str, text: str) -> str:
    """Return the name of a file with the first 8 hex digits of a text's SHA-256 before its suffix.

    Examples
    --------
    >>> marked("report.pdf", "https://library.example/?id=7")
    'report-097173a1.pdf'
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    stem, dot, suffix = name.rpartition(".")
    return safe_part(f"{stem}-{digest}{dot}{suffix}" if stem else f"{name}-{digest}", keep_suffix=True)


def _clean(text: str) -> str:
    kept = [
        "_" if c == "/" or _FORBIDDEN.match(c) or (c > "\x7f" and unicodedata.category(c) in _UNSEEN) else c
        for c in text
    ]
    part = "".join(kept).rstrip(". ") or "_"
    return f"_{part}" if _DEVICE.match(part) or part.casefold() == RESERVED else part


def collision_key(name: str) -> str:
    """Return a key that is equal for names that some file system takes for one.

    That is Unicode's canonical caseless match (The Unicode Standard, section 3.13, D145), brought to NFC.
    """
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", folded)


def _length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _shown(character: str) -> str:
    return repr(character) if "\x20" < character < "\x7f" else f"U+{ord(character):04X}"
