"""The page about Kubernetes: its manifests fit together, and the commands of their containers run with its files.

There is no cluster here: `pods` starts the processes.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from documents import ROOT, blocks, files
from missing import need
from pods import Container, Pods, pod_of
from ports import free_port
from redis_page import PAGE as REDIS_PAGE
from redis_page import PROGRAMS
from voyage import Voyage

SetSail = Callable[..., Voyage]

PAGE = ROOT / "docs" / "how-to" / "run-on-kubernetes.md"
MANIFESTS = {name: text for name, text in files(PAGE).items() if name.endswith(".yaml") and name != "distributed.yaml"}
PATIENCE = 100.0
SHARDS = 4


def toml(mark: str) -> str:
    (found,) = [block.text for block in blocks("toml", document=PAGE) if block.mark == mark]
    return found


def test_services_lead_to_pods() -> None:
    found = {(it["kind"], it["metadata"]["name"]): it for text in MANIFESTS.values() for it in yaml.safe_load_all(text)}
    service, redis = found["Service", "argosy-redis"]["spec"], found["StatefulSet", "argosy-redis"]["spec"]
    assert service["selector"] == redis["selector"]["matchLabels"] == redis["template"]["metadata"]["labels"]
    (container,) = redis["template"]["spec"]["containers"]
    assert [port["port"] for port in service["ports"]] == [port["containerPort"] for port in container["ports"]]
    cluster = found["DaskCluster", "argosy"]["spec"]["scheduler"]
    (container,) = cluster["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["targetPort"]: port["port"] for port in cluster["service"]["ports"]} == ports
    assert cluster["service"]["selector"]["dask.org/cluster-name"] == "argosy", "the service is argosy-scheduler"


def test_the_number_of_shards_is_that_of_completions() -> None:
    (job,) = yaml.safe_load_all(MANIFESTS["shards.yaml"])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--shard", f"auto/{job['spec']['completions']}"]


def test_the_image_has_the_extras_that_exist() -> None:
    (extras,) = re.findall(r"argosy\[([\w,]+)\]", files(PAGE)["Dockerfile"])
    declared = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(re.search(rf"^{extra} = ", declared, re.M) for extra in extras.split(","))


@pytest.fixture
def pods(set_sail: SetSail) -> Iterator[tuple[Pods, Voyage, list[Container]]]:
    """What the page creates first, with its Redis server running; processes in the list end with the test."""
    need("kubectl", *PROGRAMS)
    voyage = set_sail(items=40, lease_mode="revoke", size=2000)
    redis_port, dask_port = free_port(), free_port()

    def here(text: str) -> str:
        text = re.sub(r"argosy-(redis|scheduler)\b", "localhost", text)
        text = re.sub(r"\b6379\b", str(redis_port), text)
        text = re.sub(r"\b8786\b", str(dask_port), text).replace("auto/10", f"auto/{SHARDS}")
        return text.replace("https://library.example", voyage.server.url)

    pods = Pods(voyage.root, MANIFESTS, files(PAGE)["Dockerfile"], here)
    pods.volume("argosy-data", voyage.root / "data")
    voyage.library.symlink_to("data/library")
    for name, text in files(REDIS_PAGE).items():
        if name.startswith("make-"):
            text = here(text.replace("cache.example", "argosy-redis"))
            subprocess.run(["sh", "-c", text], cwd=voyage.root, check=True, capture_output=True)
        (voyage.root / name).write_text(text, "utf-8")
    (voyage.root / "argosy.toml").write_text(toml("complete"), "utf-8")
    (voyage.root / "distributed.yaml").write_text(files(PAGE)["distributed.yaml"], "utf-8")
    pods.create(files(PAGE)["create.sh"])
    pods.create(files(PAGE)["create-dask.sh"])
    redis = pods.manifests["StatefulSet", "argosy-redis"]
    running = [pods.start(pod_of(redis), tuple(redis["spec"]["volumeClaimTemplates"]))]
    try:
        _wait_for(lambda: "Ready to accept connections" in running[0].said() or running[0].process.poll() is not None)
        assert running[0].process.poll() is None, running[0].said()
        yield pods, voyage, running
    finally:
        for container in reversed(running):
            container.process.kill()
            container.process.wait(PATIENCE)


def look(pods: Pods, command: str) -> tuple[int, str]:
    """Run a command of the page in the pod `argosy-look`."""
    start = f"kubectl exec argosy-look -- {command} "
    lines = [line for block in blocks("sh", document=PAGE) for line in block.text.splitlines()]
    (line,) = [line for line in lines if line.startswith(start)]
    pod: dict[str, Any] = pods.manifests["Pod", "argosy-look"]["spec"]
    (container,) = pod["containers"]
    arguments = line.removeprefix("kubectl exec argosy-look -- ").split()
    return pods.start({**pod, "containers": [{**container, "args": arguments}]}).ended(PATIENCE)


@pytest.mark.slow
def test_an_indexed_job(pods: tuple[Pods, Voyage, list[Container]]) -> None:
    """One of its pods gets SIGTERM, as from a node that is drained, and is started again."""
    node, voyage, running = pods
    pod = pod_of(node.manifests["Job", "argosy-shards"])
    shards = [node.start(pod, JOB_COMPLETION_INDEX=str(index)) for index in range(SHARDS)]
    running += shards
    _wait_for(lambda: voyage.server.stats().accepted >= 3)
    shards[2].process.send_signal(signal.SIGTERM)
    assert shards[2].process.wait(PATIENCE) in (0, 143, -signal.SIGTERM)  # it may have finished before, or hardly begun
    shards[2] = node.start(pod, JOB_COMPLETION_INDEX="2")
    running.append(shards[2])
    for shard in shards:
        assert shard.process.wait(PATIENCE) == 0, shard.said()
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)
    code, said = look(node, "argosy status")
    assert (code, f"shards     {SHARDS} of {SHARDS}\ndone       40 items" in said) == (0, True), said
    code, said = look(node, "argosy verify")
    assert (code, "0 items damaged" in said) == (0, True), said


@pytest.mark.slow
def test_the_operator(pods: tuple[Pods, Voyage, list[Container]]) -> None:
    node, voyage, running = pods
    changed = toml("complete") + toml("")
    (voyage.root / "argosy.toml").write_text(changed, "utf-8")
    node.create(files(PAGE)["create.sh"])
    cluster = node.manifests["DaskCluster", "argosy"]["spec"]
    running.append(node.start(cluster["scheduler"]["spec"]))
    for number in range(2):
        # the operator's own variable, for the name of a worker
        running.append(node.start(cluster["worker"]["spec"], DASK_WORKER_NAME=f"argosy-default-worker-{number}"))
    run = pod_of(node.manifests["Job", "argosy-run"])
    for _ in range(30):  # as the job does, until the scheduler is there
        code, said = node.start(run).ended(PATIENCE)
        if code != 5:
            break
    assert code == 0, said
    stats = voyage.server.stats()
    assert voyage.wrong() == []
    assert (stats.logins, stats.refused, stats.replaced_tokens_sent) == (1, 0, 0)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
