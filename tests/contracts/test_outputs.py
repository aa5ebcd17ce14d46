"""The built-in outputs keep to their contract."""

from __future__ import annotations

from collections.abc import Mapping

from argosy_devkit.contracts.collecting_output import CollectingOutputContract
from argosy_devkit.contracts.output import OutputContract
from argosy_epub.output import EpubOutput
from argosy_plugins.outputs.cbz import CbzOutput
from argosy_plugins.outputs.files import FilesOutput
from argosy_plugins.outputs.index import IndexOutput
from argosy_plugins.outputs.warc import WarcOutput
from argosy_plugins.outputs.zip import ZipOutput


class TestFiles(OutputContract):
    plugin = FilesOutput


class TestZip(OutputContract):
    plugin = ZipOutput


class TestCbz(OutputContract):
    plugin = CbzOutput

    def contents(self) -> Mapping[str, bytes]:
        return {f"{number:03}.png": bytes([number]) * 500 for number in range(3)}


class TestEpub(OutputContract):
    plugin = EpubOutput


class TestWarc(OutputContract):
    plugin = WarcOutput


class TestIndex(CollectingOutputContract):
    plugin = IndexOutput
