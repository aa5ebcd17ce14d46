"""A package of somebody else, installed beside argosy by pip: the finished example of the documents."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from argosy.testing import ServerFactory, sha256_of

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "docs" / "plugins" / "argosy-catalogue"

pytestmark = pytest.mark.timeout(600)  # pip builds and installs


@dataclass(frozen=True)
class Environment:
    """A virtual environment outside the tree."""

    folder: Path

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, with nothing of the environment that the tests run in."""
        ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS")
        clean = {name: value for name, value in os.environ.items() if name not in ours}
        return subprocess.run(
            [self.folder / ("Scripts" if os.name == "nt" else "bin") / program, *arguments],
            cwd=cwd or self.folder,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install argosy from the tree, and the package, as a person would."""
    made = Environment(tmp_path_factory.mktemp("third-party") / "venv")
    subprocess.run([sys.executable, "-m", "venv", made.folder], check=True)
    if made.run("python", "-m", "pip", "install", "-q", "hatchling>=1.27").returncode:
        pytest.skip("pip cannot reach a package index, so nothing can be built or installed")
    installed = made.run("python", "-m", "pip", "install", "-q", str(ROOT), str(PACKAGE), "pytest")
    assert installed.returncode == 0, installed.stderr
    return made


def test_it_is_listed_with_its_distribution(environment: Environment) -> None:
    listed = environment.run("argosy", "plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    plugins = {(plugin["kind"], plugin["name"]): plugin for plugin in json.loads(listed.stdout)}
    catalogue = plugins["output", "catalogue"]
    assert (catalogue["distribution"], catalogue["version"]) == ("argosy-catalogue", "1.0.0")
    assert plugins["output", "files"]["distribution"] == "argosy"


def test_it_makes_its_file(environment: Environment, library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(discipline="open")
    url = server.url_for("/files/atlas.bin?size=3000")
    arguments = ["--output", "catalogue", "--directory", str(tmp_path / "library")]
    done = environment.run("argosy", "download", url, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "library" / "catalogue").iterdir()
    assert (
        page.read_text("utf-8") == f"atlas.bin\n\n{sha256_of('atlas.bin', 3000)}          3000  atlas.bin\n"
    )


def test_its_own_tests_pass(environment: Environment, tmp_path: Path) -> None:
    shutil.copy(PACKAGE / "test_catalogue.py", tmp_path)  # away from this tree's pytest settings
    done = environment.run("python", "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("name", ["core", "plugins", "schemas", "tests"])
def test_argosy_installs_no_module_of_a_common_name(environment: Environment, name: str) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
    assert environment.run("python", "-c", code).returncode == 0
