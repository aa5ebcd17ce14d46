"""Reading a source into a plan, for a run and for a look at what a run would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from argosy.contracts import PluginContext, Source
from argosy.errors import ArgosyError, ConfigError, PluginError
from argosy.mistakes import mistake
from argosy.model import Item
from argosy.redaction import Redactor
from argosy.run.ledger import Ledger
from argosy.run.outputs import Outputs
from argosy.run.plan import Plan, Planned
from argosy.run.remaking_plan import RemakingPlan
from argosy.run.shelf import shelf_of
from argosy.run.stop import Stop

if TYPE_CHECKING:
    from argosy.config import Settings
    from argosy.registry import Registry

#: Items of a source after which the person is told how far it was read.
TELL_EVERY = 100_000


def read_plan(
    settings: Settings,
    source: Source | None,
    ledger: Ledger,
    *,
    outputs: Outputs | None = None,
    notice: Callable[[str], None],
    stop: Stop,
    scrub: Callable[[str], str],
) -> Plan:
    """Return the plan of all items of a source; the ledger is as it was.

    Parameters
    ----------
    settings
        The run's settings.
    source
        Its source; None where the configuration has none.
    ledger
        The ledger of the target directory.
    outputs
        The outputs of the run.
    notice
        Told how far a source that takes long was read.
    stop
        Says whether to go on.
    scrub
        Takes secrets out of what a failing source says.

    Raises
    ------
    ConfigError
        If there is no source, or nothing in it has the tags asked for.
    SourceError
        If the source is not valid.
    PluginError
        If its plugin fails.
    """
    if source is None:
        raise no_source()
    plan = Plan(ledger, tags=settings.tags, force=settings.force_redownload, outputs=outputs)
    try:
        plan.read(_until_stopped(source.items(), notice, stop), source.name)
    except BaseException as error:
        plan.close()
        if isinstance(error, ArgosyError | KeyboardInterrupt):
            raise
        what = scrub(mistake(error, source))
        raise PluginError(
            f"The source {source.name!r} failed while it was read: {what}. Nothing was started.",
            hint="Report it to the plugin's author.",
        ) from None
    return plan


def no_source() -> ConfigError:
    """Return the error of a run that has no source."""
    return ConfigError(
        "There is nothing to download: the configuration has no source.",
        hint='Give URLs on the command line, or set "source" in the configuration.',
    )


def _until_stopped(items: Iterator[Item], notice: Callable[[str], None], stop: Stop) -> Iterator[Item]:
    for number, item in enumerate(items):
        stop.check(between=True)
        if number and number % TELL_EVERY == 0:
            notice(f"{number:,} items read so far.")
        yield item


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done with one item.

    Parameters
    ----------
    item
        The item.
    remade
        Whether it is downloaded already, and only other outputs are to be made of it.
    names
        The final names that each output would make, as far as it knows them beforehand.
    """

    item: Item
    remade: bool
    names: Mapping[str, Sequence[str]]


def preview(
    settings: Settings, registry: Registry, show: Callable[[Preview], None], *, remake: bool = False
) -> Planned:
    """Show what a run would do, and do nothing: no request, no login, no change on the disk.

    Parameters
    ----------
    settings
        The run's settings.
    registry
        The installed plugins.
    show
        Called with each item that would be done.
    remake
        Whether only other outputs are to be made of what is done.
    """
    context = PluginContext(settings.base, settings.directory)
    source = registry.source(settings.source, context) if settings.source else None
    outputs = Outputs.make(settings.output, registry, context)
    ledger = Ledger(settings.directory, read_only=True)
    try:
        ledger.shelf = shelf_of(settings, context, Redactor().scrub)
        if remake:
            plan: Plan = RemakingPlan.of(settings, ledger, outputs)
        else:
            plan = read_plan(
                settings,
                source,
                ledger,
                outputs=outputs,
                notice=lambda message: None,
                stop=Stop(),
                scrub=Redactor().scrub,
            )
        try:
            planned = plan.compare(dry=True)
            for item, lacking in plan.preview():
                names = {output.name: names for output, names in outputs.names(item, lacking)}
                show(Preview(item, lacking is not None, names))
            return planned
        finally:
            plan.close()
    finally:
        ledger.close()
        for plugin in (*filter(None, (source,)), *(output for _, output in outputs.all)):
            plugin.close()
