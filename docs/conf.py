"""The documentation as a site: ``sphinx-build -W docs site``; needs the extra ``docs``."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from argosy import __version__

project = "argosy"
author = "the argosy maintainers"
copyright = "the argosy maintainers"  # noqa: A001 - Sphinx reads this name
release = version = __version__
extensions = ["myst_parser", "sphinx_external_toc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["plugins/argosy-catalogue", "plugins/recipes"]
external_toc_path = "_toc.yml"
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = False
html_theme = "furo"
html_title = "argosy"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
# for `sphinx-build -b linkcheck`: addresses of examples lead nowhere, and some pages build their anchors with a script
linkcheck_ignore = [r"https?://[^/]*\.example\b", r"https?://(127\.0\.0\.1|localhost)\b"]
linkcheck_anchors = False
linkcheck_timeout = 20
suppress_warnings = ["misc.highlighting_failure"]  # Pygments knows no CSV

#: Links to files of the repository that are not pages.
_BEYOND = re.compile(
    r"\[([^\]]+)\]\((?:(?:\.\./)+(?:tests|plugins|core|CHANGELOG|CONTRIBUTING|README)|(?:plugins/)?argosy-catalogue/)[^)]*\)"
)


def _only_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Leave the text of links that lead out of the site."""
    source[0] = _BEYOND.sub(r"\1", source[0])


def setup(app: Sphinx) -> None:
    """Prepare the pages as they are read."""
    app.connect("source-read", _only_pages)
