"""The output ``cbz``: a comic book archive per item, a ZIP of images in the order of their names."""

from __future__ import annotations

import argosy
from argosy.interfaces.output import Output
from argosy_plugins.outputs.zip import ZipOutput, zip_options


class CbzOutput(ZipOutput):
    """A `ZipOutput` with another suffix; it only stores, because images are compressed already."""

    name = "cbz"
    summary = "One comic book archive (CBZ) per item, for picture books"
    options_schema = zip_options("store")
    suffix = ".cbz"


@argosy.hookimpl
def argosy_output() -> type[Output]:
    """Register the output."""
    return CbzOutput
