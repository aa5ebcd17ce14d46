"""The output ``warc``: one web archive per item, with the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import argosy
from argosy.errors import ConfigError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.models.items import Item, Product, StagedFile, StagedItem
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.redaction import Redactor
from argosy_plugins.layout import Layout
from argosy_plugins.outputs._warc_messages import (
    Message,
    asked_url,
    line_of,
    request_of,
    response_of,
    safe_url,
    without_user,
)

_SUFFIX = ".warc.gz"

#: The namespace of record ids, which derive from the contents (RFC 9562 section 5.5).
_IDS = uuid.UUID("5f0c6c1e-3d0b-5a52-9e0c-7d5d3f6a4b11")

#: Bytes to copy at a time.
_CHUNK = 1 << 20

#: The record types that contain a body.
_BODIES = ("response", "resource")

_FIELDS = "application/warc-fields"

_SECRETS = {
    "redacted": "Cookies and credentials were left out of all headers; secrets in URLs are replaced by ***.",
    "as-asked": "Cookies and credentials were left out of all headers; URLs stand as they were asked for.",
}
_NOTES = (
    "Bodies are stored without content and transfer coding; header fields that spoke of them are X-Archive-Orig-*. "
    "Of redirects only the last response is kept; a metadata record says which URL was asked for. "
    "A resource record is of a file whose response is not known, and has the time of the file."
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of an item and its records."""

    file: StagedFile
    uri: str
    date: str
    digest: str
    mark: str

    def id(self, kind: str) -> str:
        """Return the id of its record of a type."""
        return _record_id(self.mark, kind, self.uri, self.date, self.digest)

    def fields(self, kind: str, info: str) -> dict[str, str]:
        """Return the header of its record of a type."""
        return {
            "WARC-Type": kind,
            "WARC-Record-ID": self.id(kind),
            "WARC-Date": self.date,
            "WARC-Target-URI": self.uri,
            "WARC-Warcinfo-ID": info,
        }


class WarcOutput(Output):
    """Writes one WARC file per item: the request and the response of each file, without credentials."""

    name = "warc"
    summary = "One web archive (WARC/1.1) per item, without credentials (needs argosy[warc])"
    options_schema = {
        "type": "object",
        "properties": {
            "layout": {
                "type": "string",
                "minLength": 1,
                "default": "{folder|id}",
                "description": "The name of the archive without its suffix. Fields: {id}, {title},"
                " {tag}, {tags}, {folder}, {metadata.NAME}.",
            },
            "urls": {
                "enum": list(_SECRETS),
                "default": "redacted",
                "description": "The URLs of the records: redacted replaces the values of parameters"
                " that look like secrets with ***; as-asked keeps them, to replay the"
                " archive at the original URLs. Anyone with the archive can then read"
                " these secrets.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            import warcio  # noqa: F401 - only to see whether it is there
        except ImportError:
            raise ConfigError(
                "The output warc needs the library warcio, which is not installed.",
                hint="Install it: pip install 'argosy[warc]'.",
            ) from None
        self._layout = Layout(options["layout"], of_files=False)
        self._whole = options["urls"] == "as-asked"

    def names(self, item: Item) -> Iterator[str]:
        """Yield the name of the archive."""
        yield self._layout.name(item, ending=_SUFFIX)

    def produce(self, item: StagedItem, scratch: Path) -> Iterator[Product]:
        """Write the archive, record by record."""
        from warcio.warcwriter import WARCWriter

        path, name = scratch / f"item{_SUFFIX}", self._layout.name(item.item, ending=_SUFFIX)
        entries = [self._entry(item.item, number, file) for number, file in enumerate(item.files)]
        with path.open("wb") as out:
            writer = WARCWriter(out, gzip=True, warc_version="1.1")
            info = self._write_info(writer, item.item, name.rpartition("/")[2], entries)
            for entry in entries:
                if entry.file.response is not None:
                    self._write_exchange(writer, entry, entry.file.response, info)
                else:
                    _write_resource(writer, entry, info)
        yield Product(name, path)

    def restore(self, item: Item, files: Sequence[Path], scratch: Path) -> Iterator[Path | None]:
        """Yield the bodies in the archive, which are in the order of the resources."""
        from warcio.archiveiterator import ArchiveIterator

        with files[0].open("rb") as stream:
            bodies = (record for record in ArchiveIterator(stream) if record.rec_type in _BODIES)
            for number, record in enumerate(bodies):
                path = scratch / str(number)
                with path.open("wb") as target:
                    shutil.copyfileobj(record.content_stream(), target, _CHUNK)
                yield path

    def _entry(self, item: Item, number: int, file: StagedFile) -> _Entry:
        asked = asked_url(file.resource.url)
        response = file.response
        answered = response.url if response is not None else asked
        uri = safe_url(answered)
        if self._whole and safe_url(asked) == uri:  # else it was redirected, and only the redacted URL was kept
            uri = without_user(asked)
        seconds = response.received if response is not None else file.path.stat().st_mtime
        digest = "sha256:" + base64.b32encode(bytes.fromhex(file.sha256)).decode()
        mark = f"{Redactor().redact(item.id)}\n{number}"
        return _Entry(file, line_of(uri), _date(seconds), digest, mark)

    def _write_info(self, writer: Any, item: Item, name: str, entries: Sequence[_Entry]) -> str:
        """Write a description of the archive; return the id of that record."""
        redact = Redactor().redact
        fields = {
            "software": f"argosy/{argosy.__version__}",
            "format": "WARC File Format 1.1",
            "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
            "description": f"{redact(item.title)} ({redact(item.id)})",
            "credentials": _SECRETS[self.options["urls"]],
            "notes": _NOTES,
        }
        block = _block(fields)
        date = max((entry.date for entry in entries), default=_date(0.0))
        id_ = _record_id(name, block.decode(), *(entry.id("response") for entry in entries))
        header = {
            "WARC-Type": "warcinfo",
            "WARC-Record-ID": id_,
            "WARC-Date": date,
            "WARC-Filename": line_of(name),
        }
        _write(writer, "warcinfo", header, block)
        return id_

    def _write_exchange(self, writer: Any, entry: _Entry, response: ResponseRecord, info: str) -> None:
        """Write the response, the request, and the requested URL if another one answered."""
        head = response_of(response, entry.file.size)
        header = entry.fields("response", info)
        header["WARC-Concurrent-To"] = entry.id("request")
        _write_file(writer, "response", header, entry, head)
        header = entry.fields("request", info)
        header["WARC-Concurrent-To"] = entry.id("response")
        resource = entry.file.resource
        asked = asked_url(resource.url)
        via = without_user(asked) if self._whole else safe_url(asked)
        is_redirected = safe_url(asked) != safe_url(response.url)
        body, post = b"", None
        if resource.body is not None and not is_redirected:
            body = Redactor().redact(resource.body).encode()
            post = resource.content_type, len(body)
        _write(writer, "request", header, body, request_of(entry.uri, response, post))
        if is_redirected:
            header = entry.fields("metadata", info)
            header["WARC-Concurrent-To"] = entry.id("response")
            _write(writer, "metadata", header, _block({"via": via}))


def _write_resource(writer: Any, entry: _Entry, info: str) -> None:
    """Write a file without a recorded response."""
    kinds = mimetypes.MimeTypes()  # a fixed table: the machine's own would change the bytes
    kind = kinds.guess_type(entry.file.resource.path)[0] or "application/octet-stream"
    _write_file(writer, "resource", {**entry.fields("resource", info), "Content-Type": kind}, entry)


def _write_file(writer: Any, kind: str, header: Mapping[str, str], entry: _Entry, head: Message | None = None) -> None:
    """Write a record with the bytes of a file, read in chunks: once for its digest, once to write it."""
    with entry.file.path.open("rb") as body:
        record = writer.create_warc_record(
            entry.uri,
            kind,
            payload=body,
            length=entry.file.size,
            warc_headers_dict={**header, "WARC-Payload-Digest": entry.digest},
            http_headers=head,
        )
        writer.write_record(record)


def _write(writer: Any, kind: str, header: Mapping[str, str], block: bytes, head: Message | None = None) -> None:
    """Write a small record."""
    record = writer.create_warc_record(
        header.get("WARC-Target-URI", ""),
        kind,
        payload=BytesIO(block),
        length=len(block),
        warc_headers_dict=header,
        http_headers=head,
    )
    writer.write_record(record)


def _block(fields: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {line_of(value)}\r\n" for name, value in fields.items()).encode()


def _record_id(*parts: str) -> str:
    """Return the id of a record; the same record always gets the same id."""
    text = "\n".join(parts).encode("utf-8", "backslashreplace")
    return f"<{uuid.uuid5(_IDS, hashlib.sha256(text).hexdigest()).urn}>"


def _date(seconds: float) -> str:
    """Return a time as WARC/1.1 section 5.4 requires."""
    when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return when.replace("+00:00", "Z")


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return WarcOutput
