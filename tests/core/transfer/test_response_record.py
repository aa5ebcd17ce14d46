"""The record of a response, without credentials."""

from __future__ import annotations

import requests

import argosy
from argosy.models.response_record import ResponseRecord
from argosy.toolkit.redaction import Redactor
from argosy.transfer.headers import MAX_HEADERS, response_record
from argosy_devkit import LibraryServer, ServerFactory


def record_of(
    server: LibraryServer, path: str = "/files/a?size=5", redactor: Redactor | None = None, **asked: str
) -> ResponseRecord:
    with requests.Session() as http:
        http.mount("http://", argosy.LeasedAdapter(argosy.open_store("memory"), lease="shared"))
        with http.get(server.url_for(path), headers=asked, stream=True, timeout=10) as response:
            return response_record(response, (redactor or Redactor()).redact)


def test_a_record_has_the_status_and_headers(library_server: ServerFactory) -> None:
    server = library_server(
        lease_mode="open", headers=[("Last-Modified", "Thu, 01 Jan 1970 00:01:40 GMT"), ("X-Two", "1")]
    )
    record = record_of(server)
    assert (record.status, record.reason, record.version, record.modified) == (200, "OK", "HTTP/1.1", 100.0)
    assert (record.get("content-length"), record.get("x-two"), record.get("x-three")) == ("5", "1", None)
    assert record.url == server.url_for("/files/a?size=5")


def test_a_record_has_no_credentials(library_server: ServerFactory) -> None:
    redactor = Redactor()
    redactor.add("s3cret-token")
    server = library_server(
        lease_mode="open",
        headers=[
            ("Set-Cookie", "token=s3cret-token"),
            ("X-Auth-Token", "plain"),
            ("WWW-Authenticate", 'Basic realm="x"'),
            ("Link", "<https://h/?access_token=abc>"),
            ("X-Note", "with s3cret-token in it"),
            ("Server", "echo s3cret-token"),
            ("ETag", '"s3cret-token"'),
        ],
    )
    record = record_of(
        server,
        "/files/a?size=5&token=s3cret-token",
        redactor,
        Authorization="Basic xyz",
        Cookie="token=s3cret-token",
    )
    text = repr(record)
    for secret in ("s3cret-token", "plain", "xyz", "abc", "realm"):
        assert secret not in text
    assert (record.get("X-Note"), record.get("Link")) == ("with *** in it", "<https://h/?access_token=***>")
    assert (record.get("Server"), record.get("ETag")) == ("echo ***", '"***"')
    assert {name for name, _ in record.asked} <= {"User-Agent", "Accept", "Accept-Encoding", "Connection"}


def test_large_headers_are_cut_off(library_server: ServerFactory) -> None:
    server = library_server(lease_mode="open", headers=[(f"X-{n}", "x" * 1000) for n in range(20)])
    assert sum(len(n) + len(v) for n, v in record_of(server).headers) < MAX_HEADERS
