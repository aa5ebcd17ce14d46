"""One run, from settings to a report: open, plan, work, finish. Read `Run.execute` first."""

from __future__ import annotations

import errno
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argosy.engine.aggregate import Aggregator
from argosy.engine.context import ContextOptions, RunContext
from argosy.engine.ipc import IpcServer, WorkerSpec
from argosy.engine.observers import ObserverDispatcher
from argosy.engine.plan import Plan, Planned, ReprocessPlan, no_source, read_plan
from argosy.engine.report import MOST_FAILURES, Counts, Report
from argosy.engine.worker import Worker
from argosy.errors import ArgosyError, ConfigError, Interrupted, PluginError
from argosy.events import Event, EventKind
from argosy.interfaces.cookie_store import CookieStore, Scope
from argosy.interfaces.observer import Observer
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Failure, Job, Outcome, State
from argosy.state.ledger import PRIVATE, Ledger, need_ledger
from argosy.state.staging import StagingArea
from argosy.toolkit.failures import blame, describe_exception, disk_error
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.secrets import asked_once
from argosy.toolkit.stop import Stop
from argosy.transfer.limits import Limits

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

#: Seconds between two checks for items that another run works on.
CHECK_AGAIN = 0.5

_REACH = {1: "one process", 2: "the processes of one machine", 3: "several machines"}


class Run:
    """One run, executed once.

    Parameters
    ----------
    settings
        What to do.
    plugins
        The plugins that it may use.
    stop
        Stops it from outside.
    observers
        Observers besides those of the settings.
    on_event
        A function that gets every event.
    ask
        Asks the user for a secret; None if there is no terminal.
    report_file
        Where to write the report with all items.
    redactor
        Learns the secrets of the run.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: PluginManager,
        *,
        stop: Stop | None = None,
        observers: Sequence[Observer] = (),
        on_event: Callable[[Event], None] | None = None,
        ask: Callable[[str], str] | None = None,
        report_file: Path | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.settings = settings
        self.plugins = plugins
        self.stop = stop or Stop()
        self._redactor = redactor or Redactor()
        self._observers = observers
        self._on_event = on_event
        self._ask = asked_once(ask) if ask is not None else None
        self._report_file = report_file
        self._dispatcher: ObserverDispatcher | None = None
        self._error: ArgosyError | None = None
        self._not_aggregated = False
        self._done = self._failed = self._bytes = 0
        self._worker_counts: Counter[str] = Counter()
        self._failures: list[tuple[str, str, Failure]] = []

    def execute(self) -> Report:
        """Execute the run.

        Returns
        -------
        Report
            What was done, and the error if one ended the run early.

        Raises
        ------
        ArgosyError
            If the run could not begin.
        """
        self._check()
        self._started, self._begun = time.time(), time.monotonic()
        made: list[object] = list(self._observers)
        try:
            context, ledger = self._open()
            made += context.plugins()
            try:
                choice = choose(context, self.plugins)
                made.append(choice.strategy)
                self._announce(context, choice)
                plan = self._plan(context, ledger)
                try:
                    planned = self._compare(context, plan)
                    self._work(context, plan, planned, choice.strategy)
                    return self._finish(context, plan, planned, choice)
                finally:
                    plan.close()
                    context.close_plugin(choice.strategy)
            finally:
                context.close()
                if self._dispatcher is not None:
                    self._dispatcher.close()
                ledger.close()
        except ArgosyError as error:
            self._redactor.scrub_error(error)
            raise
        except OSError as error:  # mostly: too many open files
            raise disk_error(self.settings.directory, error) from None
        except (Exception, SystemExit) as error:
            blamed = blame(error, made)
            if blamed is None:
                raise
            raise self._redactor.scrub_error(blamed) from None

    def tell_stopping(self) -> None:
        """Tell the observers that the user stops the run; any thread may call this."""
        if self._dispatcher is None or self._error is not None:
            return  # the run has not begun, or it has stopped and said why
        number = len(self._dispatcher.transferring)
        files = f"{number} file{'s'[: number != 1]}" if number else "what is under way"
        message = f"Finishing {files}; press Ctrl-C again to stop at once."
        if self.stop.aborted:
            message = "Ending all transfers now; partial downloads resume in the next run."
        self._emit(EventKind.RUN_STOPPING, None, {"message": message})

    # -- open

    def _check(self) -> None:
        """Raise if there is nothing to run, before anything is written."""
        if self.settings.source is None:
            raise no_source()

    def _open(self) -> tuple[RunContext, Ledger]:
        directory = self.settings.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # for this user only: the ledger contains URLs, and they may contain secrets
            (directory / PRIVATE).mkdir(mode=0o700, exist_ok=True)
            if (directory / PRIVATE).is_symlink():
                raise NotADirectoryError(
                    errno.ENOTDIR, "it is a link, and argosy does not write through links"
                )
            StagingArea(directory).prepare()
        except OSError as error:
            raise disk_error(directory, error) from None
        ledger = Ledger(directory)
        try:
            options = ContextOptions(self._ask)
            context = RunContext(self.settings, self.plugins, self._emit, self.stop, self._redactor, options)
            configured = [
                self.plugins.make(Observer, given, context.plugin_context)
                for given in self.settings.observers
            ]
            ledger.storage = context.storage
            ledger.storage.prepare()
            if self.settings.remote is not None:
                self.settings.remote.note(directory / PRIVATE)
        except BaseException:
            ledger.close()
            raise
        self._dispatcher = ObserverDispatcher([*self._observers, *configured], self._redactor, self._on_event)
        for notice in ledger.notices:
            context.notice(notice)
        return context, ledger

    def _emit(self, kind: EventKind, item: str | None = None, data: Any = None) -> None:
        if self._dispatcher is not None:
            self._dispatcher.emit(kind, item, data)

    def _announce(self, context: RunContext, choice: Choice) -> None:
        data = {
            "directory": self.settings.where,
            "strategy": choice.strategy.name,
            "max_workers": self.settings.max_workers,
            "lease": context.pool.lease.value,
            "sessions": len(context.pool.names),
        }
        self._emit(EventKind.RUN_STARTED, None, data)
        if choice.reason:
            context.notice(choice.reason)
        for plugin in (*context.plugins(), choice.strategy):
            if plugin.experimental:
                context.notice(f"The plugin {plugin.name!r} is experimental: it may change or misbehave.")

    # -- plan

    def _plan(self, context: RunContext, ledger: Ledger) -> Plan:
        return read_plan(
            self.settings,
            context.source,
            ledger,
            outputs=context.outputs,
            notice=context.notice,
            stop=self.stop,
        )

    def _compare(self, context: RunContext, plan: Plan) -> Planned:
        dead = context.staging.dead()  # before take_over: the next run handles a run that dies meanwhile
        plan.ledger.take_over(context.staging.tidy)
        for folder in dead:
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

    # -- work

    def _work(self, context: RunContext, plan: Plan, planned: Planned, strategy: Strategy) -> None:
        """Do the jobs; make the aggregated files before, during and after."""
        force = self.settings.force_redownload
        aggregator = Aggregator(context.outputs, plan.ledger, context.staging, force=force)
        self._aggregate(aggregator, context)  # also shows errors early
        if self._error is not None:
            return
        try:
            if planned.to_do:
                # forced downloads replace files, and remote files do not stay here
                if not force and self.settings.remote is None:
                    Limits.of(self.settings).check_plan(planned.bytes)
                if planned.to_do > planned.remade:  # something has to be fetched
                    context.pool.log_in()
                for notice in getattr(context.auth, "notices", ()):
                    context.notice(str(notice))
                self._serve(context, plan, strategy, aggregator)
        except ArgosyError as error:
            self._error = error
        self._not_aggregated = self.stop.aborted
        if not self._not_aggregated:
            self._aggregate(aggregator, context)

    def _aggregate(self, aggregator: Aggregator, context: RunContext) -> None:
        try:
            if not aggregator.refresh():
                context.notice("Another run is still making the aggregated files; the next run updates them.")
        except ArgosyError as error:
            self._error = self._error or error

    def _serve(self, context: RunContext, plan: Plan, strategy: Strategy, aggregator: Aggregator) -> None:
        """Give the jobs to the strategy, with a server for workers in other processes."""
        login_limit = context.pool.login_limit
        answers: dict[str, Callable[[str], str | None]] = {
            "secret": self._ask or (lambda prompt: None),
            "login": login_limit.ask,
            "login-failed": login_limit.failed,
            "login-unsent": login_limit.unsent,
            "login-progressed": login_limit.progressed,
        }
        server = IpcServer(self._emit, self.stop, answers)

        def spec() -> WorkerSpec:
            return WorkerSpec(self.settings, self.plugins, server.address, context.pool.share)

        worker = Worker(context, self._emit, spec)
        try:
            self._repeat(context, plan, strategy, worker, aggregator)
        finally:
            server.close()
            self._worker_counts = server.counts

    def _repeat(
        self, context: RunContext, plan: Plan, strategy: Strategy, worker: Worker, aggregator: Aggregator
    ) -> None:
        """Do all jobs, including those that are requeued, until none is left."""
        waited = False
        while not self.stop.draining:
            jobs = self._until_draining(plan.jobs())
            with closing(outcomes_of(strategy, jobs, worker, self.settings.max_workers)) as outcomes:
                for outcome in outcomes:
                    self._record(outcome, plan.ledger, context)
                    if outcome.state is State.DONE:
                        aggregator.item_done()
            plan.ledger.take_over(context.staging.tidy)
            left = plan.unfinished()
            if not left["pending"] and not left["active"]:
                return
            if not left["pending"]:
                if not waited:
                    context.notice(f"Another run works on {left['active']} of these items; waiting for it.")
                waited = True
                self.stop.sleep(CHECK_AGAIN)

    def _until_draining(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            yield job
            if self.stop.draining:
                return

    def _record(self, outcome: Outcome, ledger: Ledger, context: RunContext) -> None:
        ledger.storage.learn(outcome.files)
        done = outcome.state is State.DONE
        with context.staging.finishing(outcome.item) if done else nullcontext():
            ledger.record(outcome)
        self._bytes += outcome.bytes
        if done:
            self._done += 1
            if self._done % self.settings.token_save_interval == 0:
                context.pool.save()
        elif outcome.state is State.FAILED and outcome.failure is not None:
            self._failed += 1
            if len(self._failures) < MOST_FAILURES:
                title = ledger.rows([outcome.item])[outcome.item].title
                id_, title = self._redactor.scrub_all((outcome.item, title))
                self._failures.append((id_, title, outcome.failure))
        if outcome.fatal is not None and self._error is None:
            self._error = outcome.fatal
            self._emit(EventKind.RUN_STOPPING, None, {"message": str(outcome.fatal)})
            self.stop.drain()

    # -- finish

    def _finish(self, context: RunContext, plan: Plan, planned: Planned, choice: Choice) -> Report:
        try:
            context.pool.sync()
        except ArgosyError as error:
            self._error = self._error or error
        left = sum(plan.unfinished().values())
        if self._error is None and self.stop.draining and (left or self._not_aggregated):
            self._error = Interrupted(
                "The run was stopped; the session and all finished work are saved.",
                hint="Start it again to continue.",
            )
        if self._error is not None:
            self._redactor.scrub_error(self._error)
        pool, dispatcher = context.pool, self._dispatcher
        assert dispatcher is not None  # noqa: S101 - made by _open
        lease, lease_reason = pool.in_force()
        skipped = planned.items - self._done - self._failed - left
        counts = self._worker_counts + Counter(pool.counts())
        report = Report(
            run=plan.ledger.run,
            started=self._started,
            finished=time.time(),
            seconds=time.monotonic() - self._begun,
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
            retries=dispatcher.retries,
            logins=counts["logins"],
            refreshes=counts["refreshes"],
            refusals=counts["refusals"],
            notices=tuple(dispatcher.notices),
            failures=tuple(self._failures),
            error=self._error,
            url=None if self.settings.remote is None else self.settings.remote.url,
        )
        self._emit(EventKind.RUN_FINISHED, None, report.to_dict())
        if self._report_file is not None:
            report.write(self._report_file, plan.rows(), self._redactor.json)
        return report


class ReprocessRun(Run):
    """A run that makes other outputs of finished items, without requests, logins or secrets.

    Parameters are those of `Run`; settings of the service are ignored.
    """

    def __init__(self, settings: Settings, *args: Any, **options: Any) -> None:
        super().__init__(offline(settings), *args, **options)

    def _check(self) -> None:
        need_ledger(self.settings.directory, self.settings.where)

    def _plan(self, context: RunContext, ledger: Ledger) -> Plan:
        ledger.take_over(context.staging.tidy)  # items of a dead run that only lacked outputs are done
        counts = ledger.counts()
        left = counts.get("pending", 0) + counts.get("failed", 0)
        if left:
            context.notice(f"Skipping items that are not downloaded yet: {left}.")
        return ReprocessPlan.of(self.settings, ledger, context.outputs)


def offline(settings: Settings) -> Settings:
    """Return settings that need no service and no secret."""
    return replace(
        settings,
        source=None,
        auth={"use": "none"},
        cookie_store={"use": "memory"},
        sessions=None,
        proxy=None,
        ca_bundle=None,
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """The strategy of a run.

    Parameters
    ----------
    strategy
        The strategy in use.
    asked
        The configured name, or None.
    reason
        Why another strategy is used, or why it does less than configured; None otherwise.
    """

    strategy: Strategy
    asked: str | None
    reason: str | None


def choose(context: RunContext, plugins: PluginManager) -> Choice:
    """Return the configured strategy, or one that is safe with the cookie store.

    Raises
    ------
    ConfigError
        If the configured one is not safe, and the run is strict.
    """
    settings = context.settings
    default = "serial" if settings.max_workers == 1 else "threads"
    strategy = plugins.make(Strategy, settings.strategy or {"use": default}, context.plugin_context)
    asked = settings.strategy["use"] if settings.strategy else None
    if strategy.needs > Scope.HOST:
        strategy.close()
        raise ConfigError(
            f"The strategy {strategy.name!r} uses several machines, which argosy does not support yet.",
            hint='Use the strategy "multiprocess" for several processes of this machine, or "threads".',
        )
    store = context.store
    if not context.auth.anonymous and store.scope < strategy.needs:
        reason = (
            f"The strategy {strategy.name!r} spreads its workers over {_REACH[strategy.needs]}, but the lease of the "
            f"cookie store {store.name!r} only covers {_REACH[store.scope]}."
        )
        stores = [
            info.name
            for info in plugins.plugins()
            if issubclass(info.cls, CookieStore) and info.cls.scope >= strategy.needs
        ]
        change = f'Use one of the cookie stores {", ".join(stores)}, or the strategy "threads".'
        strategy.close()
        if settings.strict:
            raise ConfigError(reason, hint=change)
        serial = plugins.make(Strategy, {"use": "serial"}, context.plugin_context)
        return Choice(serial, asked, f"{reason} The run is serial instead. {change}")
    if not strategy.parallel and settings.max_workers > 1 and asked:
        reason = f"The strategy {strategy.name!r} does one item at a time: max_workers {settings.max_workers} has no effect."
        return Choice(strategy, asked, reason)
    return Choice(strategy, asked, None)


def outcomes_of(
    strategy: Strategy, jobs: Iterator[Job], work: Work, max_workers: int
) -> Generator[Outcome, None, None]:
    """Yield the outcomes of a strategy, one for each job that it takes.

    Parameters
    ----------
    strategy, jobs, work, max_workers
        As for `Strategy.run`.

    Raises
    ------
    PluginError
        If it raises, or breaks that rule.
    """
    taken: set[str] = set()

    def counted() -> Iterator[Job]:
        for job in jobs:
            taken.add(job.item.id)
            yield job

    def failed(what: str) -> PluginError:
        return PluginError(
            f"The strategy {strategy.name!r} failed: {what}.",
            hint="Finished work is kept; continue with another strategy (--strategy serial).",
            plugin=strategy.name,
        )

    try:
        for outcome in strategy.run(counted(), work, max_workers):
            # recording an outcome removes what is staged for its item
            found: object = outcome
            if not isinstance(found, Outcome) or found.item not in taken:
                raise failed(f"it yielded {found!r:.100}, which is not the outcome of an open job")
            taken.remove(outcome.item)
            yield outcome
    except ArgosyError:
        raise
    except (Exception, SystemExit) as error:
        raise failed(describe_exception(error, strategy)) from None
    if taken:
        raise failed(f"it ended without an outcome for {len(taken)} of its jobs")
