"""The built-in outputs, and the example of the documents, keep to their contract."""

from __future__ import annotations

from argosy.testing.contracts.output import OutputContract
from argosy_plugins.outputs.files import FilesOutput


class TestFilesOutput(OutputContract):
    plugin = FilesOutput
