"""The shard of a task that a cluster's scheduler has started: ``--shard auto``, and the session that it may use."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from argosy.cli.options import notify
from argosy.errors import ConfigError

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

#: The variables that number the tasks of a Slurm array (sbatch(1)), and the pods of an indexed job of Kubernetes from 0.
_SLURM, _KUBERNETES = "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"


def task(text: str) -> str:
    """Return the shard ``I/N`` for ``auto`` or ``auto/N``; raise a usage error if it is not certain."""
    found = re.fullmatch(r"auto(?:/([1-9][0-9]*))?", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is none of I/N, auto and auto/N, such as 1/3 or auto/3.")
    number = _number()
    count = int(found[1]) if found[1] else _count()
    if number > count:
        raise click.BadParameter(f"this is task {number}, but there are {count} shards.")
    return f"{number}/{count}"


def _number() -> int:
    """Return the number of this task, from 1."""
    if (index := os.environ.get(_KUBERNETES, "")).isdecimal():
        return int(index) + 1
    if not (number := os.environ.get(_SLURM, "")).isdecimal():
        raise click.BadParameter(
            f"auto needs {_SLURM} (an array of Slurm) or {_KUBERNETES} (an indexed job of Kubernetes). "
            "Elsewhere, write which shard this is, such as 1/3."
        )
    if int(number) == 0:
        raise click.BadParameter("the tasks of this array are numbered from 0. Number them from 1: --array=1-10")
    return int(number)


def _count() -> int:
    """Return how many tasks there are, if that is certain."""
    if os.environ.get(_KUBERNETES):
        raise click.BadParameter("Kubernetes does not tell how many pods a job has. Write auto/N, such as auto/10.")
    first, last, count = (os.environ.get(f"SLURM_ARRAY_TASK_{name}", "") for name in ("MIN", "MAX", "COUNT"))
    if first != "1" or last != count or not count.isdecimal():
        # such as the tasks that failed, submitted again
        raise click.BadParameter(
            "these are only some tasks of an array. Write auto/N with their number, such as auto/10."
        )
    return int(count)


def check_session(settings: Settings, plugins: PluginManager) -> None:
    """Tell if the shards share a session that only one machine can use; on a cluster, raise a ConfigError."""
    from argosy.interfaces.auth import Auth
    from argosy.interfaces.cookie_store import CookieStore, Scope
    from argosy.plugins.kinds import Kind

    auth = plugins.find(Kind.AUTH, settings.auth["use"]).cls
    store = plugins.find(Kind.COOKIE_STORE, settings.cookie_store["use"]).cls
    anonymous = issubclass(auth, Auth) and auth.anonymous
    wide = issubclass(store, CookieStore) and store.scope is Scope.CLUSTER
    if settings.shard is None or anonymous or wide or "{shard}" in settings.session:
        return
    name = settings.cookie_store["use"]
    reason = f"The shards share the session {settings.session!r}, and the lease of {name!r} only covers one machine."
    hint = 'On several machines, use the cookie store "redis", or a session for each shard: "shard-{shard}".'
    if settings.strict or {_SLURM, _KUBERNETES} & os.environ.keys():
        raise ConfigError(reason, hint=hint)
    notify(f"{reason} {hint}")
