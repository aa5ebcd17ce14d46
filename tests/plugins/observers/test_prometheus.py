"""The metrics of a run: in a textfile, on a port, in Prometheus itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import argosy
from argosy.errors import ConfigError
from argosy.events import Event, EventKind
from argosy.interfaces.base import PluginContext
from argosy_devkit import Fault
from argosy_devkit.client import ServerFactory
from argosy_plugins.observers._figures import MOST_VALUES
from argosy_plugins.observers.prometheus import PrometheusObserver
from documents import ROOT, blocks
from missing import need
from voyage import Voyage

MakeEvent = Callable[..., Event]
SetSail = Callable[..., Voyage]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Samples:
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples
            samples[key] = sample.value
    return samples


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"argosy_{name}", frozenset(labels.items())))


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


def make(base: Path, notices: list[str] | None = None, **options: Any) -> PrometheusObserver:
    notice = (notices if notices is not None else []).append
    return PrometheusObserver(options, PluginContext(base, notice=notice))


def closed(observer: PrometheusObserver, *events: Event) -> None:
    for event in events:
        observer.on_event(event)
    observer.close()


def run_with_failures(
    server_of: ServerFactory, folder: Path, observer: Mapping[str, Any], on_event: Any = None, **settings: Any
) -> tuple[argosy.Report, str]:
    """Download two files, one of them at the second attempt; another has a secret in its URL, and is not there."""
    server = server_of(lease_mode="open", faults=(Fault("status", times=1, path="again"),))
    urls = [server.url_for(f"/files/{name}.bin?size=3000") for name in ("first", "again")]
    urls.append(server.url_for("/nothing/here.bin?token=hunter2secret"))
    report = argosy.download(
        {
            "source": {"use": "urls", "urls": urls},
            "directory": str(folder / "library"),
            "retry_delay": 0.001,
            "observers": [observer],
            **settings,
        },
        on_event,
    )
    return report, server.url.partition("://")[2]


@pytest.mark.parametrize("strategy", ["serial", "threads", "multiprocess"])
def test_a_run_with_each_strategy(library_server: ServerFactory, tmp_path: Path, strategy: str) -> None:
    path = tmp_path / "argosy.prom"
    observer = {"use": "prometheus", "path": str(path)}
    report, host = run_with_failures(library_server, tmp_path, observer, strategy={"use": strategy}, max_workers=2)
    assert not [notice for notice in report.notices if "observer" in notice or "metrics" in notice]
    text = path.read_text("utf-8")
    assert "hunter2" not in text
    samples = parse(text)
    assert value(samples, "items_total", state="done", cause="") == 2
    assert value(samples, "items_total", state="failed", cause="status") == 1
    assert value(samples, "requests_total", host=host, status="2xx") == 2
    assert value(samples, "requests_total", host=host, status="4xx") == 1
    assert value(samples, "requests_total", host=host, status="5xx") == 1
    assert value(samples, "retries_total", cause="status") == 1
    assert value(samples, "received_bytes_total") == 6000
    assert value(samples, "request_duration_seconds_count") == 4
    assert value(samples, "request_duration_seconds_bucket", le="+Inf") == 4
    assert value(samples, "body_duration_seconds_count") == 2
    assert value(samples, "planned_items") == 3
    assert value(samples, "active_workers") == 0
    assert value(samples, "run_success") == 0
    assert value(samples, "last_success_timestamp_seconds") is None
    assert value(samples, "run_info", version=argosy.__version__, strategy=strategy, lease="shared") == 1


def test_the_session(set_sail: SetSail) -> None:
    """Logins, refusals and waits for the token, as the report counts them."""
    voyage = set_sail(items=6, max_workers=3, size=2000)
    voyage.config["observers"] = [{"use": "prometheus", "path": "argosy.prom"}]
    first = argosy.download(voyage.file)
    voyage.server.expire_sessions()
    shutil.rmtree(voyage.library)
    second = argosy.download(voyage.file)
    assert (first.ok, second.ok) == (True, True)
    samples = parse((voyage.root / "argosy.prom").read_text("utf-8"))
    assert second.refusals > 0
    assert value(samples, "refusals_total") == second.refusals
    assert value(samples, "logins_total") == second.logins
    assert value(samples, "run_success") == 1
    assert value(samples, "lease_wait_duration_seconds_count") is not None


def test_the_time_of_the_last_success_survives_a_failure(tmp_path: Path, event: MakeEvent) -> None:
    path = tmp_path / "a.prom"
    counts = {"left": 0}
    labels = {"library": 'b"ooks\n'}
    good = event("run.finished", at=1_700_000_123.25, exit_code=0, counts=counts)
    closed(make(tmp_path, path="a.prom", labels=labels), event("run.started"), good)
    for end in (
        event("run.finished", exit_code=1, counts=counts),
        event("run.finished", exit_code=0, counts={"left": 1}),
    ):
        closed(make(tmp_path, path="a.prom", labels=labels), event("run.started"), end)
        samples = parse(path.read_text("utf-8"))
        assert value(samples, "run_success", **labels) == 0
        assert value(samples, "last_success_timestamp_seconds", **labels) == 1_700_000_123.25
    path.write_bytes(b"\xff\0 garbage\nargosy_last_success_timestamp_seconds 1.2.3\n" * 3)
    closed(make(tmp_path, path="a.prom"), event("run.started"))
    assert value(parse(path.read_text("utf-8")), "last_success_timestamp_seconds") is None


def test_labels_have_a_bounded_number_of_values(tmp_path: Path, event: MakeEvent) -> None:
    observer = make(tmp_path, path="a.prom")
    for number in range(3 * MOST_VALUES):
        url = f"https://user:pw@host{number}.example/\udc80?q=1"
        observer.on_event(event("resource.answered", "a", url=url, status=200 + number, sent=1.0, answered=2.0))
        observer.on_event(event("resource.retry", "a", kind=f"cause {number}"))
        observer.on_event(event("item.finished", "a", state="failed", failure="x", kind=f"kind {number}"))
    observer.close()
    text = (tmp_path / "a.prom").read_text("utf-8")
    assert "pw" not in text
    samples = parse(text)
    hosts = {dict(labels)["host"] for name, labels in samples if name == "argosy_requests_total"}
    assert len(hosts) == MOST_VALUES + 1
    assert sum(n for (name, _), n in samples.items() if name == "argosy_requests_total") == 3 * MOST_VALUES
    assert (
        len([1 for name, _ in samples if name in ("argosy_retries_total", "argosy_items_total")]) <= 2 * MOST_VALUES + 3
    )


def test_an_outage_counts_once(tmp_path: Path, event: MakeEvent) -> None:
    down = {"for": "delay", "why": "down", "host": "a.example", "since": 1.0}
    answered = event("resource.answered", "b", url="https://a.example/x", status=200, sent=1.0, answered=1.0)
    waits = [event("resource.waiting", item, **down) for item in ("a", "b")]
    closed(make(tmp_path, path="a.prom"), *waits, answered, waits[0])
    samples = parse((tmp_path / "a.prom").read_text("utf-8"))
    assert value(samples, "outages_total", host="a.example") == 2
    assert value(samples, "hosts_down") == 1


def test_a_wait_for_the_lease_ends_with_the_request_or_another_wait(tmp_path: Path, event: MakeEvent) -> None:
    start = 1_700_000_000.0
    closed(
        make(tmp_path, path="a.prom"),
        event("item.started", "a", at=start),
        event("resource.waiting", "a", at=start, **{"for": "lease"}),
        event("resource.answered", "a", at=start + 9, url="https://a/", status=200, sent=start + 2, answered=start + 5),
        event("resource.waiting", "a", at=start + 10, **{"for": "lease"}),
        event("resource.waiting", "a", at=start + 11, **{"for": "login"}),
    )
    samples = parse((tmp_path / "a.prom").read_text("utf-8"))
    assert value(samples, "lease_wait_duration_seconds_sum") == 3
    assert value(samples, "lease_wait_duration_seconds_count") == 2
    assert value(samples, "request_duration_seconds_sum") == 3
    assert value(samples, "active_workers") == 1


def test_the_file_is_replaced_and_readable(tmp_path: Path, event: MakeEvent) -> None:
    before = os.umask(0o022)
    try:
        closed(make(tmp_path, path="a.prom"), event("run.started"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.prom").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_port_serves_during_the_run_only(library_server: ServerFactory, tmp_path: Path, host: str) -> None:
    port = free_port(host)
    address = f"[{host}]" if ":" in host else host
    seen: list[Samples] = []

    def ask(event: Event) -> None:
        if event.kind is EventKind.ITEM_FINISHED:
            with urllib.request.urlopen(f"http://{address}:{port}/metrics") as response:
                seen.append(parse(response.read().decode()))

    server = library_server(lease_mode="open")
    urls = [server.url_for(f"/files/{number}.bin?size=30") for number in range(2)]
    config = {
        "source": {"use": "urls", "urls": urls},
        "directory": str(tmp_path / "library"),
        "observers": [{"use": "prometheus", "port": port, "address": host}],
    }
    report = argosy.download(config, ask)
    assert report.notices == ()
    assert len(seen) == 2
    assert {value(samples, "planned_items") for samples in seen} == {2}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, port)).close()


def test_a_port_in_use_is_told_once_and_the_run_goes_on(library_server: ServerFactory, tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        report, _ = run_with_failures(library_server, tmp_path, {"use": "prometheus", "port": port})
    assert report.counts.done == 2
    (notice,) = report.notices
    assert notice == (
        f'The metrics are not served: port {port} of 127.0.0.1: Address already in use. Choose another "port".'
    )


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, event: MakeEvent) -> None:
    notices: list[str] = []
    folder = tmp_path / "gone"
    folder.mkdir()
    observer = make(tmp_path, notices, path="gone/a.prom", interval=0.1)
    observer.check()
    folder.rmdir()
    observer.on_event(event("run.started"))
    while not observer._problems:
        time.sleep(0.01)
    closed(observer, event("run.planned"), event("run.notice", message="x"), event("run.finished"))
    assert len(notices) == 1
    assert "gone/a.prom: No such file or directory. The run continues" in notices[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, '"path", "port" or "push_to"'),
        ({"path": "no/a.prom"}, "does not exist"),
        ({"path": "folder.prom"}, "is a folder"),
        ({"port": 9999, "labels": {"host": "x"}}, "taken"),
        ({"port": 9999, "labels": {"__x": "x"}}, "taken"),
    ],
)
def test_wrong_options(tmp_path: Path, options: Mapping[str, Any], words: str) -> None:
    (tmp_path / "folder.prom").mkdir()
    with pytest.raises(ConfigError, match=words):
        make(tmp_path, **options).check()


@pytest.mark.slow
def test_promtool_accepts_the_names(library_server: ServerFactory, tmp_path: Path) -> None:
    need("promtool")
    run_with_failures(library_server, tmp_path, {"use": "prometheus", "path": str(tmp_path / "a.prom")})
    text = (tmp_path / "a.prom").read_text("utf-8")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@contextmanager
def started(*command: str) -> Iterator[None]:
    """Start a server, and end it."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def ask_until(url: str, enough: Callable[[Any], bool]) -> Any:
    """Ask a server until its answer is enough."""
    while True:
        try:
            with urllib.request.urlopen(url) as response:
                if enough(text := response.read().decode()):
                    return text
        except OSError:
            pass
        time.sleep(0.05)


@pytest.mark.slow
def test_prometheus_reads_it_by_way_of_node_exporter(library_server: ServerFactory, tmp_path: Path) -> None:
    need("prometheus", "prometheus-node-exporter")
    folder = tmp_path / "textfiles"
    folder.mkdir()
    node, port = free_port(), free_port()
    settings = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [f"127.0.0.1:{node}"]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML, too
    for name in ("books", "maps"):
        (tmp_path / name).mkdir()
        observer = {"use": "prometheus", "path": str(folder / f"{name}.prom"), "labels": {"library": name}}
        run_with_failures(library_server, tmp_path / name, observer)
    exporter = (
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
        f"--web.listen-address=127.0.0.1:{node}",
    )
    server = (
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with started(*exporter), started(*server):
        text = ask_until(f"http://127.0.0.1:{node}/metrics", lambda text: "argosy_run_info" in text)
        assert "node_textfile_scrape_error 0" in text
        query = "sum%20by(library,state)(argosy_items_total)"
        found = ask_until(f"http://127.0.0.1:{port}/api/v1/query?query={query}", lambda text: "maps" in text)
    result = {tuple(sorted(one["metric"].items())): one["value"][1] for one in json.loads(found)["data"]["result"]}
    assert result == {
        (("library", library), ("state", state)): count
        for library in ("books", "maps")
        for state, count in (("done", "2"), ("failed", "1"))
    }


@pytest.mark.slow
def test_a_pushgateway_keeps_it(library_server: ServerFactory, tmp_path: Path) -> None:
    need("prometheus-pushgateway")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with started("prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"):
        ask_until(f"{url}/-/ready", lambda text: True)
        run_with_failures(library_server, tmp_path, {"use": "prometheus", "push_to": url, "job": "a/b books"})
        with urllib.request.urlopen(f"{url}/metrics") as response:
            samples = parse(response.read().decode())
    labels = {"job": "a/b books", "instance": ""}
    assert value(samples, "items_total", state="done", cause="", **labels) == 2


def test_a_gateway_that_is_not_there_is_told_once(library_server: ServerFactory, tmp_path: Path) -> None:
    observer = {"use": "prometheus", "push_to": f"http://127.0.0.1:{free_port()}", "interval": 0.1}
    told: list[str] = []

    def hear(event: Event) -> None:
        if event.kind is EventKind.RUN_NOTICE:
            told.append(event.data["message"])

    report, _ = run_with_failures(library_server, tmp_path, observer, hear)
    assert report.counts.done == 2
    (notice,) = told
    assert "cannot be pushed" in notice
    assert "Connection refused" in notice


@pytest.mark.slow
def test_promtool_accepts_the_rules_of_the_documents(tmp_path: Path) -> None:
    need("promtool")
    (block,) = blocks("yaml", document=ROOT / "docs" / "how-to" / "watch-with-metrics.md")
    (tmp_path / "rules.yml").write_text(block.text)
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done


def test_the_documents_name_each_metric(tmp_path: Path, event: MakeEvent) -> None:
    closed(make(tmp_path, path="a.prom"), event("run.started"))
    made = set(re.findall(r"^# TYPE (\w+)", (tmp_path / "a.prom").read_text("utf-8"), re.M))
    page = (ROOT / "docs" / "how-to" / "watch-with-metrics.md").read_text("utf-8")
    rows = "".join(line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `argosy_"))
    assert set(re.findall(r"`(argosy_\w+)`", rows)) == made


def test_an_item_whose_end_comes_first_is_not_active(tmp_path: Path, event: MakeEvent) -> None:
    closed(make(tmp_path, path="a.prom"), event("item.finished", "a", state="done"), event("item.started", "a"))
    assert value(parse((tmp_path / "a.prom").read_text("utf-8")), "active_workers") == 0
