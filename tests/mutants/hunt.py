"""Running the suites on mutants, to find those that no test notices."""

from __future__ import annotations

import multiprocessing.forkserver  # noqa: F401 - pytester forgets imports, and each one would start a server of its own
import re

import pytest

from argosy_devkit.contracts import store_processes, strategy_suite, waiting

#: The suites' own plugin. A mutant leaves connections open, which would fail the test that comes next.
_PLUGINS = ("-p", "argosy_devkit.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:unraisableexception")


def survivors(
    pytester: pytest.Pytester, source: str, cases: list[tuple[str, str, str]], patience: float = 5.0
) -> list[str]:
    """Run the suites on mutants; return what was not noticed, or not for the reason that it should have been."""
    chosen = " or ".join(f"(Test{name} and ({tests}))" for name, tests, _ in cases)
    reports = reports_of(pytester, source, chosen, patience)
    left = []
    for name, tests, words in cases:
        said = [
            report.longreprtext
            for report in reports
            if report.failed and f"Test{name}::" in report.nodeid and tests in report.nodeid
        ]
        if not any(re.search(words, text) for text in said):
            left.append(f"{name}, {tests}: {said}")
    return left


def reports_of(pytester: pytest.Pytester, source: str, chosen: str, patience: float = 5.0) -> list[pytest.TestReport]:
    """Run some tests of a file, which wait so many seconds for what never happens; return their reports."""
    pytester.makepyfile(source)
    with pytest.MonkeyPatch.context() as patch:
        # what never happens is not waited for long: here it is meant to be missing
        patch.setattr(waiting, "PATIENCE", patience)
        patch.setattr(strategy_suite, "PATIENCE", 2.0)
        patch.setattr(store_processes, "PATIENCE", 20.0)
        return list(pytester.inline_run(*_PLUGINS, "-k", chosen).getreports("pytest_runtest_logreport"))
