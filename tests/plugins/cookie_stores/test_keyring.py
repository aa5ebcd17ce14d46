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


def test_the_first_write_makes_a_key_and_everybody_finds_it(tmp_path: Path) -> None:
    lines = with_keyring(
        tmp_path,
        """
store, other = open_store(), open_store()
print(store.read("default"), keyring.get_password("argosy", "ada"))  # to look makes none
store.write(SessionRecord("default", 1), 0)
key = keyring.get_password("argosy", "ada")
print(key.startswith("argosy-key-1:"), len(key))
tell(lambda: other.read("default").generation)
tell(lambda: open_store().read("default").generation)
print(key in open(f"{path}/c.json").read())
""",
    )
    assert lines == ["None None", "True 56", "did 1", "did 1", "False"]


def test_stores_that_begin_together_get_one_key(tmp_path: Path) -> None:
    """Each in a process of its own, so that nothing but the lock between them is shared."""
    lines = with_keyring(
        tmp_path,
        """
import subprocess
program = (
    "import argosy, sys; from argosy.models.session import SessionRecord\\n"
    "store = argosy.open_store('json-file', path=sys.argv[1], encrypt={'keyring': 'argosy', 'user': 'ada'})\\n"
    "print(flush=True); input(); store.write(SessionRecord('default', 1), 0)"
)
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
running = [
    subprocess.Popen([sys.executable, "-c", program, f"{path}/{n}.json"], **pipes) for n in range(4)
]
for process in running:
    process.stdout.readline()
for process in running:
    process.stdin.write("now\\n")
    process.stdin.flush()
print([process.wait() for process in running])
print([open_store(f"{n}.json").read("default").generation for n in range(4)])
""",
    )
    assert lines == ["[0, 0, 0, 0]", "[1, 1, 1, 1]"]


def test_a_key_that_is_lost_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    lines = with_keyring(
        tmp_path,
        """
open_store().write(SessionRecord("default", 1), 0)
key = keyring.get_password("argosy", "ada")
keyring.delete_password("argosy", "ada")
before = open(f"{path}/c.json").read()
store = open_store()
tell(lambda: store.read("default"))
tell(lambda: store.write(SessionRecord("other", 1), 0))
print(keyring.get_password("argosy", "ada"), open(f"{path}/c.json").read() == before)
keyring.set_password("argosy", "ada", key)
tell(lambda: store.read("default").generation)
""",
    )
    assert [line.partition(" ")[0] for line in lines] == ["StoreSealed", "StoreSealed", "None", "did"]
    assert "the keyring has no key for it any more" in lines[0]
    assert lines[2] == "None True"


def test_a_passphrase_in_the_keyring_and_a_keyring_that_keeps_nothing(tmp_path: Path) -> None:
    lines = with_keyring(
        tmp_path,
        """
keyring.set_password("argosy", "ada", "correct horse")
store = open_store()
store.write(SessionRecord("default", 1), 0)
print('"n":131072' in open(f"{path}/c.json").read())
from keyring.backends import fail, null
keyring.set_keyring(null.Keyring())
tell(lambda: open_store("d.json").write(SessionRecord("default", 1), 0))
keyring.set_keyring(fail.Keyring())
tell(lambda: open_store("d.json"))
""",
    )
    assert lines[0] == "True"
    assert lines[1].startswith("ConfigError The keyring does not keep the key of the cookie store.")
    assert lines[2].startswith("ConfigError The keyring did not answer: NoKeyringError.")
    assert not (tmp_path / "d.json").exists()
