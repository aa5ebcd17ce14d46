"""The output that makes one comic book archive of each item: a ZIP of pictures, read in the order of their names."""

from __future__ import annotations

import argosy
from argosy.interfaces.output import Output
from argosy_plugins.outputs.zip import ZipOutput, zip_options


class CbzOutput(ZipOutput):
    """Makes a `ZipOutput`'s archive under another ending; pictures are packed already, so it only stores them."""

    name = "cbz"
    summary = "One comic book archive (CBZ) of each item, for picture books"
    options_schema = zip_options("store")
    suffix = ".cbz"


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return CbzOutput
