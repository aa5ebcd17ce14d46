"""The observer ``opentelemetry``: a span for the run, each item and each request, with the wait for the session and the body.

The spans of requests follow https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import argosy
from argosy.errors import ConfigError
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.models.items import State
from argosy.toolkit.urls import redact_url

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

#: Seconds that the last spans get when the run ends.
PATIENCE = 4.0

#: Seconds after the end of an item in which its other events may still come from another process.
LATE = 1.0

#: Characters of a text to keep.
LONGEST = 1000

#: Failures of a request that got no response.
_UNANSWERED = frozenset({"dns", "refused", "timeout", "connect", "tls", "deadline", "reset", "lost"})

_PORTS = {"http": 80, "https": 443}

_EXTRA = "Install it: pip install 'argosy[opentelemetry]'."


@dataclass(slots=True)
class _Item:
    """An active item."""

    span: Span
    since: float  # when its next request may begin
    lease: tuple[float, float | None] | None = None  # when a wait for the session began and, if that is known, ended
    request: Span | None = None  # whose body may still arrive
    body: Span | None = None
    url: str = ""  # of the last request
    received: int = 0
    resends: int = 0


class OpenTelemetryObserver(Observer):
    """Makes spans of events.

    In a program that has set up OpenTelemetry, the spans go where its own go, below its current span. Otherwise the
    standard variables ``OTEL_*`` say where, and ``TRACEPARENT`` may name the span to continue. A queue of bounded length
    keeps the spans until a thread has exported them; if it is full, newer ones are dropped.
    """

    name = "opentelemetry"
    summary = "Spans of items and requests, exported as OTEL_* variables say (needs argosy[opentelemetry])"

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            from opentelemetry import context as contexts
        except ImportError:
            raise ConfigError(
                "The observer 'opentelemetry' needs the library opentelemetry-sdk, which is not installed.", hint=_EXTRA
            ) from None
        self._notice = context.notice
        self._caller: Context = contexts.get_current()
        self._own: TracerProvider | None = None
        self._exporters: list[SpanExporter] = []
        self._tracer: Tracer | None = None
        self._run: Span | None = None
        self._items: dict[str, _Item] = {}
        self._ending: dict[str, tuple[float, Mapping[str, Any]]] = {}  # items by id: when they ended, and how
        self._problem: str | None = None
        self._has_told = False

    def on_event(self, event: Event) -> None:
        """Begin or end a span."""
        if self._tracer is None:
            self._tracer = self._make_tracer()
        self._end_items(event.at - LATE)
        if event.item is None:
            self._take_run(event.kind, event.data, event.at)
        else:
            self._take_item(event.kind, event.item, event.data, event.at)
        self._tell()

    def close(self) -> None:
        """End the spans of a run that ended early, and export the last ones."""
        self._end_run(None)
        provider, self._own = self._own, None
        if provider is not None:
            thread = threading.Thread(target=provider.shutdown, name="argosy-spans", daemon=True)
            thread.start()
            thread.join(PATIENCE)
            if thread.is_alive():
                self._failed()
                for exporter in self._exporters:  # else they try again for a while
                    exporter.shutdown()
        self._tell()

    def _tell(self) -> None:
        """Tell a problem once; not in the exporter's thread, which `close` may wait for while it holds a lock that a notice needs."""
        if self._problem is not None and not self._has_told:
            self._has_told = True
            self._notice(self._problem)

    # -- where spans go

    def _make_tracer(self) -> Tracer:
        from opentelemetry import propagate, trace

        if not trace.get_current_span(self._caller).get_span_context().is_valid:
            names = ("traceparent", "tracestate", "baggage")
            carrier = {name: os.environ[name.upper()] for name in names if name.upper() in os.environ}
            self._caller = propagate.extract(carrier, self._caller)
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):  # the program has set up none
            provider = self._own = _make_provider(self._exporters, self._failed)
        return provider.get_tracer("argosy", argosy.__version__)

    def _failed(self) -> None:
        """Note that an export failed; called in the exporter's thread."""
        names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        where = next((os.environ[name] for name in names if os.environ.get(name)), "http://localhost:4318")
        self._problem = f"Spans cannot be exported to {redact_url(where)}. The run continues. Check the variables OTEL_EXPORTER_OTLP_*."

    # -- spans

    def _begin(self, name: str, parent: Span | None, at: float, attributes: Mapping[str, Any], **more: Any) -> Span:
        from opentelemetry.trace import set_span_in_context

        context = self._caller if parent is None else set_span_in_context(parent, self._caller)
        tracer = self._tracer or self._make_tracer()
        # events of worker processes take a moment, so an item may seem to start after its first request
        start = max(_ns(at), _start_of(parent))
        return tracer.start_span(name, context, start_time=start, attributes=_clean(attributes), **more)

    def _take_run(self, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
        if self._run is None and kind is EventKind.RUN_STARTED:
            shown = ("strategy", "max_workers", "lease", "sessions", "directory")
            self._run = self._begin("argosy run", None, now, {f"argosy.{name}": data.get(name) for name in shown})
        if self._run is None:
            return
        match kind:
            case EventKind.RUN_FINISHED:
                counts = data.get("counts") or {}
                facts = {f"argosy.items.{name}": counts.get(name) for name in ("done", "skipped", "failed", "left")}
                names = ("run", "exit_code", "bytes", "logins", "refusals", "retries")
                self._run.set_attributes(_clean({**facts, **{f"argosy.{name}": data.get(name) for name in names}}))
                if data.get("exit_code"):
                    _set_error(self._run, f"exit code {data['exit_code']}")
                self._end_run(now)
            case (
                EventKind.LOGIN | EventKind.REFRESH | EventKind.REFUSAL | EventKind.RUN_NOTICE | EventKind.RUN_STOPPING
            ):
                facts = {f"argosy.{name}": data.get(name) for name in ("reason", "message")}
                self._run.add_event(kind.value, _clean(facts), _ns(now))

    def _end_items(self, until: float) -> None:
        """End the items that ended before a time."""
        while self._ending:
            id_ = next(iter(self._ending))
            now, data = self._ending[id_]
            if now > until:
                return
            del self._ending[id_]
            if id_ in self._items:
                self._finish(id_, self._items[id_], data, now)

    def _end_run(self, now: float | None) -> None:
        self._end_items(math.inf)
        for item in self._items.values():
            self._end_request(item, now)
            item.span.end(None if now is None else _ns(now))
        self._items.clear()
        if self._run is not None:
            self._run.end(None if now is None else _ns(now))
            self._run = None

    def _take_item(self, kind: EventKind, id_: str, data: Mapping[str, Any], now: float) -> None:
        if kind is EventKind.ITEM_FINISHED:
            self._ending[id_] = now, data
        if kind is EventKind.ITEM_STARTED and id_ in self._items:
            self._end_items(math.inf)
        if kind is EventKind.ITEM_STARTED and id_ not in self._items:
            facts = {
                "argosy.item.id": id_,
                "argosy.item.title": data.get("title"),
                "argosy.item.resources": data.get("resources"),
            }
            self._items[id_] = _Item(self._begin("argosy item", self._run, now, facts), now)
        item = self._items.get(id_)
        if item is None:
            return
        match kind:
            case EventKind.RESOURCE_WAITING:
                self._wait(item, str(data.get("for")), now)
            case EventKind.RESOURCE_ANSWERED:
                self._answer(item, data, now)
            case EventKind.RESOURCE_STARTED if item.request is not None:
                facts = {"argosy.path": data.get("path"), "argosy.offset": data.get("offset")}
                item.body = self._begin("body", item.request, now, facts)
            case EventKind.RESOURCE_PROGRESS:
                item.received += data.get("bytes") or 0
            case EventKind.RESOURCE_FINISHED:
                self._end_request(item, now)
                item.since, item.resends = now, 0
            case EventKind.RESOURCE_RETRY:
                item.url = str(data.get("url"))
                self._fail(item, str(data.get("kind")), now)
                item.since = now + (data.get("seconds") or 0)
                item.resends += 1

    def _finish(self, id_: str, item: _Item, data: Mapping[str, Any], now: float) -> None:
        names = ("state", "bytes", "files")
        item.span.set_attributes(_clean({f"argosy.item.{name}": data.get(name) for name in names}))
        if data.get("state") == State.FAILED:
            kind = str(data.get("kind"))
            if item.request is not None or (item.url and kind in _UNANSWERED):
                self._fail(item, kind, now)
            item.span.set_attribute("error.type", _text(kind))
            _set_error(item.span, str(data.get("failure")))
        self._end_request(item, now)
        item.span.end(_ns(max(now, 0.0)))
        del self._items[id_]

    def _wait(self, item: _Item, reason: str, now: float) -> None:
        if reason == "lease" and item.lease is None:
            item.lease = now, None
        elif item.lease is not None and item.lease[1] is None and reason != "lease":
            item.lease = item.lease[0], now  # it waits for something else now

    def _answer(self, item: _Item, data: Mapping[str, Any], now: float) -> None:
        self._end_request(item, now)
        sent = float(data.get("sent") or now)
        item.url = str(data.get("url"))
        self._request(item, sent)
        if item.request is None:
            return
        status = data.get("status")
        item.request.set_attributes(_clean({"http.response.status_code": status}))
        item.request.add_event("headers", timestamp=_ns(float(data.get("answered") or now)))
        if isinstance(status, int) and status >= 400:
            item.request.set_attribute("error.type", str(status))
            _set_error(item.request)

    def _request(self, item: _Item, sent: float) -> None:
        """Begin the span of a request, with the wait for the session before it."""
        from opentelemetry.trace import SpanKind

        began, ended = item.lease or (sent, None)
        item.lease = None
        facts = _request_facts(item.url, item.resends)
        item.request = self._begin("GET", item.span, min(began, sent), facts, kind=SpanKind.CLIENT)
        if began < sent:
            wait = self._begin("lease wait", item.request, began, {})
            wait.end(max(_ns(ended or sent), _start_of(wait)))

    def _fail(self, item: _Item, kind: str, now: float) -> None:
        if item.request is None:
            self._request(item, min(item.since, now))
        if item.request is not None:
            item.request.set_attribute("error.type", _text(kind))
            _set_error(item.request)
        self._end_request(item, now)

    def _end_request(self, item: _Item, now: float | None) -> None:
        at = None if now is None else _ns(now)
        if item.body is not None:
            item.body.set_attribute("argosy.bytes", item.received)
            item.body.end(at and max(at, _start_of(item.body)))
        if item.request is not None:
            item.request.end(at and max(at, _start_of(item.request)))
        item.body = item.request = None
        item.received = 0


def _start_of(span: Span | None) -> int:
    """Return when a span started, in nanoseconds since the epoch; 0 if it is not recorded."""
    return getattr(span, "start_time", None) or 0


def _request_facts(url: str, resends: int) -> dict[str, Any]:
    """Return the attributes of a request."""
    facts: dict[str, Any] = {"http.request.method": "GET", "url.full": redact_url(url)}
    try:
        parts = urlsplit(url)
        facts |= {"server.address": parts.hostname, "server.port": parts.port or _PORTS.get(parts.scheme)}
    except ValueError:
        pass  # an invalid port
    return facts | ({"http.request.resend_count": resends} if resends else {})


def _make_provider(exporters: list[SpanExporter], failed: Callable[[], None]) -> TracerProvider:
    """Return a provider that the variables ``OTEL_*`` configure."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "The observer 'opentelemetry' needs the library opentelemetry-sdk, which is not installed.", hint=_EXTRA
        ) from None
    # without a handler, the library's messages would be printed between those of the run
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    facts = {}
    if "OTEL_SERVICE_NAME" not in os.environ and "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        facts = {"service.name": "argosy", "service.version": argosy.__version__}
    provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
    for name in (os.environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(","):
        if name.strip() != "none":
            exporters.append(_watched(_make_exporter(name.strip()), failed))
            provider.add_span_processor(BatchSpanProcessor(exporters[-1]))
    return provider


def _make_exporter(name: str) -> SpanExporter:
    if name == "otlp":
        names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        protocol = next((os.environ[name] for name in names if os.environ.get(name)), "http/protobuf")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for point in entry_points(group="opentelemetry_traces_exporter", name=name):
        exporter: SpanExporter = point.load()()
        return exporter
    package = f"opentelemetry-exporter-{name.replace('_', '-')}"
    raise ConfigError(
        f"OpenTelemetry's exporter {name!r} is not installed.",
        hint=f"Install it, perhaps with: pip install {package}; or change OTEL_TRACES_EXPORTER.",
    )


def _watched(exporter: SpanExporter, failed: Callable[[], None]) -> SpanExporter:
    """Return an exporter that also reports its failures."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Watched(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            try:
                result = exporter.export(spans)
            except Exception:  # whatever it is, the run goes on without these spans
                result = SpanExportResult.FAILURE
            if result is not SpanExportResult.SUCCESS:
                failed()
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Watched()


def _set_error(span: Span, text: str | None = None) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, None if text is None else _text(text)))


def _text(text: str) -> str:
    # protobuf takes no lone surrogate
    return text[:LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")


def _clean(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes that are known."""
    return {
        name: _text(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if isinstance(value, str | int | float)
    }


def _ns(seconds: float) -> int:
    return max(int(seconds * 1_000_000_000), 0)


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return OpenTelemetryObserver
