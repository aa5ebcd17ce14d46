"""The spans of a run, as an OTLP receiver gets them."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy_devkit import Fault, LibraryServer
from argosy_devkit.client import ServerFactory
from argosy_plugins.observers.opentelemetry import OpenTelemetryObserver

RUN = """
import sys, json, argosy
report = argosy.download(json.loads(sys.argv[1]))
print(json.dumps([report.counts.done, *report.notices]))
"""

#: As a program does that has its own spans, and exports them before it ends.
WITHIN = """
import sys, json, argosy
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
with trace.get_tracer("mine").start_as_current_span("nightly"):
    report = argosy.download(json.loads(sys.argv[1]))
provider.shutdown()
print(json.dumps([report.counts.done, *report.notices]))
"""


class Receiver(ThreadingHTTPServer):
    """Takes spans as an OpenTelemetry Collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.bodies = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[dict[str, Any]]:
        return [
            {
                "name": span.name,
                "kind": span.kind,
                "trace": span.trace_id.hex(),
                "id": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "start": span.start_time_unix_nano,
                "end": span.end_time_unix_nano,
                "is_error": span.status.code == 2,
                "events": [event.name for event in span.events],
                **facts(span.attributes),
            }
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        return facts(self.requests[0].resource_spans[0].resource.attributes)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.server.requests.append(request)
        self.server.bodies += body
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(
    program: str, server: LibraryServer, folder: Path, strategy: str = "threads", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Download three files, of which one is not there, and one comes at the second attempt."""
    import json

    urls = [server.url_for(f"/files/{name}.bin?size=3000") for name in ("first", "again")]
    urls.append(server.url_for("/nothing/here.bin?token=hunter2secret"))
    config = {
        "source": {"use": "urls", "urls": urls},
        "directory": str(folder / "library"),
        "retry_delay": 0.001,
        "strategy": {"use": strategy},
        "observers": [{"use": "opentelemetry"}],
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACE"))}
    command = [sys.executable, "-c", program, json.dumps(config)]
    return subprocess.run(
        command, env={**clean, **environment}, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def server(library_server: ServerFactory) -> LibraryServer:
    return library_server(lease_mode="open", faults=(Fault("status", times=1, path="again"),))


@pytest.mark.parametrize("strategy", ["threads", pytest.param("multiprocess", marks=pytest.mark.slow)])
def test_the_spans_of_a_run(receiver: Receiver, server: LibraryServer, tmp_path: Path, strategy: str) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "TRACEPARENT": parent,
    }
    done = run(RUN, server, tmp_path, strategy, **variables)
    assert done.stdout.startswith("[2"), done.stderr
    assert done.stderr == ""
    assert b"hunter2" not in receiver.bodies
    assert receiver.resource()["service.name"] == "argosy"
    assert receiver.resource()["deployment.environment"] == "test"
    spans = receiver.spans()
    by_id = {span["id"]: span for span in spans}
    (whole,) = (span for span in spans if span["name"] == "argosy run")
    assert whole["parent"] == "b7ad6b7169203331"
    assert {span["trace"] for span in spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert whole["is_error"]
    assert (whole["argosy.items.done"], whole["argosy.items.failed"]) == (2, 1)
    items = [span for span in spans if span["name"] == "argosy item"]
    assert {span["parent"] for span in items} == {whole["id"]}
    assert sorted(span["is_error"] for span in items) == [False, False, True]
    requests = [span for span in spans if span["name"] == "GET"]
    assert {by_id[span["parent"]]["name"] for span in requests} == {"argosy item"}
    assert {span["kind"] for span in requests} == {3}  # CLIENT
    assert sorted(span["http.response.status_code"] for span in requests) == [200, 200, 404, 503]
    (missing,) = (span for span in requests if span["http.response.status_code"] == 404)
    assert missing["url.full"] == server.url_for("/nothing/here.bin?token=***")
    assert (missing["server.address"], missing["server.port"]) == ("127.0.0.1", server.port)
    assert (missing["error.type"], missing["is_error"]) == ("status", True)
    (resent,) = (span for span in requests if span.get("http.request.resend_count"))
    assert resent["http.response.status_code"] == 200
    bodies = [span for span in spans if span["name"] == "body"]
    assert [span["argosy.bytes"] for span in bodies] == [3000, 3000]
    for span in spans:
        assert span["start"] <= span["end"]
        if span["parent"] in by_id:
            assert by_id[span["parent"]]["start"] <= span["start"]


def test_a_program_continues_its_own_span(receiver: Receiver, server: LibraryServer, tmp_path: Path) -> None:
    done = run(WITHIN, server, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_SERVICE_NAME="mine")
    assert done.stdout.startswith("[2"), done.stderr
    assert receiver.resource()["service.name"] == "mine"
    spans = receiver.spans()
    (outer,) = (span for span in spans if span["name"] == "nightly")
    (whole,) = (span for span in spans if span["name"] == "argosy run")
    assert (whole["parent"], whole["trace"]) == (outer["id"], outer["trace"])


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER"])
def test_a_failing_exporter_is_told_once(server: LibraryServer, tmp_path: Path, variable: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        nowhere = f"http://user:hunter2@127.0.0.1:{sock.getsockname()[1]}"
    value = {"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, "OTEL_TRACES_EXPORTER": "zipkin_none"}[variable]
    program = RUN.replace("sys.argv[1])", "sys.argv[1]), hear").replace(
        "report =", "hear = lambda event: event.kind == 'run.notice' and print(event.data['message'])\nreport =", 1
    )
    done = run(program, server, tmp_path, **{variable: value})
    assert done.stderr == ""
    notices, counts = done.stdout.splitlines()[:-1], done.stdout.splitlines()[-1]
    assert counts.startswith("[2")
    (notice,) = notices
    assert "hunter2" not in notice
    words: Mapping[str, str] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "Spans cannot be exported to http://***@127.0.0.1:",
        "OTEL_TRACES_EXPORTER": "exporter 'zipkin_none' is not installed",
    }
    assert words[variable] in notice


@pytest.mark.slow
def test_nothing_is_exported_where_it_is_switched_off(
    receiver: Receiver, server: LibraryServer, tmp_path: Path
) -> None:
    for variables in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        done = run(RUN, server, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **variables)
        assert done.stdout.startswith("["), done.stderr
    assert receiver.requests == []


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Let the observers of a test keep their spans in memory, as in a program that has set up OpenTelemetry."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


def test_waits_and_requests_without_a_response(
    spans: InMemorySpanExporter, event: Callable[..., Event], tmp_path: Path
) -> None:
    observer = OpenTelemetryObserver({}, PluginContext(tmp_path))
    start, url = 1_700_000_000.0, "https://user:pw@a.example/x\udc80?key=hunter2secret"
    waiting = {"for": "lease"}
    for one in (
        event("run.started", at=start),
        event("item.started", "a", at=start, title="A", resources=1),
        event("resource.retry", "a", at=start + 2, url=url, attempt=1, cause="It is cut.", kind="reset", seconds=3),
        event("resource.waiting", "a", at=start + 5, **waiting),
        event("resource.waiting", "a", at=start + 6, **{"for": "delay"}),
        event("resource.answered", "a", at=start + 9, url=url, status=200, sent=start + 7, answered=start + 8),
        event("resource.started", "a", at=start + 9, url=url, path="x", size=5, offset=0),
        event("resource.progress", "a", at=start + 10, bytes=5),
        event("item.finished", "a", at=start + 11, state="failed", failure="It is cut.", kind="cut", bytes=5),
        event("item.started", "b", at=start + 11, title="B", resources=1),
    ):
        observer.on_event(one)
    observer.close()
    found = [
        (span.name, *((at or 0) / 1e9 - start for at in (span.start_time, span.end_time)))
        for span in spans.get_finished_spans()
    ]
    failed, wait, body, answered, item = found[:5]
    assert failed == ("GET", 0, 2)
    assert wait == ("lease wait", 5, 6)
    assert body == ("body", 9, 11)
    assert answered == ("GET", 5, 11)
    assert item == ("argosy item", 0, 11)
    assert [name for name, *_ in found[5:]] == ["argosy item", "argosy run"]
    attributes = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    assert attributes[0]["error.type"] == "reset"
    assert attributes[0]["server.address"] == "a.example"
    assert attributes[3]["http.request.resend_count"] == 1
    assert attributes[4]["error.type"] == "cut"
    assert "hunter2" not in str(attributes)
    assert "pw" not in str(attributes)


def test_an_item_whose_end_comes_first(
    spans: InMemorySpanExporter, event: Callable[..., Event], tmp_path: Path
) -> None:
    """Its other events come from another process."""
    observer = OpenTelemetryObserver({}, PluginContext(tmp_path))
    url = "https://a.example/x"
    observer.on_event(event("run.started"))
    observer.on_event(event("item.finished", "a", state="failed", failure="No.", kind="status"))
    observer.on_event(event("item.started", "a", title="A", resources=1))
    observer.on_event(event("resource.answered", "a", url=url, status=404, sent=1.0, answered=2.0))
    observer.on_event(event("run.notice", at=1_700_000_002.0, message="x"))
    request, item = spans.get_finished_spans()
    assert (request.name, item.name) == ("GET", "argosy item")
    assert (item.attributes or {})["error.type"] == "status"
    observer.close()
