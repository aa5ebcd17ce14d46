"""Choosing the strategy: what was asked for, or what is safe with the cookie store at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from argosy.contracts import CookieStore, Scope, Strategy
from argosy.errors import ConfigError
from argosy.run.environment import Environment

if TYPE_CHECKING:
    from argosy.registry import Registry

#: What a scope is called when a person is told about it.
REACH = {1: "one process", 2: "the processes of one machine", 3: "several machines"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy of a run.

    Parameters
    ----------
    strategy
        What runs.
    asked
        The name that was asked for; None where nothing was.
    reason
        Why it is another one, or why it does less than was asked for; None where it is as asked.
    """

    strategy: Strategy
    asked: str | None
    reason: str | None


def choose(environment: Environment, registry: Registry) -> Choice:
    """Return the strategy to run with.

    Raises
    ------
    ConfigError
        If the one asked for is not safe here, and the run is to be strict about it.
    """
    settings = environment.settings
    default = "serial" if settings.max_workers == 1 else "threads"
    options = settings.strategy or {"use": default}
    strategy = registry.strategy(options, environment.context)
    asked = settings.strategy["use"] if settings.strategy else None
    if strategy.needs > Scope.HOST:
        strategy.close()
        raise ConfigError(
            f"The strategy {strategy.name!r} spreads its workers over several machines, which argosy does not "
            "support yet.",
            hint='Use the strategy "multiprocess" for several processes of this machine, or "threads".',
        )
    store = environment.store
    if not environment.auth.anonymous and store.scope < strategy.needs:
        reason = (
            f"The strategy {strategy.name!r} spreads its workers over {REACH[strategy.needs]}, but the lease of the "
            f"cookie store {store.name!r} reaches {REACH[store.scope]} only."
        )
        stores = [
            info.name
            for info in registry.plugins()
            if issubclass(info.cls, CookieStore) and info.cls.scope >= strategy.needs
        ]
        change = (
            f'Choose a cookie store that reaches further ({", ".join(stores)}), or the strategy "threads".'
        )
        if settings.strict:
            raise ConfigError(reason, hint=change)
        strategy.close()
        serial = registry.strategy({"use": "serial"}, environment.context)
        return Choice(serial, asked, f"{reason} The run is serial instead. {change}")
    if not strategy.parallel and settings.max_workers > 1 and asked:
        reason = f"The strategy {strategy.name!r} does one item at a time: max_workers {settings.max_workers} has no effect."
        return Choice(strategy, asked, reason)
    return Choice(strategy, asked, None)
