"""A download set up for a test: a library server, a manifest on it, a configuration, and what must come of it."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import warm
from argosy_devkit import Expected, LibraryServer

#: What a configuration has that says nothing else; `transport` in the torture tests sets it.
DEFAULTS: dict[str, Any] = {}


@dataclass
class Voyage:
    """One configured download."""

    root: Path
    server: LibraryServer
    expected: list[Expected]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def library(self) -> Path:
        return self.root / "library"

    @property
    def file(self) -> Path:
        path = self.root / "argosy.json"
        path.write_text(json.dumps({**DEFAULTS, **self.config}), "utf-8")
        return path

    def expect_size(self, size: int) -> None:
        """Ask for files of another size, which the manifest does not promise and nobody would wait for."""
        lines = (json.loads(line) for line in (self.root / "books.jsonl").read_text("utf-8").splitlines())
        items = [
            {
                "id": e["id"],
                "resources": [{"url": f"{r['url'].partition('?')[0]}?size={size}", "path": r["path"]}],
            }
            for e in lines
            for r in e["resources"]
        ]
        (self.root / "books.jsonl").write_text("\n".join(map(json.dumps, items)), "utf-8")

    def wrong(self) -> list[str]:
        """Return what is not as it must be: files missing, damaged, or that nobody asked for."""
        found = {
            str(path.relative_to(self.library))
            for path in self.library.rglob("*")
            if path.is_file() and ".argosy" not in path.parts
        }
        wanted = {e.name: e.sha256 for e in self.expected}
        missing = [f"missing {name}" for name in wanted.keys() - found]
        return missing + self.damaged() + [f"nobody asked for {name}" for name in found - wanted.keys()]

    def damaged(self) -> list[str]:
        """Return what stands under a final name and is not whole."""
        return [
            f"damaged {e.name}"
            for e in self.expected
            if (self.library / e.name).exists()
            and hashlib.sha256((self.library / e.name).read_bytes()).hexdigest() != e.sha256
        ]

    def done(self) -> set[str]:
        """Return the ids that the ledger says are done."""
        path = self.library / ".argosy" / "ledger.sqlite"
        if not path.exists():
            return set()
        db = sqlite3.connect(path, timeout=30)
        try:
            return {id_ for (id_,) in db.execute("SELECT id FROM items WHERE state = 'done'")}
        except sqlite3.OperationalError:
            return set()  # it is just being made
        finally:
            db.close()

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``argosy download`` on it, as a person would."""
        command = ("download", str(self.file), *arguments)
        if warm.fits(options) and not self._starts_processes(arguments):
            return warm.shared().start(*command, **options)
        return subprocess.Popen(
            [sys.executable, "-m", "argosy", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # what a shell starts in the background ignores Ctrl-C, and so would we
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **options,
        )

    def _starts_processes(self, arguments: tuple[str, ...]) -> bool:
        """Return whether processes of the run import the program anew: it is to be a real one."""
        return "multiprocess" in json.dumps([self.config.get("strategy"), arguments])

    def argosy(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run some other command."""
        return warm.run(*arguments, **options)

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``argosy download`` on it to its end."""
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=110)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def set_out(root: Path, server: LibraryServer, *, items: int, **options: Any) -> Voyage:
    """Write a manifest and a configuration into a folder; options that a manifest knows go to it."""
    names = ("resources_per_item", "size", "digests")
    manifest = {name: options.pop(name) for name in names if name in options}
    expected = server.manifest(root / "books.jsonl", items=items, **manifest)
    secret = root / "password.txt"
    secret.write_text(server.password + "\n", "utf-8")
    config = {
        "source": {"use": "manifest", "path": "books.jsonl"},
        "auth": {
            "use": "form-login",
            "url": server.login_url,
            "fields": {"user": server.user, "password": {"file": "password.txt"}},
        },
        "cookie_store": {"use": "json-file", "path": "cookies.json"},
        "directory": "library",
        "retry_delay": 0.01,
        **options,
    }
    return Voyage(root, server, expected, config)


def run_urls(root: Path, *urls: str, **options: Any) -> Voyage:
    """Set out without a login to some URLs."""
    voyage = Voyage(root, None, [])  # type: ignore[arg-type]  # there is no library server behind these
    voyage.config = {"source": {"use": "urls", "urls": list(urls)}, "directory": "library", **options}
    return voyage


def after(number: int, act: Callable[[], Any]) -> Callable[[Any], None]:
    """Return an observer that acts once, when files of so many items have come.

    They count as done a little later, in groups; small ones might all have come by then.
    """
    come: set[str] = set()

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished" and event.item not in come:
            come.add(event.item)
            if len(come) == number:
                act()

    return on_event
