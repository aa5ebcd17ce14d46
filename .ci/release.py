"""Builds what a release consists of, and checks it as a user gets it: `python .ci/release.py [--to DIST] [PYTHON...]`.

The sdist and the wheel are built and checked. Then the wheel alone is installed and used with each PYTHON (by default, the
one that runs this), in an empty home and away from this tree. Needs the extra `release`.
"""

from __future__ import annotations

import argparse
import email.parser
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The tools of the extra `release`.
TOOLS = Path(sys.executable).parent
#: What a user's type checker must understand.
PROGRAM = """
from typing import TYPE_CHECKING

import argosy
from argosy_devkit import LibraryServer

with LibraryServer(lease_mode="open") as server:
    report = argosy.download([server.url_for("/files/a.bin?size=3")], directory="library")
    assert report.ok, report
    done: int = report.counts.done
    if TYPE_CHECKING:
        reveal_type(report.refusals)
print("done", done)
"""
Words = list[str | Path]


def main() -> int:
    """Build and check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, metavar="DIST", help="keep the sdist and the wheel here")
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-release-") as name:
        folder = Path(name)
        wheel = build(folder)
        with ThreadPoolExecutor() as pool:  # most of the time, a demo waits for its server
            checks = [
                pool.submit(use, wheel, python, folder / str(number), typed=not number)
                for number, python in enumerate(options.pythons)
            ]
            checks.append(pool.submit(run_without_installing, wheel, options.pythons[-1], folder / "tools"))
            for check in checks:
                check.result()
        if options.to:
            shutil.copytree(folder / "dist", options.to, dirs_exist_ok=True)
            print(f"In {options.to}: {', '.join(sorted(path.name for path in (folder / 'dist').iterdir()))}")
    return 0


def build(folder: Path) -> Path:
    """Build an sdist, and a wheel from it; check both, and return the wheel."""
    dist, again = folder / "dist", folder / "again"
    settings = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}  # of uv
    make: Words = [sys.executable, "-m", "build", "--installer", "uv"]
    run([*make, "--outdir", dist, ROOT], settings)
    run([*make, "--wheel", "--outdir", again, ROOT], settings)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    check(filecmp.cmp(wheel, again / wheel.name, shallow=False), "the sdist and the tree make the same wheel")
    run([TOOLS / "twine", "check", "--strict", wheel, sdist])
    building = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    packages = {ROOT / package for package in building["targets"]["wheel"]["packages"]}
    found = {path.parent for part in building["dev-mode-dirs"] for path in (ROOT / part).glob("*/__init__.py")}
    check(packages == found, "all packages are built")
    check(all((package / "py.typed").exists() for package in packages), "each package is marked as typed")
    config: Words = ["--config", ROOT / "pyproject.toml", *(f"--package={package}" for package in packages)]
    run([TOOLS / "check-wheel-contents", *config, wheel])

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    version = email.parser.Parser().parsestr(metadata)["Version"]
    manual = {name.rpartition("/")[2] for name in names if "/share/man/man1/" in name}
    check(manual == {path.name for path in (ROOT / "docs" / "man").iterdir()}, "the wheel has the manual pages")
    check(any(name.endswith("/licenses/LICENSE") for name in names), "the wheel has the license")
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    check(f"## [{version}] - " in changes, f"the changelog has {version}")

    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()} - {"PKG-INFO"}
    if (ROOT / ".git").exists():
        tracked = set(run(["git", "-C", ROOT, "ls-files", "-z"]).split("\0")) - {""}
        check(packed == tracked, f"the sdist has the tracked files, {sorted(packed ^ tracked)[:5]}")
    return wheel


def use(wheel: Path, python: str, folder: Path, *, typed: bool) -> None:
    """Install the wheel in a fresh environment and use it; `typed` also runs a type checker, which takes long."""
    environment = empty_home(folder)
    at = folder / "venv" / "bin"
    environment["PATH"] = f"{at}{os.pathsep}{environment['PATH']}"

    def here(*words: str | Path) -> str:
        return run(list(words), environment, folder)

    here(TOOLS / "uv", "venv", "-q", "--python", python, folder / "venv")
    here(TOOLS / "uv", "pip", "install", "-q", "--python", at / "python", wheel)
    version = wheel.name.split("-")[1]
    check(here(at / "argosy", "--version") == f"argosy {version}\n", f"{python} runs argosy {version}")
    found = here(at / "python", "-c", "import argosy, argosy_devkit, argosy_schemas; print(argosy.__file__)")
    check(found.startswith(str(folder)), f"{found} is the installed one")
    if shutil.which("man"):
        check("ARGOSY-DOWNLOAD(1)" in here("man", "argosy", "download"), "man finds the manual pages")

    result = here(at / "argosy", "demo", "--quiet", "--directory", folder / "demo")
    check(re.search(r"^4 threads .* 0$", result, re.M) is not None, "the demo ends without refusals")

    here(at / "argosy", "plugin", "new", "output", "csv-catalogue")
    plugin = folder / "argosy-csv-catalogue"
    here(TOOLS / "uv", "pip", "install", "-q", "--python", at / "python", "-e", f"{plugin}[test]")
    run([at / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"], environment, plugin)
    check("csv-catalogue" in here(at / "argosy", "plugins", "csv-catalogue"), "the new plugin is listed")

    (folder / "program.py").write_text(PROGRAM, "utf-8")
    check(here(at / "python", "program.py") == "done 1\n", "a program downloads a file")
    if typed:
        here(TOOLS / "uv", "pip", "install", "-q", "--python", at / "python", "mypy")
        told = here(at / "python", "-m", "mypy", "--strict", "--no-incremental", "program.py")
        check('Revealed type is "Any"' not in told, "mypy knows argosy's types")


def run_without_installing(wheel: Path, python: str, folder: Path) -> None:
    """Run the wheel with pipx and with uv."""
    environment = empty_home(folder)
    environment["PATH"] = f"{TOOLS}{os.pathsep}{environment['PATH']}"
    pipx: Words = [TOOLS / "python", "-m", "pipx"]
    wanted = f"argosy {wheel.name.split('-')[1]}\n"
    done = run([*pipx, "run", "--python", python, "--spec", wheel, "argosy", "--version"], environment, folder)
    check(done.endswith(wanted), "pipx runs it")
    done = run([TOOLS / "uv", "tool", "run", "-p", python, "--from", wheel, "argosy", "--version"], environment, folder)
    check(done == wanted, "uv runs it")


def empty_home(folder: Path) -> dict[str, str]:
    """Make a home, and return an environment that shares only caches with that of this process."""
    home = folder / "home"
    home.mkdir(parents=True)
    caches = {"PIP_CACHE_DIR": "pip", "UV_CACHE_DIR": "uv"}
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = {name: value for name, value in os.environ.items() if re.match(r"(PIP|UV)_|(?i:.*_proxy|SSL_CERT_)", name)}
    kept = {name: str(shared / part) for name, part in caches.items()} | kept
    return kept | {"HOME": str(home), "PATH": os.defpath, "LC_ALL": "C.UTF-8", "MYPY_CACHE_DIR": os.devnull}


def run(words: Words, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """Run a program; return what it printed, or end with all of it."""
    shown = " ".join(map(str, words))
    print(f"+ {shown}", flush=True)
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        raise SystemExit(f"{shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(true: bool, what: str) -> None:
    """End unless something is true."""
    if not true:
        raise SystemExit(f"Not so: {what}")


if __name__ == "__main__":
    sys.exit(main())
