"""A package of a plugin, made of a template.

The templates are plugins that work, called ``example``: they are checked as all other code is, and become another
plugin by having their name replaced.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from argosy._version import __version__
from argosy.errors import ConfigError, StorageError
from argosy.plugins.kinds import Kind
from argosy.plugins.manager import PluginManager

#: The longest name; a distribution of it can still be uploaded and installed everywhere.
LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
#: Where a file of the templates goes, if not by its own name.
_PLACES: Mapping[str, str] = {
    "gitignore": ".gitignore",
    "package.toml": "pyproject.toml",
    "test.yml": ".github/workflows/test.yml",
}
#: What is read and not copied.
_USE = "use.toml"


def new_plugin(kind: Kind, name: str, parent: Path, registry: PluginManager) -> Path:
    """Make the package of a new plugin; return its folder.

    Parameters
    ----------
    kind, name
        What it is, and what configurations will call it.
    parent
        The folder that its own folder is made in; it is made if it is not there.
    registry
        The plugins that are installed.

    Raises
    ------
    ConfigError
        If the name cannot be had, or something stands where the package would go. Nothing was written.
    StorageError
        If it cannot be written; what was written of it is removed again.
    """
    check_name(kind, name, registry)
    folder = parent / f"argosy-{name}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        raise ConfigError(
            f"{folder} exists already, and is left as it is.",
            hint="Choose another name, or another folder: --directory DIR",
        ) from None
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}.") from None
    try:
        for place, text in contents(kind, name):
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageError(f"{folder} cannot be written: {error.strerror}. It was removed again.") from None
    return folder


def check_name(kind: Kind, name: str, registry: PluginManager) -> None:
    """See whether a new plugin can be called so.

    Raises
    ------
    ConfigError
        If it cannot: the name is of the wrong form, or taken.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ConfigError(
            f"A plugin cannot be called {name!r}.",
            hint=f"Wanted are lower-case letters, digits and single hyphens, a letter first, at most {LONGEST} "
            "characters: csv-catalogue",
        )
    if name in registry.names(kind):
        other = registry.find(kind, name)
        raise ConfigError(
            f"There is {kind.article} {kind.words} plugin {name!r} already: it is of {other.origin.short}.",
            hint="Choose another name: two of one name cannot be used together.",
        )
    module = module_of(name)
    if find_spec(module) is not None or _is_installed(f"argosy-{name}"):
        raise ConfigError(
            f"There is a package argosy-{name} (module {module}) already in this environment.",
            hint="Choose another name.",
        )


def contents(kind: Kind, name: str) -> Iterator[tuple[str, str]]:
    """Yield the files of the package: where each goes, and its text."""
    templates = files("argosy_devkit.scaffold") / "templates"
    own = {file.name: file.read_text("utf-8") for file in _files(templates / kind.value)}
    (summary,) = re.findall(r'^    summary = "(.*)"$', own["argosy_example.py"], re.M)
    words = {
        "argosy": __version__,
        "kind": f"{kind.article} {kind.words}",
        "summary": summary,
        "use": own.pop(_USE).strip(),
    }
    common = {file.name: file.read_text("utf-8") for file in _files(templates / "common")}
    for place, text in {**common, **own}.items():
        filled = re.sub(r"<<(\w+)>>", lambda found: words[found[1]], text)
        yield _renamed(_PLACES.get(place, place), kind, name), _renamed(filled, kind, name)


def module_of(name: str) -> str:
    """Return the module of a plugin's package."""
    return f"argosy_{name.replace('-', '_')}"


def class_of(kind: Kind, name: str) -> str:
    """Return what a plugin's class is called."""
    return f"{''.join(part.capitalize() for part in name.split('-'))}{_suffix(kind)}"


def _renamed(text: str, kind: Kind, name: str) -> str:
    text = text.replace("argosy_example", module_of(name)).replace("argosy-example", f"argosy-{name}")
    text = text.replace(f"Example{_suffix(kind)}", class_of(kind, name))
    return re.sub(r'"example(\.\w+)?"', lambda found: f'"{name}{found[1] or ""}"', text)


def _suffix(kind: Kind) -> str:
    return "".join(part.capitalize() for part in kind.value.split("_"))


def _files(folder: Traversable) -> Iterator[Traversable]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_file():
            yield entry


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
