"""A cookies.txt as other tools write it, and the netscape store on it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from argosy.interfaces.base import PluginContext
from argosy.leasing.lease import changed
from argosy.models.cookie import Cookie
from argosy.models.session import Holder, SessionRecord
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.netscape import NetscapeStore

TITLE = "# Netscape HTTP Cookie File\n"
TOKEN = Cookie("token", "t1", "library.example", secure=True, http_only=True, scheme="https", port=443)
OTHER_SITE = ".shop.example\tTRUE\t/\tFALSE\t0\tbasket\tapples"


def open_store(path: Path, told: list[str] | None = None, **options: str) -> NetscapeStore:
    notice = (told if told is not None else []).append
    context = PluginContext(base=path.parent, directory=path.parent, notice=notice)
    return NetscapeStore({"path": str(path), **options}, context)


def line(value: str, name: str = "token", host: str = "library.example") -> str:
    return f"#HttpOnly_{host}\tFALSE\t/\tTRUE\t0\t{name}\t{value}"


def write(path: Path, *lines: str) -> None:
    """Write the file as curl does: in another one, and then under its name."""
    temporary = path.with_name("curl.tmp")
    temporary.write_text(TITLE + "".join(f"{text}\n" for text in lines), "iso-8859-1")
    temporary.replace(path)


def lines(path: Path) -> list[str]:
    """Return the lines of a file but its title, as argosy or curl begin it."""
    found = path.read_text("iso-8859-1").splitlines()
    return [text for text in found if text and not text.startswith((TITLE.strip(), "# Shared with argosy"))]


def go_on(store: NetscapeStore, record: SessionRecord, **changes: object) -> SessionRecord:
    """Write the next record of a session."""
    after = changed(record, **changes)
    store.write(after, record.generation)
    return after


def begin(store: NetscapeStore, *cookies: Cookie) -> SessionRecord:
    """Log in, and let the service replace the token once."""
    first = SessionRecord("default", 1, (replace(TOKEN, value="t0"), *cookies), logins=1)
    store.write(first, 0)
    return go_on(store, first, cookies=(TOKEN, *cookies))


def dead_holder() -> Holder:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return replace(this_holder(), pid=gone.pid)


def read(store: NetscapeStore) -> SessionRecord:
    record = store.read("default")
    assert record is not None
    return record
