"""The package's public names: imported when they are used, and the same objects as at home."""

from __future__ import annotations

import subprocess
import sys

import pytest

import argosy


def test_every_public_name_is_there_and_listed() -> None:
    for name in argosy.__all__:
        assert getattr(argosy, name) is not None
        assert name in dir(argosy)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sorce'"):
        getattr(argosy, "Sorce")  # noqa: B009 - the type checker would refuse the plain form


def test_importing_argosy_imports_nothing_else() -> None:
    code = (
        "import sys, argosy; assert not {'requests', 'pluggy', 'argosy.interfaces'} & set(sys.modules); "
        "from argosy import Output, hookimpl; assert Output is sys.modules['argosy.interfaces'].Output"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
