"""Virtual environments outside the tree, made once for all tests of a run that want the same one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class VirtualEnvironment:
    """A virtual environment outside the tree."""

    folder: Path

    def run(self, program: str, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, with nothing of the environment that the tests run in."""
        ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
        clean = {name: value for name, value in os.environ.items() if name not in ours}
        return subprocess.run(
            [self.folder / ("Scripts" if os.name == "nt" else "bin") / program, *arguments],
            cwd=cwd or self.folder,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *what: str | Path) -> None:
        """Install packages by pip; what builds them must be there already."""
        done = self.run("python", "-m", "pip", "install", "-q", "--no-build-isolation", *what)
        assert done.returncode == 0, done.stderr


def fresh(folder: Path) -> VirtualEnvironment:
    """Make an environment in which packages can be built, and a wheel of argosy installed."""
    made = VirtualEnvironment(folder / "venv")
    subprocess.run([sys.executable, "-m", "venv", made.folder], check=True)
    if made.run("python", "-m", "pip", "install", "-q", "hatchling>=1.27", "editables").returncode:
        pytest.skip("pip cannot reach a package index, so nothing can be built or installed")
    wheels = folder / "wheels"
    built = made.run(
        "python",
        *("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"),
        *(wheels, ROOT),
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.iterdir()
    made.install(wheel)
    return made


def shared(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], VirtualEnvironment]
) -> VirtualEnvironment:
    """Return an environment that was made by whichever process of the run came first.

    Parameters
    ----------
    factory
        Knows the folder that the processes of a run have in common.
    name
        Of the environment.
    make
        Makes it in a folder.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            environment = make(folder)
            done.write_text(str(environment.folder), "utf-8")
        return VirtualEnvironment(Path(done.read_text("utf-8")))
