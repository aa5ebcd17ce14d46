"""The outputs of a run: what tells them apart, which of them an item lacks, and the names they will ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from argosy.config.schema import default_options
from argosy.errors import ArgosyError, PluginError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import CollectingOutput, Output
from argosy.interfaces.storage import Storage
from argosy.models.items import Item, PublishedFile
from argosy.state.ledger import Row
from argosy.toolkit.failures import describe_exception

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager


def label_of(options: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return what tells an output from another: its name, and a mark of those options that are not the defaults.

    Examples
    --------
    >>> schema = {"properties": {"name": {"default": "{id}"}}}
    >>> label_of({"use": "zip", "name": "{id}"}, schema)
    'zip'
    >>> label_of({"use": "zip", "name": "{title}"}, schema)
    'zip#d6c8a6ef'
    """
    defaults = default_options(schema)
    own = {k: v for k, v in options.items() if k != "use" and (k not in defaults or defaults[k] != v)}
    if not own:
        return str(options["use"])
    text = json.dumps(own, sort_keys=True, ensure_ascii=True)
    return f"{options['use']}#{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


class Outputs:
    """The outputs of a run.

    Parameters
    ----------
    plugins
        The outputs, each with its label.
    """

    def __init__(self, plugins: Sequence[tuple[str, Output]] = ()) -> None:
        self.all = tuple(plugins)
        #: Those that make files of each item.
        self.of_items = tuple((label, output) for label, output in plugins if _makes_items(output))
        #: Those that make files over all items.
        self.over_all = tuple((label, o) for label, o in plugins if isinstance(o, CollectingOutput))
        self.labels = frozenset(label for label, _ in self.of_items)

    @classmethod
    def make(
        cls, options: Sequence[Mapping[str, Any]], registry: PluginManager, context: PluginContext
    ) -> Self:
        """Make the outputs of a configuration; one that is named twice with the same options is one."""
        from argosy.plugins.kinds import Kind

        made: dict[str, Output] = {}
        for given in options:
            label = label_of(given, registry.find(Kind.OUTPUT, given["use"]).options_schema)
            if label not in made:
                made[label] = registry.make(Output, given, context)
        return cls(tuple(made.items()))

    def missing(self, row: Row, storage: Storage) -> frozenset[str]:
        """Return the outputs that a done item lacks, or whose files are not all there.

        Parameters
        ----------
        row
            What the ledger knows of it.
        storage
            The final names.
        """
        gone = {file.output for file in row.files if storage.size(file.name) is None}
        return frozenset(label for label in self.labels if label in gone or label not in row.outputs)

    def replaceable(self, kept: Iterable[PublishedFile], made: frozenset[str] | None) -> frozenset[str]:
        """Return the names of an item's files that new ones may take the place of.

        Those are the files of the outputs that are made anew, and what the same plugins made with other options,
        unless the run has these as outputs, too.

        Parameters
        ----------
        kept
            The item's files.
        made
            The labels of the outputs that are made; None for all.
        """
        labels = self.labels if made is None else made
        plugins = {_plugin(label) for label in labels}
        return frozenset(
            file.name
            for file in kept
            if file.output in labels or (file.output not in self.labels and _plugin(file.output) in plugins)
        )

    def names(self, item: Item, wanted: frozenset[str] | None = None) -> Iterator[tuple[Output, list[str]]]:
        """Yield each output, and the names it will ask for, as far as it knows them.

        Parameters
        ----------
        item
            The item.
        wanted
            The labels of the outputs to be asked; None for all.

        Raises
        ------
        PluginError
            If an output fails.
        """
        for label, output in self.of_items:
            if wanted is not None and label not in wanted:
                continue
            try:
                names = list(output.names(item))
            except ArgosyError:
                raise
            except (Exception, SystemExit) as error:
                raise _failed(output, f"it raised {describe_exception(error, output)}") from None
            for name in names:
                given: object = name  # a plugin may give anything
                if not isinstance(given, str):
                    raise _failed(output, f"its names() returned {type(given).__name__} among the names")
            yield output, names


def _plugin(label: str) -> str:
    return label.partition("#")[0]


def _makes_items(output: Output) -> bool:
    """Return whether an output makes files of each item."""
    return type(output).produce is not CollectingOutput.produce


def _failed(output: Output, how: str) -> PluginError:
    return PluginError(
        f"The output {output.name!r} broke its contract while it named its files: {how}. Nothing was started.",
        hint="Report it to the plugin's author.",
        plugin=output.name,
    )
