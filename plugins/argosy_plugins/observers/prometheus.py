"""The observer ``prometheus``: the figures of a run as metrics, in a file, on a port, or pushed to a gateway."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import argosy
from argosy.errors import ConfigError
from argosy.events import Event
from argosy.interfaces.base import PluginContext
from argosy.interfaces.observer import Observer
from argosy.toolkit.failures import reason_of
from argosy.toolkit.files import atomic_write, read_file
from argosy_plugins.observers._figures import Figures, Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Seconds that the last write or push gets when the run ends.
PATIENCE = 5.0

#: Bytes of an earlier file to read at most.
MOST_BYTES = 1_000_000

LAST_SUCCESS = "argosy_last_success_timestamp_seconds"

#: Labels of the metrics themselves.
_TAKEN = frozenset({"state", "cause", "host", "status", "le", "version", "strategy", "lease"})


class PrometheusObserver(Observer):
    """Counts in memory; a separate thread writes and pushes, so a slow disk or gateway delays no download.

    The counters begin at 0 with each run, which Prometheus expects of a program that starts anew. The time of the last
    success is taken from the earlier file.
    """

    name = "prometheus"
    summary = "Metrics for Prometheus: a textfile, a port, or a Pushgateway (needs argosy[prometheus])"
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "path": {
                "type": "string",
                "pattern": r"\.prom$",
                "description": "The file to write, in the folder of node_exporter's textfile collector; it ends in .prom. "
                "Each configuration needs a separate file.",
            },
            "port": {
                "type": "integer",
                "minimum": 1,
                "maximum": 65535,
                "description": "The port that serves the metrics while the run lasts.",
            },
            "address": {
                "type": "string",
                "minLength": 1,
                "default": "127.0.0.1",
                "description": "The address of the port. By default, only this machine reaches it; anybody who reaches it "
                "can read the metrics.",
            },
            "push_to": {
                "type": "string",
                "pattern": "^https?://",
                "description": "The URL of a Pushgateway, which keeps the metrics after the run.",
            },
            "job": {
                "type": "string",
                "minLength": 1,
                "default": "argosy",
                "description": "The job that the Pushgateway keeps the metrics under.",
            },
            "interval": {
                "type": "number",
                "minimum": 0.1,
                "default": 15,
                "description": "Seconds between two writes or pushes; the last one comes when the run ends.",
            },
            "labels": {
                "type": "object",
                "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
                "additionalProperties": {"type": "string"},
                "default": {},
                "description": "Labels to add to each metric. If several files are in one folder, one has to differ.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        try:
            from prometheus_client.registry import CollectorRegistry
        except ImportError:
            raise ConfigError(
                "The observer 'prometheus' needs the library prometheus-client, which is not installed.",
                hint="Install it: pip install 'argosy[prometheus]'.",
            ) from None
        self._notice = context.notice
        self._path = context.path(options["path"]) if "path" in options else None
        self._push_to: str | None = options.get("push_to")
        self._job: str = options.get("job", "argosy")
        self._interval: float = options.get("interval", 15)
        self._labels: Mapping[str, str] = {
            name: value.encode("utf-8", "backslashreplace").decode()
            for name, value in options.get("labels", {}).items()
        }
        if not {"path", "port", "push_to"} & options.keys():
            hint = 'Set "path" to a file for node_exporter, "port", or "push_to".'
            raise ConfigError('The observer \'prometheus\' needs "path", "port" or "push_to".', hint=hint)
        if taken := sorted(name for name in self._labels if name in _TAKEN or name.startswith("__")):
            raise ConfigError(f"The label {taken[0]!r} of the observer 'prometheus' is taken.", hint="Rename it.")
        self._figures = Figures()
        self._mutex = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(self))
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._stop_server: Callable[[], None] | None = None
        self._problems: dict[str, str | None] = {}  # by what failed; None once it is told

    def check(self) -> None:
        """Raise if the folder of the file does not exist."""
        if self._path is not None and (not self._path.parent.is_dir() or self._path.is_dir()):
            what = "is a folder" if self._path.is_dir() else "is in a folder that does not exist"
            raise ConfigError(f"The file of metrics {self._path} {what}.", hint="Choose another path for it.")

    def on_event(self, event: Event) -> None:
        """Count the event."""
        if self._thread is None and not self._end.is_set():
            self._start()
        with self._mutex:
            self._figures.take(event)
        self._tell()

    def close(self) -> None:
        """Write the last figures, and close the port."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                self._problems.setdefault("end", f"The last metrics were not delivered within {PATIENCE:.0f} seconds.")
        if self._stop_server is not None:
            self._stop_server()
            self._stop_server = None
        self._tell()

    def collect(self) -> list[Metric]:
        """Return the metrics as they are now."""
        with self._mutex:
            return list(_metrics(self._figures, self._labels))

    def _start(self) -> None:
        """Begin with the first event: a plugin that is only checked writes nothing."""
        if self._path is not None:
            self._figures.last_success = _last_success(self._path)
        if "port" in self.options:
            self._serve(self.options["port"], self.options.get("address", "127.0.0.1"))
        self._thread = threading.Thread(target=self._deliver, name="argosy-prometheus", daemon=True)
        self._thread.start()

    def _serve(self, port: int, address: str) -> None:
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, address.strip("[]"), self._registry)
        except OSError as error:
            where = f"port {port} of {address}"
            hint = 'Choose another "port".' if error.errno is not None else 'Check "address".'
            self._problems["port"] = f"The metrics are not served: {where}: {reason_of(error)}. {hint}"
            return

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop_server = stop

    def _deliver(self) -> None:
        """Write and push at the beginning, every so often, and at the end."""
        is_last = False
        while True:
            if self._path is not None:
                self._try("file", f"The metrics cannot be written to {self._path}", self._write)
            if self._push_to is not None:
                self._try("push", f"The metrics cannot be pushed to {self._push_to}", self._push)
            if is_last:
                return
            is_last = self._end.wait(self._interval)

    def _try(self, what: str, text: str, deliver: Callable[[], None]) -> None:
        try:
            deliver()
        except Exception as error:  # whatever it is, the run goes on without metrics
            self._problems.setdefault(what, f"{text}: {reason_of(error)}. The run continues, and argosy keeps trying.")

    def _write(self) -> None:
        from prometheus_client import generate_latest

        if self._path is not None:
            with atomic_write(self._path) as file:
                file.write(generate_latest(self._registry).decode("utf-8"))

    def _push(self) -> None:
        from prometheus_client import push_to_gateway

        if self._push_to is not None:
            push_to_gateway(self._push_to, self._job, self._registry, timeout=PATIENCE - 1)

    def _tell(self) -> None:
        """Tell each problem once; not in the other thread, which `close` may wait for while it holds a lock that a notice needs."""
        for what, text in list(self._problems.items()):
            if text is not None:
                self._problems[what] = None
                self._notice(text)


class _Collector:
    """What the registry asks for the metrics."""

    def __init__(self, observer: PrometheusObserver) -> None:
        self._observer = observer

    def collect(self) -> Iterable[Metric]:
        return self._observer.collect()


def _last_success(path: Path) -> float | None:
    """Return when the last run succeeded, according to its file."""
    try:
        text = read_file(path, MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    found = re.search(rf"^{LAST_SUCCESS}(?:\{{.*\}})? ([0-9.e+]{{1,30}})$", text, re.M)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _metrics(figures: Figures, labels: Mapping[str, str]) -> Iterator[Metric]:
    """Return the figures as metrics, named by https://prometheus.io/docs/practices/naming/."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    added = list(labels.values())

    def counter(name: str, text: str, values: Mapping[Any, float], *names: str) -> Metric:
        family = CounterMetricFamily(f"argosy_{name}", text, labels=[*names, *labels])
        for key, value in sorted(values.items()):
            family.add_metric([*key, *added], value)
        return family

    def gauge(name: str, text: str, value: float | None) -> Metric:
        family = GaugeMetricFamily(name, text, labels=list(labels))
        if value is not None:
            family.add_metric(added, value)
        return family

    def histogram(name: str, text: str, value: Histogram) -> Metric:
        family = HistogramMetricFamily(f"argosy_{name}_duration_seconds", text, labels=list(labels))
        family.add_metric(added, buckets=value.cumulative(), sum_value=value.sum)
        return family

    info = {"version": argosy.__version__, **figures.info, **labels}
    family = GaugeMetricFamily("argosy_run_info", "The version, the strategy and the lease of the run.", labels=[*info])
    family.add_metric([*info.values()], 1)
    yield family
    items = {("done", ""): 0, **figures.items}
    yield counter("items", "Items that ended, by state and by cause of failure.", items, "state", "cause")
    for name, text in (("items", "Items of the source."), ("to_do", "Items to do."), ("done", "Items done before.")):
        what = {"items": "planned_items", "to_do": "planned_items_to_do", "done": "planned_items_done_before"}[name]
        yield gauge(f"argosy_{what}", text, figures.planned.get(name))
    yield counter("received_bytes", "Bytes of files received.", {(): figures.bytes})
    yield counter("requests", "Requests for files, by host and class of status.", figures.requests, "host", "status")
    yield counter("retries", "Further attempts, by cause.", {(k,): n for k, n in figures.retries.items()}, "cause")
    yield counter("outages", "Outages, by host.", {(k,): n for k, n in figures.outages.items()}, "host")
    yield counter("logins", "Logins.", {(): figures.logins})
    yield counter("session_refreshes", "Sessions renewed without a login.", {(): figures.refreshes})
    yield counter("refusals", "Responses that rejected the session's token.", {(): figures.refusals})
    yield counter("notices", "Notices of the run.", {(): figures.notices})
    yield gauge("argosy_hosts_down", "Hosts that are down.", len(figures.down))
    yield gauge("argosy_active_workers", "Workers that have an item.", figures.active)
    yield gauge("argosy_max_workers", "The most workers at once.", figures.max_workers)
    yield histogram("request", "Seconds from a request to the headers of its response.", figures.request)
    yield histogram("lease_wait", "Seconds that a request waited for the session.", figures.lease)
    yield histogram("body", "Seconds from the headers to the verified file.", figures.body)
    yield gauge("argosy_run_start_timestamp_seconds", "When the run started.", figures.started)
    yield gauge("argosy_run_end_timestamp_seconds", "When the run ended; missing before.", figures.ended)
    succeeded = None if figures.succeeded is None else float(figures.succeeded)
    yield gauge("argosy_run_success", "Whether all items are done (1) or not (0); missing before the end.", succeeded)
    yield gauge(LAST_SUCCESS, "When a run last ended with all items done.", figures.last_success)


@argosy.hookimpl
def argosy_observer() -> type[Observer]:
    """Register the observer."""
    return PrometheusObserver
