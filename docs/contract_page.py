"""Generates the page of the contracts from docstrings: what each kind of plugin must do, and what it may use."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from argosy import hookspecs
from argosy import interfaces as contracts
from argosy.models import items as model
from argosy.toolkit.names import problem_of, safe_part
from argosy.toolkit.urls import check_url, file_name

#: The contents of the page by heading.
PARTS: Mapping[str, tuple[Any, ...]] = {
    "Every plugin": (contracts.Plugin, contracts.PluginContext),
    "A source": (hookspecs.argosy_source, contracts.Source, model.Item, model.Resource),
    "An auth plugin": (
        hookspecs.argosy_auth,
        contracts.Auth,
        contracts.LoginSession,
        contracts.ResponseHead,
    ),
    "A cookie store": (hookspecs.argosy_cookie_store, contracts.CookieStore, contracts.Scope),
    "A strategy": (
        hookspecs.argosy_strategy,
        contracts.Strategy,
        model.Job,
        model.Outcome,
        contracts.Channel,
        contracts.Address,
        contracts.Connection,
    ),
    "An output": (
        hookspecs.argosy_output,
        contracts.Output,
        model.StagedItem,
        model.StagedFile,
        model.Product,
        contracts.CollectingOutput,
        model.FinishedItem,
    ),
    "An observer": (hookspecs.argosy_observer, contracts.Observer),
    "A storage": (hookspecs.argosy_storage, contracts.Storage, contracts.Existing, model.PublishedFile),
    "A rate limit": (hookspecs.argosy_ratelimit, contracts.RateLimit),
    "A transport": (
        hookspecs.argosy_transport,
        contracts.Transport,
        contracts.Hop,
        contracts.ResponseHeaders,
        contracts.Incoming,
    ),
    "Names and URLs": (safe_part, problem_of, check_url, file_name),
}
_SECTION = re.compile(r"^(?P<name>[A-Z][A-Za-z]+)\n-{3,}$", re.M)
_COMMENT = re.compile(r"(?P<text>(?:^    #: .*\n)+)    (?P<name>\w+)\b(?P<rest>[^\n]*)", re.M)
_FIELD = re.compile(r"^    (?P<name>\w+)(?P<rest>: [^#\n]+?)  # (?P<text>.+)$", re.M)


def page(note: str) -> str:
    """Return the page; `note` says how it is written."""
    blocks = [
        "# The contracts\n",
        note,
        (
            "A plugin is a class that extends one of these classes, and a hook that returns it "
            "([how to write one](writing-an-output.md)). Anything that is not on this page or in "
            "[plugin-surface.txt](../reference/plugin-surface.txt) may change in any release "
            "([what a plugin can count on](stability.md)). Each kind has "
            "[a test suite](testing.md#contracts-as-test-suites) for its contract.\n"
        ),
    ]
    for heading, things in PARTS.items():
        blocks.append(f"## {heading}\n")
        for thing in things:
            blocks += _class(thing) if inspect.isclass(thing) else _function(thing, 3)
    return "\n".join(blocks)


def _class(cls: type) -> Iterator[str]:
    name = f"argosy.{cls.__name__}"
    yield f"### {cls.__name__}\n"
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base.__module__.startswith("argosy"))
    yield f"`class {name}`{f', a {bases}' if bases else ''}\n"
    yield text_of(cls)
    for found in _COMMENT.finditer(inspect.getsource(cls)):
        words = " ".join(line.removeprefix("#:").strip() for line in found["text"].strip().split("\n    "))
        yield f"- `{found['name']}{found['rest'].rstrip()}`: {words}"
    for found in _FIELD.finditer(inspect.getsource(cls)):
        yield f"- `{found['name']}{found['rest']}`: {found['text']}"
    yield ""
    for name, part in vars(cls).items():
        if name.startswith("_") or not (inspect.isfunction(part) or isinstance(part, property)):
            continue
        if part.__doc__ or inspect.getdoc(part):
            yield from _function(part, 4, name)


def _function(function: Any, level: int, name: str = "") -> Iterator[str]:
    if isinstance(function, property):
        wanted = inspect.signature(function.fget).return_annotation if function.fget else ""
        head = f"{name}: {wanted}"
    else:
        name = name or function.__name__
        head = f"{name}{inspect.signature(function)}".replace("'", "")
    yield f"{'#' * level} {name}\n"
    yield f"`{head}`\n"
    yield text_of(function)


def text_of(thing: Any) -> str:
    """Return a docstring in numpydoc form as Markdown."""
    first, *sections = _SECTION.split(inspect.getdoc(thing) or "")
    blocks = [_prose(first)]
    for name, text in zip(sections[::2], sections[1::2], strict=True):
        blocks.append(f"*{name}*\n")
        for entry in re.split(r"\n(?=\S)", text.strip("\n")):
            head, _, words = entry.partition("\n")
            if head.startswith(".. "):
                blocks.append(_prose(entry))
            else:
                blocks.append(f"- `{head}`: {' '.join(_prose(words).split())}")
        blocks.append("")
    return "\n".join(blocks)


def _prose(text: str) -> str:
    text = re.sub(r"\.\. versionadded:: (\S+)", r"*Since \1.*", inspect.cleandoc(text))
    return text.replace("``", "`") + "\n"
