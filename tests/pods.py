"""Runs the containers of Kubernetes manifests as processes: with their arguments, variables and files, and nothing else.

A stand-in for a node where there is no cluster. A mount path becomes a folder of the test, and the names of services this
machine; everything else is used as it is written.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def ended(self, seconds: float) -> tuple[int, str]:
        """Wait for its end; return its exit code, and what it said."""
        code = self.process.wait(seconds)
        return code, self.said()


def pod_of(manifest: Manifest) -> Manifest:
    """Return the pod of a job, a set or a pod."""
    spec: Manifest = manifest["spec"]
    return spec if manifest["kind"] == "Pod" else spec["template"]["spec"]


class Pods:
    """The pods of some manifests. `here` replaces texts, such as the name of a service, in files and arguments."""

    def __init__(self, folder: Path, manifests: Mapping[str, str], image: str, here: Callable[[str], str]) -> None:
        self.folder = folder
        self._here = here
        self.manifests: dict[tuple[str, str], Manifest] = {}
        for text in manifests.values():
            for manifest in yaml.safe_load_all(text):
                self.manifests[manifest["kind"], manifest["metadata"]["name"]] = manifest
        self._variables = dict(re.findall(r"^ENV (\w+)=(\S+)$", image, re.M))
        self._sources: dict[tuple[str, str], Path] = {}  # of volumes
        self._mounted: dict[str, tuple[str, str]] = {}  # the source at a path, the same in all pods
        for pod, templates in self._pods():
            for path, source in self._mounts(pod, templates).items():
                assert self._mounted.setdefault(path, source) == source, f"{path} is not the same in all pods"

    def create(self, script: str) -> None:
        """Run a script that creates Secrets and ConfigMaps; kubectl only prints them."""
        offline = re.sub(r"^(kubectl create .*)$", r"\1 --dry-run=client --output=yaml; echo ---", script, flags=re.M)
        done = subprocess.run(["sh", "-euc", offline], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        for manifest in filter(None, yaml.safe_load_all(done.stdout)):
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            target = self._source((kind, name))
            for key, value in manifest["data"].items():
                text = base64.b64decode(value).decode() if kind == "Secret" else value
                file = target / key
                file.touch(0o600)
                file.write_text(self._local(text, self._mounted), "utf-8")

    def volume(self, claim: str, folder: Path) -> None:
        """Use a folder as the volume of a claim."""
        self._sources["PersistentVolumeClaim", claim] = folder

    def start(self, pod: Manifest, templates: tuple[Manifest, ...] = (), **variables: str) -> Container:
        """Start the only container of a pod."""
        (container,) = pod["containers"]
        mounts = self._mounts(pod, templates)
        self._check_paths(container, mounts)
        command = [self._local(word, mounts) for word in container["args"]]
        for name, value in variables.items():
            command = [word.replace(f"$({name})", value) for word in command]
        assert not any("$(" in word for word in command)
        program = Path(sys.executable).with_name(command[0])
        home = self._source(("home", f"{len(self._sources)}"))
        environment = {name: self._local(value, self._mounted) for name, value in self._variables.items()}
        environment |= {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(program) if program.exists() else command[0], *command[1:]],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return Container(process, home / "log")

    def _pods(self) -> Iterator[tuple[Manifest, tuple[Manifest, ...]]]:
        for manifest in self.manifests.values():
            spec = manifest.get("spec", {})
            if manifest["kind"] == "DaskCluster":
                yield from ((spec[part]["spec"], ()) for part in ("scheduler", "worker"))
            elif manifest["kind"] in ("Pod", "Job", "StatefulSet"):
                yield pod_of(manifest), tuple(spec.get("volumeClaimTemplates", ()))

    def _mounts(self, pod: Manifest, templates: tuple[Manifest, ...]) -> dict[str, tuple[str, str]]:
        sources = {template["metadata"]["name"]: template for template in templates}
        found: dict[str, tuple[str, str]] = {name: ("PersistentVolumeClaim", f"{name} of the set") for name in sources}
        for volume in pod.get("volumes", ()):
            if "configMap" in volume:
                found[volume["name"]] = ("ConfigMap", volume["configMap"]["name"])
            elif "secret" in volume:
                found[volume["name"]] = ("Secret", volume["secret"]["secretName"])
            else:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in self.manifests
                found[volume["name"]] = ("PersistentVolumeClaim", claim)
        (container,) = pod["containers"]
        return {mount["mountPath"]: found[mount["name"]] for mount in container.get("volumeMounts", ())}

    def _check_paths(self, container: Manifest, mounts: Mapping[str, tuple[str, str]]) -> None:
        """Check that the container has all that its files name."""
        elsewhere = {path: source for path, source in self._mounted.items() if path not in mounts}
        for source in mounts.values():
            if source[0] == "PersistentVolumeClaim":
                continue
            assert source in self._sources, f"nothing creates {source}"
            for file in self._sources[source].iterdir():
                text = file.read_text("utf-8")
                missing = [path for path, other in elsewhere.items() if f"{self._source(other)}/" in text]
                assert not missing, f"{file.name} needs {missing} in {container['name']}"

    def _local(self, text: str, mounts: Mapping[str, tuple[str, str]]) -> str:
        text = self._here(text)
        for path, source in mounts.items():
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?![\w-])", str(self._source(source)), text)
        return text

    def _source(self, source: tuple[str, str]) -> Path:
        if source not in self._sources:
            self._sources[source] = self.folder / "-".join(source).replace(" ", "-")
        self._sources[source].mkdir(exist_ok=True)
        return self._sources[source]
