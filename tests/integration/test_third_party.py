"""Packages of somebody else, beside a wheel of argosy: the example of the documents, and what `argosy plugin new` makes."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from argosy.plugins.kinds import Kind
from argosy_devkit import ServerFactory, sha256_of
from environments import ROOT, VirtualEnvironment, fresh, shared

PACKAGE = ROOT / "docs" / "plugins" / "argosy-catalogue"
#: What `argosy plugin new` is asked for, and the files that come of a download with it.
NEW = {
    "output": "csv-catalogue",
    "cookie-store": "csv-store",
    "strategy": "csv-strategy",
    "source": "csv-source",
    "auth": "csv-auth",
    "observer": "csv-observer",
    "transport": "csv-transport",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # pip builds and installs


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> VirtualEnvironment:
    """Install a wheel of argosy, the example, and a new package of each kind, as a person would."""
    return shared(tmp_path_factory, "third-party", make)


def make(folder: Path) -> VirtualEnvironment:
    made = fresh(folder)
    for kind, name in NEW.items():
        done = made.run("argosy", "plugin", "new", kind, name, "--directory", folder / "new")
        assert done.returncode == 0, done.stderr
    made.install(PACKAGE, *(folder / "new").iterdir(), "pytest", "hypothesis")
    return made


@pytest.fixture
def packages(environment: VirtualEnvironment) -> Path:
    return environment.folder.parent / "new"


def test_it_is_listed_with_its_distribution(environment: VirtualEnvironment) -> None:
    listed = environment.run("argosy", "plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    plugins = {(plugin["kind"], plugin["name"]): plugin for plugin in json.loads(listed.stdout)}
    catalogue = plugins["output", "catalogue"]
    assert (catalogue["distribution"], catalogue["version"]) == ("argosy-catalogue", "1.0.0")
    assert plugins["output", "files"]["distribution"] == "argosy"


def test_it_makes_its_file(environment: VirtualEnvironment, library_server: ServerFactory, tmp_path: Path) -> None:
    server = library_server(lease_mode="open")
    url = server.url_for("/files/atlas.bin?size=3000")
    arguments = ["--output", "catalogue", "--directory", str(tmp_path / "library")]
    done = environment.run("argosy", "download", url, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "library" / "catalogue").iterdir()
    assert page.read_text("utf-8") == f"atlas.bin\n\n{sha256_of('atlas.bin', 3000)}          3000  atlas.bin\n"


def test_its_own_tests_pass(environment: VirtualEnvironment, tmp_path: Path) -> None:
    for name in ("test_catalogue.py", "pyproject.toml"):
        shutil.copy(PACKAGE / name, tmp_path)  # away from this tree's pytest settings
    done = environment.run("python", "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["core", "plugins", "schemas", "tests"])
def test_argosy_installs_no_module_of_a_common_name(environment: VirtualEnvironment, name: str) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
    assert environment.run("python", "-c", code).returncode == 0


@pytest.mark.parametrize("kind", NEW)
def test_a_new_package_is_listed_and_documented(environment: VirtualEnvironment, kind: str) -> None:
    listed = environment.run("argosy", "plugins")
    assert f"{NEW[kind]}  " in listed.stdout
    plugins = json.loads(environment.run("argosy", "plugins", "--json").stdout)
    (mine,) = [plugin for plugin in plugins if plugin["name"] == NEW[kind]]
    assert mine["kind"] == kind.replace("-", "_")
    assert (mine["distribution"], mine["version"]) == (f"argosy-{NEW[kind]}", "0.1.0")
    for name, option in mine["options"]["properties"].items():
        assert f"{name} " in listed.stdout
        assert option["description"] in listed.stdout


@pytest.mark.parametrize("kind", NEW)
def test_the_tests_of_a_new_package_pass(
    environment: VirtualEnvironment, packages: Path, tmp_path: Path, kind: str
) -> None:
    module = f"argosy_{NEW[kind].replace('-', '_')}"
    package = packages / f"argosy-{NEW[kind]}"
    for name in (f"test_{module}.py", "pyproject.toml"):
        shutil.copy(package / name, tmp_path)  # beside no module: it is the installed one that is tested
    done = environment.run("python", "-m", "pytest", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_new_plugins_are_chosen_by_a_configuration_and_make_their_files(
    environment: VirtualEnvironment, library_server: ServerFactory, tmp_path: Path
) -> None:
    server = library_server(lease_mode="strict")
    (tmp_path / "password.txt").write_text(server.password, "utf-8")
    urls = [server.url_for(f"/files/{number}.bin?size=3000") for number in range(4)]
    (tmp_path / "books.txt").write_text("\n".join(urls), "utf-8")
    config = {
        "source": {"use": NEW["source"], "path": "books.txt"},
        "auth": {
            "use": NEW["auth"],
            "url": server.login_url,
            "user": server.user,
            "password": {"file": "password.txt"},
        },
        "cookie_store": {"use": NEW["cookie-store"], "path": "sessions.json"},
        "strategy": NEW["strategy"],
        "transport": NEW["transport"],
        "output": ["files", {"use": NEW["output"], "folder": "tables"}],
        "observers": [{"use": NEW["observer"], "path": "done.txt"}],
        "directory": "library",
        "max_workers": 2,
    }
    (tmp_path / "argosy.json").write_text(json.dumps(config), "utf-8")
    report = tmp_path / "report.json"
    done = environment.run("argosy", "download", "argosy.json", "--report", report, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(report.read_text("utf-8"))
    assert (said["strategy"]["used"], said["logins"], said["refusals"]) == (NEW["strategy"], 1, 0)
    tables = sorted((tmp_path / "library" / "tables").iterdir())
    assert len(tables) == 4
    assert all(table.read_text("utf-8").startswith("path,bytes,sha256\n") for table in tables)
    sessions = json.loads((tmp_path / "sessions.json").read_text("utf-8"))
    assert list(sessions["sessions"]) == ["default"]
    assert (tmp_path / "done.txt").read_text("utf-8").count("done ") == 4
    stats = server.stats()
    assert (stats.replaced_tokens_sent, stats.logins) == (0, 1)


def test_a_new_package_has_what_it_needs(packages: Path) -> None:
    for kind, name in NEW.items():
        package = packages / f"argosy-{name}"
        project: dict[str, Any] = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
        assert project["name"] == package.name
        assert project["entry-points"]["argosy"] == {name: f"argosy_{name.replace('-', '_')}"}
        words = Kind(kind.replace("-", "_")).words
        readme = (package / "README.md").read_text("utf-8")
        assert f"{words} plugin for argosy" in readme
        assert name in tomllib.loads(readme.split("```toml\n")[1].split("```")[0]).__repr__()
        assert "pytest" in (package / ".github" / "workflows" / "test.yml").read_text("utf-8")
        assert "No license has been chosen yet" in (package / "LICENSE").read_text("utf-8")
        text = "".join(path.read_text("utf-8") for path in package.rglob("*") if path.is_file())
        assert "<<" not in text
        assert "argosy_example" not in text
