"""What a test needs and the machine may lack: a test skips without it, except where nothing is to be missing."""

from __future__ import annotations

import os
import shutil

import pytest

#: Set where all of it can be installed, so that no test is left out for want of it: `.ci/run` does.
NOTHING_MISSING = "ARGOSY_NOTHING_MISSING"

#: Debian's packages of programs that are called differently.
PACKAGES = {
    "aria2c": "aria2",
    "setpriv": "util-linux",
    "aws": "awscli",
    "ip": "iproute2",
    "unshare": "util-linux",
    "man": "man-db",
    "redis-cli": "redis-tools",
    "/usr/sbin/munged": "munge",
    "/usr/sbin/slurmctld": "slurmctld",
    "/usr/sbin/slurmd": "slurmd",
    "sbatch": "slurm-client",
    "squeue": "slurm-client",
    "scancel": "slurm-client",
    "sinfo": "slurm-client",
    "docker": "docker.io",
    "promtool": "prometheus",
    "kubectl": "kubernetes-client",
    "gnome-keyring-daemon": "gnome-keyring",
    "dbus-run-session": "dbus",
    "/usr/sbin/sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "/usr/sbin/nginx": "nginx-light",
    "/usr/sbin/apache2": "apache2-bin",
    "swift-proxy-server": "swift-proxy",
    "swift-account-server": "swift-account",
    "swift-container-server": "swift-container",
    "swift-object-server": "swift-object",
}


def need(*tools: str) -> None:
    """Skip the test, or let it fail, where one of some programs is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if not missing:
        return
    packages = " ".join(PACKAGES.get(tool, tool) for tool in missing)
    message = f"needs {' and '.join(missing)} (Debian: apt install {packages})"
    if os.environ.get(NOTHING_MISSING):
        pytest.fail(f"{message}; {NOTHING_MISSING} is set")
    pytest.skip(message)
