"""Create the package of a new plugin from a template.

The templates are working plugins named ``example``. They are linted and type-checked like all other code, and become
another plugin when their name is replaced.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from argosy import __version__
from argosy.errors import ConfigError, StorageError

#: The kinds that have a template. Storages and rate limits have none: few people write one, and the built-in
#: ``sftp`` and ``host`` are better starting points than a toy would be.
KINDS = ("source", "auth", "cookie-store", "strategy", "output", "observer", "transport")

#: The longest name; a distribution of this name can still be uploaded and installed everywhere.
LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
#: Files of the templates that get another name.
_FILE_NAMES = {
    "gitignore": ".gitignore",
    "package.toml": "pyproject.toml",
    "test.yml": ".github/workflows/test.yml",
}


def new_plugin(kind: str, name: str, parent: Path) -> Path:
    """Create the package of a new plugin in a new folder below `parent`; return that folder."""
    check_name(name)
    folder = parent / f"argosy-{name}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        raise ConfigError(
            f"{folder} already exists.", hint="Choose another name or another folder: --directory DIR"
        ) from None
    except OSError as error:
        raise StorageError(f"{folder} cannot be created: {error.strerror}.") from None
    try:
        for file_name, text in contents(kind, name):
            path = folder / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from None
    return folder


def check_name(name: str) -> None:
    """Raise a ConfigError if a name is invalid or taken."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ConfigError(
            f"Invalid plugin name {name!r}.",
            hint="Use lower-case letters, digits and single hyphens, starting with a letter, at most "
            f"{LONGEST} characters: csv-catalogue",
        )
    for entry_point in entry_points(group="argosy", name=name):
        owner = entry_point.dist.name if entry_point.dist else entry_point.value
        raise ConfigError(f"{owner} already has a plugin {name!r}.", hint="Choose another name.")
    if find_spec(module_of(name)) is not None or _is_installed(f"argosy-{name}"):
        raise ConfigError(
            f"A package argosy-{name} (module {module_of(name)}) is already installed.",
            hint="Choose another name.",
        )


def contents(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file of the package."""
    templates = files("argosy_devkit.scaffold") / "templates"
    own = _texts(templates / kind.replace("-", "_"))
    (summary,) = re.findall(r'^    summary = "(.*)"$', own["argosy_example.py"], re.M)
    article = "an" if kind[0] in "aeiou" else "a"
    words = {
        "argosy": __version__,
        "kind": f"{article} {kind.replace('-', ' ')}",
        "summary": summary,
        "use": own.pop("use.toml").strip(),
    }
    for file_name, text in {**_texts(templates / "common"), **own}.items():
        filled = re.sub(r"<<(\w+)>>", lambda found: words[found[1]], text)
        yield _renamed(_FILE_NAMES.get(file_name, file_name), kind, name), _renamed(filled, kind, name)


def module_of(name: str) -> str:
    """Return the name of a plugin's module."""
    return f"argosy_{name.replace('-', '_')}"


def class_of(kind: str, name: str) -> str:
    """Return the name of a plugin's class."""
    return _camel_case(name) + _camel_case(kind)


def _renamed(text: str, kind: str, name: str) -> str:
    text = text.replace("argosy_example", module_of(name)).replace("argosy-example", f"argosy-{name}")
    text = text.replace(class_of(kind, "example"), class_of(kind, name))
    return re.sub(r'"example(\.\w+)?"', lambda found: f'"{name}{found[1] or ""}"', text)


def _camel_case(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("-"))


def _texts(folder: Traversable) -> dict[str, str]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return {entry.name: entry.read_text("utf-8") for entry in entries if entry.is_file()}


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
