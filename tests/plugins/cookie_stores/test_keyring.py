"""The key of a store in a keyring: a real Secret Service (gnome-keyring), on a message bus of its own for each test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from missing import need

#: Starts the keyring unlocked, then a program; the bus and all that hangs on it end with that.
_ON_A_BUS = """
printf 'password of the keyring' | gnome-keyring-daemon --unlock --components=secrets > /dev/null 2>&1
exec "$@"
"""

_PREFACE = """
import sys, threading, argosy, keyring
from argosy.models.session import SessionRecord
path = sys.argv[1]

def open_store(name="c.json", user="ada"):
    return argosy.open_store("json-file", path=f"{path}/{name}", encrypt={"keyring": "argosy", "user": user})

def tell(call):
    try:
        print("did", call())
    except argosy.ArgosyError as error:
        print(type(error).__name__, error)
"""


def with_keyring(folder: Path, program: str) -> list[str]:
    """Run a program where there is an empty keyring; return the lines it prints."""
    need("gnome-keyring-daemon", "dbus-run-session")
    pytest.importorskip("keyring", reason="pip install 'argosy[keyring]'")
    places = {"XDG_DATA_HOME": "data", "XDG_RUNTIME_DIR": "runtime", "HOME": "home"}
    for name in places.values():
        (folder / name).mkdir(mode=0o700)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "PYTHON_KEYRING"))
    }
    environment |= {name: str(folder / place) for name, place in places.items()}
    done = subprocess.run(
        [
            "dbus-run-session",
            "--",
            "sh",
            "-c",
            _ON_A_BUS,
            "sh",
            sys.executable,
            "-c",
            _PREFACE + program,
            str(folder),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_key_in_the_keyring_opens_the_store(tmp_path: Path) -> None:
    lines = with_keyring(
        tmp_path,
        """
from argosy.toolkit.secrets import new_key
key = new_key()
keyring.set_password("argosy", "ada", key)
store = open_store()
store.write(SessionRecord("default", 1), 0)
tell(lambda: open_store().read("default").generation)
print(key in open(f"{path}/c.json").read())
keyring.set_password("argosy", "ada", "correct horse")
tell(lambda: open_store().read("default"))
""",
    )
    assert lines[:2] == ["did 1", "False"]
    assert lines[2].startswith("StoreSealed")


def test_without_a_key_in_the_keyring_nothing_is_written(tmp_path: Path) -> None:
    lines = with_keyring(
        tmp_path,
        """
tell(open_store)
from keyring.backends import fail
keyring.set_keyring(fail.Keyring())
tell(open_store)
""",
    )
    assert lines[0].startswith("ConfigError The keyring has no secret for service 'argosy' and user 'ada'.")
    assert "`argosy session key` prints a new key" in lines[0]
    assert lines[1].startswith("ConfigError The keyring did not answer: NoKeyringError.")
    assert not (tmp_path / "c.json").exists()
