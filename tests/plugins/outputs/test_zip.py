"""The outputs `zip` and `cbz`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from argosy import StagedItem
from argosy.interfaces.output import Output
from argosy_plugins.outputs.cbz import CbzOutput
from argosy_plugins.outputs.zip import ZipOutput

Stage = Callable[..., StagedItem]
Make = Callable[..., Output]


def made(output: Output, item: StagedItem, scratch: Path) -> Path:
    scratch.mkdir()
    (product,) = output.produce(item, scratch)
    assert [product.name] == list(output.names(item.item))
    return product.file


def test_an_archive_has_every_file_of_its_item(stage: Stage, make: Make, tmp_path: Path) -> None:
    path = made(make(ZipOutput), stage(), tmp_path / "scratch")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a/1.html": b"one",
            "2.html": b"two",
        }


@pytest.mark.parametrize("cls", [ZipOutput, CbzOutput])
def test_it_is_the_same_bytes_each_time(
    stage: Stage, make: Make, tmp_path: Path, cls: type[Output], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = stage(bodies={f"{n:02}.png": bytes([n]) * 5000 for n in range(12)})
    first = made(make(cls, sidecar=True), item, tmp_path / "one").read_bytes()
    for file in item.files:
        os.utime(file.path, (5e8, 5e8))
        file.path.chmod(0o600)
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    turned = replace(item, files=item.files[::-1])
    with zipfile.ZipFile(made(make(cls), turned, tmp_path / "two")) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
    assert made(make(cls, sidecar=True), item, tmp_path / "three").read_bytes() == first


def test_pictures_are_only_stored(stage: Stage, make: Make, tmp_path: Path) -> None:
    item = stage(bodies={"1.png": b"x" * 5000})
    cbz, packed = made(make(CbzOutput), item, tmp_path / "1"), made(make(ZipOutput), item, tmp_path / "2")
    assert (cbz.suffix, packed.suffix) == (".cbz", ".zip")
    assert cbz.stat().st_size > 5000 > packed.stat().st_size


def test_a_sidecar_takes_nobody_s_name(stage: Stage, make: Make, tmp_path: Path) -> None:
    item = stage(bodies={"METADATA.json": b"mine"})
    with zipfile.ZipFile(made(make(ZipOutput, sidecar=True), item, tmp_path / "scratch")) as archive:
        assert archive.namelist() == ["METADATA.json", "argosy.metadata.json"]


def test_it_gives_the_resources_back(stage: Stage, make: Make, tmp_path: Path) -> None:
    item, output = stage(), make(ZipOutput)
    path = made(output, item, tmp_path / "made")
    (tmp_path / "back").mkdir()
    back = list(output.restore(item.item, [path], tmp_path / "back"))
    assert [file.read_bytes() for file in back if file is not None] == [b"one", b"two"]


#: Makes an archive of a file in a process of its own, whose memory it then tells.
BIG = """
import resource, sys
from pathlib import Path
from argosy import Item, PluginContext, Resource, StagedFile, StagedItem
from argosy.models.items import Verification
from argosy_plugins.outputs.zip import ZipOutput

root = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
part = Resource("https://h/", "big")
item = StagedItem(Item("b", "B", (part,)), (StagedFile(part, root / "big", int(sys.argv[2]), "", Verification.NONE),))
output = ZipOutput({"layout": "{id}", "compression": "store", "sidecar": False}, PluginContext())
(root / "scratch").mkdir()
list(output.produce(item, root / "scratch"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    size = 64 << 20
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(tmp_path), str(size)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 32 << 10, "kilobytes: it was read in pieces"


def test_beyond_four_gigabytes_it_is_a_zip64(make: Make) -> None:
    output = make(ZipOutput)
    assert isinstance(output, ZipOutput)
    with zipfile.ZipFile(os.devnull, "w") as archive:
        with archive.open(output._info("big", 5 << 30), "w"):
            pass
        assert archive.infolist()[0].extract_version == zipfile.ZIP64_VERSION
        with archive.open(output._info("small", 5), "w"):
            pass
        assert archive.infolist()[1].extract_version < zipfile.ZIP64_VERSION
