"""Choosing the strategy: what was asked for, or what is safe with the cookie store at hand.

The run: from settings to a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from argosy.engine.context import RunContext
from argosy.errors import ConfigError
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.interfaces.strategy import Strategy

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager
import errno
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.engine.aggregate import Aggregator
from argosy.engine.ipc import IpcServer
from argosy.engine.observers import ObserverDispatcher
from argosy.engine.outcomes import outcomes_of
from argosy.engine.plan import Plan, Planned, no_source, read_plan
from argosy.engine.report import MOST_FAILURES, Counts, Report
from argosy.engine.worker import Worker
from argosy.engine.worker_spec import WorkerSpec
from argosy.errors import ArgosyError, Interrupted
from argosy.events import Event, EventKind
from argosy.interfaces.observer import Observer
from argosy.models.items import Failure, Job, Outcome, State
from argosy.state.ledger import PRIVATE, Ledger
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import disk_error
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.secrets import asked_once
from argosy.toolkit.stop import Stop
from argosy.transfer.limits import Limits

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

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


def choose(environment: RunContext, registry: PluginManager) -> Choice:
    """Return the strategy to run with.

    Raises
    ------
    ConfigError
        If the one asked for is not safe here, and the run is to be strict about it.
    """
    settings = environment.settings
    default = "serial" if settings.max_workers == 1 else "threads"
    options = settings.strategy or {"use": default}
    strategy = registry.make(Strategy, options, environment.context)
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
        serial = registry.make(Strategy, {"use": "serial"}, environment.context)
        return Choice(serial, asked, f"{reason} The run is serial instead. {change}")
    if not strategy.parallel and settings.max_workers > 1 and asked:
        reason = f"The strategy {strategy.name!r} does one item at a time: max_workers {settings.max_workers} has no effect."
        return Choice(strategy, asked, reason)
    return Choice(strategy, asked, None)


#: Seconds between two looks at items that another run is working on.
LOOK_AGAIN = 0.5


class Run:
    """One run, executed once.

    Parameters
    ----------
    settings
        What to do.
    registry
        The installed plugins.
    stop
        Stops it from outside.
    observers
        Observers beside those of the settings.
    on_event
        A function that sees every event.
    ask
        Asks the person for a secret, or None where nobody can be asked.
    report_file
        Where to write the report with all its items, or None.
    redactor
        Learns the secrets of the run, and keeps them out of all it says; its own where left out.
    """

    def __init__(
        self,
        settings: Settings,
        registry: PluginManager,
        *,
        stop: Stop | None = None,
        observers: Sequence[Observer] = (),
        on_event: Callable[[Event], None] | None = None,
        ask: Callable[[str], str] | None = None,
        report_file: Path | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.stop = stop or Stop()
        self._redactor = redactor or Redactor()
        self._observers = observers
        self._on_event = on_event
        self._ask = asked_once(ask) if ask is not None else None
        self._report_file = report_file
        self._observed = False
        self._error: ArgosyError | None = None
        self._uncollected = False
        self._done = self._failed = self._bytes = 0
        self._elsewhere: Counter[str] = Counter()
        self._failures: list[tuple[str, str, Failure]] = []

    def execute(self) -> Report:
        """Do it.

        Returns
        -------
        Report
            What was done. An error that ended the run early is in it.

        Raises
        ------
        ArgosyError
            If the run could not begin.
        """
        self._look_first()
        self._clock = time.time(), time.monotonic()
        try:
            return self._execute()
        except ArgosyError as error:
            self._redactor.scrub_error(error)
            raise
        except OSError as error:  # where nobody expected it: out of file descriptors, mostly
            raise disk_error(self.settings.directory, error) from None

    def _execute(self) -> Report:
        environment, ledger = self._open()
        try:
            choice = choose(environment, self.registry)
            self._announce(environment, choice)
            plan = self._read(environment, ledger)
            try:
                planned = self._compare(environment, plan)
                self._do(environment, plan, planned, choice)
                return self._finish(environment, plan, planned, choice)
            finally:
                plan.close()
                environment.close_plugin(choice.strategy)
        finally:
            self._close(environment, ledger)

    def tell_stopping(self) -> None:
        """Tell the observers that somebody stops the run, and what it still does; may be called from any thread."""
        if not self._observed or self._error is not None:
            return  # the run has not begun, or it stops by itself and has said why
        number = len(self._dispatcher.transferring)
        files = f"{number} file{'s'[: number != 1]}" if number else "what is under way"
        message = f"Finishing {files}; press Ctrl-C again to stop at once."
        if self.stop.aborted:
            message = "Ending all transfers now; partial downloads resume in the next run."
        self._emit(EventKind.RUN_STOPPING, None, {"message": message})

    # -- the parts of a run

    def _look_first(self) -> None:
        """Raise where the run has no sense, before anything is made on the disk."""
        if self.settings.source is None:
            raise no_source()

    def _read(self, environment: RunContext, ledger: Ledger) -> Plan:
        return read_plan(
            self.settings,
            environment.source,
            ledger,
            outputs=environment.outputs,
            notice=environment.notice,
            stop=self.stop,
            scrub=self._redactor.scrub,
        )

    def _do(self, environment: RunContext, plan: Plan, planned: Planned, choice: Choice) -> None:
        """Do the work, and make the files over all items before it, now and then, and behind it."""
        self._collector = Aggregator(
            environment.outputs,
            plan.ledger,
            environment.staging,
            self._redactor.scrub,
            force=self.settings.force_redownload,
        )
        self._collect(environment)  # what an earlier run left undone; and what is wrong with it shows now
        if self._error is not None:
            return
        try:
            self._work(environment, plan, planned, choice)
        except ArgosyError as error:
            self._error = error
        self._uncollected = self.stop.aborted
        if not self._uncollected:
            self._collect(environment)

    def _collect(self, environment: RunContext) -> None:
        try:
            if not self._collector.refresh():
                environment.notice(
                    "Another run has been making the files over all items for a long time; the next run looks after them."
                )
        except ArgosyError as error:
            self._error = self._error or error

    def _open(self) -> tuple[RunContext, Ledger]:
        directory = self.settings.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # for this user alone: it knows the URLs of what is not done, and they may carry secrets
            (directory / PRIVATE).mkdir(mode=0o700, exist_ok=True)
            if (directory / PRIVATE).is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, "it is a link, and nothing is written through one")
            StagingArea(directory).prepare()
        except OSError as error:
            raise disk_error(directory, error) from None
        ledger = Ledger(directory)
        try:
            environment = RunContext(
                self.settings, self.registry, self._emit, self.stop, self._redactor, self._ask
            )
            configured = [
                self.registry.make(Observer, o, environment.context) for o in self.settings.observers
            ]
            ledger.storage = environment.storage
            ledger.storage.prepare()
            self._note(directory)
        except BaseException:
            ledger.close()
            raise
        self._dispatcher = ObserverDispatcher([*self._observers, *configured], self._redactor, self._on_event)
        self._observed = True
        for notice in ledger.notices:
            environment.notice(notice)
        return environment, ledger

    def _note(self, directory: Path) -> None:
        """Write down which remote directory this is, now that its storage has let us in."""
        if self.settings.remote is not None:
            try:
                self.settings.remote.note(directory / PRIVATE)
            except OSError as error:
                raise disk_error(directory, error) from None

    def _emit(self, kind: EventKind, item: str | None = None, data: Any = None) -> None:
        self._dispatcher.emit(kind, item, data)

    def _announce(self, environment: RunContext, choice: Choice) -> None:
        data = {
            "directory": self.settings.where,
            "strategy": choice.strategy.name,
            "max_workers": self.settings.max_workers,
            "lease": environment.pool.lease.value,
            "sessions": len(environment.pool.names),
        }
        self._emit(EventKind.RUN_STARTED, None, data)
        if choice.reason:
            environment.notice(choice.reason)
        for plugin in (*environment.plugins(), choice.strategy):
            if plugin.experimental:
                environment.notice(
                    f"The plugin {plugin.name!r} is experimental: it may still change or misbehave."
                )

    def _compare(self, environment: RunContext, plan: Plan) -> Planned:
        left = (
            environment.staging.dead()
        )  # looked for first: a run that dies meanwhile is the next run's affair
        plan.ledger.take_over(environment.staging.tidy)
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        planned = plan.compare()
        data = {
            "items": planned.items,
            "to_do": planned.to_do,
            "done": planned.done,
            "bytes": planned.bytes,
            "remade": planned.remade,
        }
        self._emit(EventKind.RUN_PLANNED, None, data)
        return planned

    def _work(self, environment: RunContext, plan: Plan, planned: Planned, choice: Choice) -> None:
        if not planned.to_do:
            return
        # forced, it takes the place of what it replaces; and on its way elsewhere, it is not here all at once
        if not self.settings.force_redownload and self.settings.remote is None:
            Limits.of(self.settings).check_plan(planned.bytes)
        if planned.to_do > planned.remade:  # else nothing needs to be fetched
            environment.pool.log_in()
        for notice in getattr(environment.auth, "notices", ()):
            environment.notice(str(notice))
        login_limit = environment.pool.login_limit
        answers: dict[str, Callable[[str], str | None]] = {
            "secret": self._ask or (lambda prompt: None),
            "login": login_limit.ask,
            "login-failed": login_limit.failed,
            "login-unsent": login_limit.unsent,
            "login-progressed": login_limit.progressed,
        }
        hub = IpcServer(self._emit, self.stop, answers)
        worker = Worker(
            environment,
            self._emit,
            lambda: WorkerSpec(self.settings, self.registry, hub.address, environment.pool.share),
        )
        try:
            self._rounds(environment, plan, choice.strategy, worker)
        finally:
            hub.close()
            self._elsewhere = hub.counts

    def _rounds(self, environment: RunContext, plan: Plan, strategy: Strategy, worker: Worker) -> None:
        """Do what is in the queue, and what comes back into it, until nothing of the plan is left."""
        waited = False
        workers, scrub = self.settings.max_workers, self._redactor.scrub
        while not self.stop.draining:
            with closing(outcomes_of(strategy, self._jobs(plan), worker, workers, scrub)) as outcomes:
                for outcome in outcomes:
                    self._record(outcome, plan.ledger, environment)
            plan.ledger.take_over(environment.staging.tidy)
            left = plan.unfinished()
            if not left["pending"] and not left["active"]:
                return
            if not left["pending"] and not waited:
                waited = True
                environment.notice(f"Another run works on {left['active']} of these items; waiting for it.")
            if not left["pending"]:
                self.stop.sleep(LOOK_AGAIN)

    def _jobs(self, plan: Plan) -> Iterator[Job]:
        for job in plan.jobs():
            yield job
            if self.stop.draining:
                return

    def _record(self, outcome: Outcome, ledger: Ledger, environment: RunContext) -> None:
        ledger.storage.learn(outcome.files)
        done = outcome.state is State.DONE
        with environment.staging.finishing(outcome.item) if done else nullcontext():
            ledger.record(outcome)
        self._bytes += outcome.bytes
        if outcome.state is State.DONE:
            self._done += 1
            if self._done % self.settings.token_save_interval == 0:
                environment.pool.save()
            self._collector.item_done()
        elif outcome.state is State.FAILED and outcome.failure is not None:
            self._failed += 1
            if len(self._failures) < MOST_FAILURES:
                title = ledger.rows([outcome.item])[outcome.item].title
                id_, title = self._redactor.scrub_all((outcome.item, title))
                self._failures.append((id_, title, outcome.failure))
        if outcome.fatal is not None and self._error is None:
            self._error = self._redactor.scrub_error(outcome.fatal)
            self._emit(EventKind.RUN_STOPPING, None, {"message": str(outcome.fatal)})
            self.stop.drain()

    def _finish(self, environment: RunContext, plan: Plan, planned: Planned, choice: Choice) -> Report:
        try:
            environment.pool.sync()
        except ArgosyError as error:
            self._error = self._error or error
        left = sum(plan.unfinished().values())
        if self._error is None and self.stop.draining and (left or self._uncollected):
            self._error = Interrupted(
                "The run was stopped; the session and everything done so far are saved.",
                hint="Start it again to go on.",
            )
        if self._error is not None:
            self._redactor.scrub_error(self._error)
        skipped = planned.items - self._done - self._failed - left
        started, begun = self._clock
        pool = environment.pool
        lease, lease_reason = pool.in_force()
        counts = self._elsewhere + Counter(pool.counts())
        report = Report(
            run=plan.ledger.run,
            started=started,
            finished=time.time(),
            seconds=time.monotonic() - begun,
            directory=self.settings.directory,
            strategy_asked=choice.asked,
            strategy_used=choice.strategy.name,
            strategy_reason=choice.reason,
            max_workers=self.settings.max_workers,
            lease_asked=self.settings.lease,
            lease_used=lease,
            lease_reason=lease_reason,
            sessions=pool.used,
            counts=Counts(planned.items, self._done, skipped, self._failed, left),
            bytes=self._bytes,
            requests=counts["requests"],
            retries=self._dispatcher.retries,
            logins=counts["logins"],
            refreshes=counts["refreshes"],
            refusals=counts["refusals"],
            notices=tuple(self._dispatcher.notices),
            failures=tuple(self._failures),
            error=self._error,
            url=None if self.settings.remote is None else self.settings.remote.url,
        )
        self._emit(EventKind.RUN_FINISHED, None, report.to_dict())
        if self._report_file is not None:
            report.write(self._report_file, plan.rows(), self._redactor.json)
        return report

    def _close(self, environment: RunContext, ledger: Ledger) -> None:
        environment.close()
        self._dispatcher.close()
        ledger.close()
