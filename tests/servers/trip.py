"""A download of some files from a server that is not ours, in threads, in processes and from two terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import argosy
from argosy.engine.report import Report

#: How a run is spread, and what the configuration says for that.
SPREADS: dict[str, dict[str, Any]] = {
    "8 threads": {"strategy": "threads", "max_workers": 8},
    "4 processes": {"strategy": {"use": "multiprocess", "processes": 4}, "max_workers": 4},
}


@dataclass
class Trip:
    """One configuration, and what must come of it."""

    root: Path
    auth: dict[str, Any]
    url: Callable[[int], str]
    body: Callable[[int], bytes]
    items: int = 50
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The configuration file, written anew."""
        lines = [
            json.dumps({"id": f"f{n:03d}", "resources": [{"url": self.url(n), "path": f"{n:03d}.bin"}]})
            for n in range(self.items)
        ]
        (self.root / "files.jsonl").write_text("\n".join(lines), "utf-8")
        whole = {
            "source": {"use": "manifest", "path": "files.jsonl"},
            "auth": self.auth,
            "directory": "library",
            "max_retries": 5,
            "retry_delay": 0.1,
            **self.config,
        }
        path = self.root / "argosy.json"
        path.write_text(json.dumps(whole), "utf-8")
        return path

    def run(self, **config: Any) -> Report:
        """Download, in this process."""
        self.config |= config
        return argosy.download(self.file)

    def terminals(self, number: int, *, threads: int = 4) -> list[subprocess.CompletedProcess[str]]:
        """Download from several terminals at once."""
        self.config |= {"strategy": "threads", "max_workers": threads}
        file = str(self.file)
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "argosy", "download", file, "--quiet", "--report", f"{file}.{n}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"NO_COLOR": "1"},
            )
            for n in range(number)
        ]
        return [subprocess.CompletedProcess(p.args, p.wait(100), *p.communicate()) for p in running]

    def reports(self) -> list[dict[str, Any]]:
        """Return what the terminals reported."""
        return [json.loads(path.read_text("utf-8")) for path in sorted(self.root.glob("argosy.json.*"))]

    def wrong(self) -> list[str]:
        """Return the files that are missing or are not what the server has."""
        found = {path.name: path.read_bytes() for path in (self.root / "library").rglob("*.bin")}
        return [f"{n:03d}.bin" for n in range(self.items) if found.get(f"{n:03d}.bin") != self.body(n)]
