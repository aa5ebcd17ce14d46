"""Documentation is read from source that is never run."""

from __future__ import annotations

from pathlib import Path

from argosy_devkit.demo.docstrings import entries, source_of

SOURCE = '''"""The module."""
raise SystemExit("never run")

def plain(a, /, b=1, *rest, key: int = 2, **more) -> int:
    """Plain."""

def undocumented(): ...

def _private():
    """Private."""

class Outer(Base, metaclass=Meta):
    """Outer."""

    def method(self):
        """Method.

            code

        End.
        """

    async def wait(self):
        """Wait."""

class Empty: ...

if True:
    def either():
        """Either."""
else:
    def either():
        """Or."""
'''


def test_entries(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(SOURCE)
    assert [(entry.kind, entry.signature) for entry in entries("m", tmp_path)] == [
        ("module", ""),
        ("function", "plain(a, /, b=1, *rest, key: int=2, **more)"),
        ("class", "class Outer(Base)"),
        ("method", "Outer.method(self)"),
        ("method", "async Outer.wait(self)"),
        ("function", "either()"),
    ]
    assert entries("m", tmp_path)[3].text == "Method.\n\n    code\n\nEnd."


def test_a_long_signature_is_cut_between_arguments(tmp_path: Path) -> None:
    arguments = ", ".join(f"argument_{number}" for number in range(60))
    (tmp_path / "m.py").write_text(f'def f({arguments}):\n    """F."""\n')
    signature = entries("m", tmp_path)[1].signature
    assert signature.endswith(", …)")
    assert len(signature) < 260


def test_what_is_missing_or_broken_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "nul.py").write_bytes(b"\0")
    (tmp_path / "silent.py").write_text("x = 1")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text('"""Pack."""')
    for name in ("broken", "nul", "silent", "none", "none.at.all"):
        assert entries(name, tmp_path) == []
    assert source_of("pack", tmp_path) == tmp_path / "pack/__init__.py"
    assert [entry.text for entry in entries("pack", tmp_path)] == ["Pack."]


def test_the_running_python_has_source() -> None:
    names = [entry.name for entry in entries("textwrap")]
    assert names[0] == "textwrap"
    assert "TextWrapper.wrap" in names
