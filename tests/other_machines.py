"""Pythons of other machines: environments that lack something, without installing anything."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OtherPython:
    """How to start a Python that has the packages of this one, but for some; `-S` keeps it from all other packages."""

    folder: Path

    @property
    def dask(self) -> tuple[str, ...]:
        return (sys.executable, "-S", "-m", "dask")

    @property
    def env(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self.folder)}


def other_python(folder: Path, *, without: tuple[str, ...] = (), version: str | None = None) -> OtherPython:
    """Make one without some import packages, or without all of argosy, or with another version of it."""
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and path.name not in without and not path.name.startswith("argosy"):
            (folder / path.name).symlink_to(path)
    if "argosy" in without:
        return OtherPython(folder)
    found = importlib.metadata.distribution("argosy")
    modules = {"argosy", "argosy_schemas", *(point.module.partition(".")[0] for point in found.entry_points)}
    for name in sorted(modules):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent
        if name == "argosy" and version is not None:
            shutil.copytree(source, folder / name)
            (folder / name / "_version.py").write_text(f'__version__ = "{version}"\n', "utf-8")
        else:
            (folder / name).symlink_to(source)
    described = folder / f"argosy-{version or found.version}.dist-info"
    described.mkdir()
    metadata = (found.read_text("METADATA") or "").replace(
        f"\nVersion: {found.version}\n", f"\nVersion: {version or found.version}\n"
    )
    (described / "METADATA").write_text(metadata, "utf-8")
    (described / "entry_points.txt").write_text(found.read_text("entry_points.txt") or "", "utf-8")
    return OtherPython(folder)
