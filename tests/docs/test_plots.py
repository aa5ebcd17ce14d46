"""The plots of the documents are those that their program draws."""

from __future__ import annotations

import pytest

import plots


@pytest.mark.slow  # it simulates runs of up to 10,000 workers
def test_plots_show_what_is_simulated() -> None:
    for path, text in plots.made().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run docs/plots.py"
