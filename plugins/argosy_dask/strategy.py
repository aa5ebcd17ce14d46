"""The strategy that gives each item to a worker of a Dask cluster."""

from __future__ import annotations

import importlib.metadata
import logging
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import argosy
from argosy.errors import ConfigError, ServiceDown
from argosy.interfaces.base import PluginContext
from argosy.interfaces.channel import Channel
from argosy.interfaces.cookie_store import Scope
from argosy.interfaces.strategy import Strategy, Work
from argosy.models.items import Failure, Job, Outcome, State

#: Seconds to wait for the scheduler.
PATIENCE = 10.0


class DaskStrategy(Strategy):
    """Works on up to `max_workers` items at once, on a cluster, or on a local one that ends with the run."""

    name = "dask"
    summary = "Several items at once, on a Dask cluster"
    experimental = True
    options_schema = {
        "type": "object",
        "properties": {
            "address": {
                "type": ["string", "null"],
                "pattern": "^(tcp|tls)://.",
                "default": None,
                "description": "The scheduler, such as tcp://10.0.0.5:8786, or tls:// with the certificates that Dask's own "
                "configuration names. Unset, processes on this machine.",
            },
            "processes": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 256,
                "default": None,
                "description": "How many processes without an address. Unset, as many as there are processors.",
            },
        },
    }

    def __init__(self, options: Mapping[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        address = options.get("address")
        self.needs = Scope.CLUSTER if address else Scope.HOST
        self.private = not address or address.startswith("tls://")
        self._client: Any = None
        self._cluster: Any = None

    def channel(self) -> Channel:
        """Return the channel through the scheduler."""
        from argosy_dask.channel import DaskChannel

        return DaskChannel(self._connect(1))

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        """Yield outcomes as they come; take a job only when fewer than `max_workers` are on the cluster."""
        client = self._connect(max_workers)
        done = _distributed().as_completed(loop=client.loop, with_results=True, raise_errors=False)
        items: dict[str, str] = {}  # the item of each job on the cluster, by its key
        futures: dict[str, Any] = {}
        waiting, broken, more = iter(jobs), None, True
        try:
            while more or items:
                while more and len(items) < max_workers:
                    try:
                        job = next(waiting)
                    except StopIteration:
                        more = False
                    except Exception as error:  # active jobs finish first
                        broken, more = error, False
                    else:
                        key = f"argosy-{uuid.uuid4().hex}"
                        items[key] = job.item.id
                        futures[key] = client.submit(_do, work, job, key=key, pure=False)
                        done.add(futures[key])
                if items:
                    future, result = next(done)
                    del futures[future.key]
                    yield self._outcome(items.pop(future.key), future, result)
            if broken is not None:
                raise broken
        finally:
            if futures:
                client.cancel(list(futures.values()), force=True)

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()

    def _outcome(self, item: str, future: Any, result: Any) -> Outcome:
        if future.status == "finished":
            outcome: Outcome = result
            return outcome
        error = result[1] if isinstance(result, tuple) else result
        if isinstance(error, _distributed().KilledWorker):
            text = "Several Dask workers died while they worked on it."
            return Outcome(item, State.FAILED, failure=Failure("crash", text))
        if future.status == "error":
            raise error
        hint = "Start it again to continue; finished work is kept."
        raise ServiceDown(f"The Dask scheduler at {self._where} was lost.", hint=hint)

    @property
    def _where(self) -> str:
        return str(self.options.get("address") or "this machine")

    def _connect(self, max_workers: int) -> Any:
        if self._client is not None:
            return self._client
        distributed, address = _distributed(), self.options.get("address")
        if address is None:
            count = min(self.options.get("processes") or os.cpu_count() or 1, max_workers)
            self._cluster = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=math.ceil(max_workers / count),
                dashboard_address=None,
                security=_temporary(),  # else every user of this machine could send it programs and read its messages
                silence_logs=logging.ERROR,
            )
        elif address.startswith("tls://"):
            _check_certificates(address)
        from argosy_dask.channel import IgnoreInterrupts, connect

        try:
            self._client = connect(self._cluster or address, PATIENCE)
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            hint = "Start one with `dask scheduler`, and check its address, and whether it uses TLS."
            raise ServiceDown(f"The Dask scheduler at {address} cannot be reached: {reason}.", hint=hint) from None
        if self._cluster is not None:
            self._client.register_plugin(IgnoreInterrupts())
        else:
            self._check_versions()
        return self._client

    def _check_versions(self) -> None:
        """Raise a ConfigError if a worker has another argosy than this run, or none."""
        found = self._client.run(importlib.metadata.version, "argosy", on_error="return")
        wrong = {worker: version for worker, version in found.items() if version != argosy.__version__}
        for worker, version in sorted(wrong.items()):
            has = f"argosy {version}" if isinstance(version, str) else "no argosy"
            more = f" ({len(wrong) - 1} more workers differ)" if len(wrong) > 1 else ""
            message = f"The Dask worker {worker} has {has}, and this run has {argosy.__version__}{more}."
            raise ConfigError(
                message, hint="Install the same version, with the same extras and plugins, on all machines."
            )


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        hint = "Install it: pip install 'argosy[dask]'"
        raise ConfigError("The strategy 'dask' needs the package `distributed`.", hint=hint) from None
    return distributed


def _temporary() -> Any:
    """Return certificates for one cluster, which are only in memory."""
    try:
        return _distributed().Security.temporary()
    except ImportError:
        hint = "Install it: pip install 'argosy[dask]'"
        raise ConfigError("The strategy 'dask' needs the package `cryptography`.", hint=hint) from None


def _check_certificates(address: str) -> None:
    """Raise a ConfigError if Dask's configuration has no certificates for TLS, or none that can be used."""
    hint = "Set distributed.comm.tls in Dask's configuration, as for the scheduler and its workers."
    try:
        found = _distributed().Security().get_connection_args("client")["ssl_context"]
    except OSError as error:
        raise ConfigError(f"The certificates for {address} cannot be used: {error}.", hint=hint) from None
    if found is None:
        raise ConfigError(f"There are no certificates to connect to {address}.", hint=hint)


def _do(work: Work, job: Job) -> Outcome:
    return work(job)


@argosy.hookimpl
def argosy_strategy() -> type[Strategy]:
    """Register the strategy."""
    return DaskStrategy
