"""Checks of a Ray cluster: it answers, requires a token, and its nodes agree in versions and clocks."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from sweeper import distribution
from sweeper.cli import show
from sweeper.errors import SetupError
from sweeper.remote.ray_jobs import token_file

from .check import FAILED, OK, WARNING, Check
from .machine import MIN_DISK, MIN_FILES, MIN_SHARED_MEMORY
from .storage import CLOCK_FAILED, CLOCK_FIX, CLOCK_WARNING

NODE_SECONDS = 60.0  # for a process on each node, which imports torch where there are GPUs
MORE_SECONDS = 30.0  # to import Ray and to join the cluster


def check_token(address: str | None) -> Check:
    """Check for Ray's token: without it, anyone who reaches Ray's ports can run code (CVE-2023-48022)."""
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    fix = "export RAY_AUTH_MODE=token, on every node before `ray start`; `ray get-auth-token --generate` makes a token"
    if mode and mode != "token":
        state = FAILED if address else WARNING
        details = f"RAY_AUTH_MODE={mode}: anyone who can reach Ray's ports can run code on this machine"
        return Check("", state, details, fix)
    file = token_file()
    if file.is_file() and file.stat().st_mode & 0o077:
        return Check("", WARNING, f"other users of this machine can read the token in {file}", f"chmod 600 {file}")
    if mode:
        return Check("", OK, "RAY_AUTH_MODE=token")
    if address:
        details = f"RAY_AUTH_MODE is not token: anyone who can reach the cluster {address} may run code on it"
        return Check("", WARNING, details, fix)
    return Check("", OK, "Sweeper creates a token for the local Ray")


def check_cluster(address: str) -> Check:
    """Check that a cluster answers, and only to those with its token."""
    from sweeper.engine import cluster_address

    try:
        cluster_address.check_address(address)
    except SetupError as error:
        problem, _, remedy = str(error).partition("; ")
        return Check("", FAILED, problem, remedy)
    if cluster_address.answers_without_token(address):
        details = f"{address} answers without a token: anyone who can reach it can run code on its nodes"
        fix = "stop it; on every node: export RAY_AUTH_MODE=token, then ray start; keep its ports in a private network"
        return Check("", FAILED, details, fix)
    return Check("", OK, f"{address} answers, and requires a token")


def check_nodes(address: str) -> Iterator[Check]:
    """Check each node of a cluster that answers, in one process that is ended if the cluster hangs."""
    command = [sys.executable, "-m", "sweeper.cli.checks.ask_nodes", address, str(NODE_SECONDS)]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=NODE_SECONDS + MORE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        yield Check("nodes", FAILED, f"no answer of the nodes within {NODE_SECONDS + MORE_SECONDS:g} s", "ray status")
        return
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        yield Check("nodes", FAILED, f"the nodes can't be asked: {lines[-1]}", "ray status")
        return
    records: Sequence[Mapping[str, Any]] = json.loads(process.stdout.splitlines()[-1])
    for record in records:
        yield check_node(record, own_versions())


def own_versions() -> dict[str, str]:
    """Return the versions on this machine."""
    packages = {"ray": "ray", "torch": "torch", "sweeper": distribution.NAME}
    return {"python": platform.python_version()} | {name: version(package) for name, package in packages.items()}


def check_node(record: Mapping[str, Any], own: Mapping[str, str]) -> Check:
    """Compare a node with this machine.

    Args:
        record: What the node reported (see `ask_nodes`).
        own: The versions on this machine.
    """
    name = f"node {record['name']}"
    if problem := record.get("problem"):
        return Check(name, FAILED, f"no process ran there: {problem}", "ray status; ray logs")
    for package, fix in _REQUIRED.items():
        if record[package] is None:
            return Check(name, FAILED, f"{package} is not installed there", fix.format(own[package]))
        if _series(package, record[package]) != _series(package, own[package]):
            details = f"it has {package} {record[package]}, and this machine {own[package]}"
            return Check(name, FAILED, details, fix.format(own[package]))
    if abs(record["clock"]) >= CLOCK_WARNING:
        place = "ahead of" if record["clock"] > 0 else "behind"
        details = f"its clock is {abs(record['clock']):.0f} s {place} that of this machine"
        return Check(name, FAILED if abs(record["clock"]) >= CLOCK_FAILED else WARNING, details, CLOCK_FIX)
    if record.get("gpus", 0) > record.get("gpus_of_torch", 0):
        details = (
            f"Ray counts {record['gpus']:g} GPUs there, and torch {record['torch']} sees {record['gpus_of_torch']}"
        )
        return Check(name, FAILED, details, "install its driver, and the torch that fits it, on the node")
    return _limits(name, record)


def _limits(name: str, record: Mapping[str, Any]) -> Check:
    """Check what makes a run on the node slow or fragile."""
    if (shared := record["shared_memory"]) is not None and shared < MIN_SHARED_MEMORY // 4:
        return Check(name, WARNING, f"{show.format_bytes(shared)} free in /dev/shm", "docker run --shm-size=1g")
    if record["scratch"] < MIN_DISK:
        details = f"{show.format_bytes(record['scratch'])} free for temporary files"
        return Check(name, WARNING, details, "delete files there, or start its Ray with another --temp-dir")
    if 0 <= record["open_files"] < MIN_FILES:
        return Check(name, WARNING, f"{record['open_files']} open files a process", "ulimit -n 65536, before ray start")
    gpus = f", {record['gpus']:g} GPUs" if record.get("gpus") else ""
    versions = ", ".join(f"{package} {record[package]}" for package in _REQUIRED)
    return Check(name, OK, f"{versions}{gpus}, clock {1000 * abs(record['clock']):.0f} ms apart")


# The packages whose versions must agree on all machines, with the way to make them agree.
_REQUIRED = {
    "python": "install Python {} on every node, or use one image for all",
    "ray": "pip install 'ray=={}' on every node",
    "torch": "pip install 'torch=={}' on every node",
    "sweeper": f"pip install '{distribution.NAME}=={{}}' on every node (of a checkout: the wheel of `make wheel`)",
}


def _series(package: str, installed: str) -> str:
    """Return the part of a version that must agree: of Python 3.11, of torch 2.9.1 without its build."""
    return ".".join(installed.split(".")[:2]) if package == "python" else installed.partition("+")[0]
