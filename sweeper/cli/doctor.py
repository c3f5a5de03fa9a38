"""The command `doctor`, which checks that a run can start: this machine, the store, the cluster and its nodes."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

from sweeper.errors import SweeperError

from . import cards, places, show
from .checks import clusters, devices, machine, storage
from .checks.check import FAILED, OK, WARNING, Check, perform_check

SECONDS = 20.0  # for a check
CLUSTER_SECONDS = 90.0  # two processes that import Ray


def print_diagnosis(job: str | None, overrides: Sequence[str], store: str | None, trust: bool, json: bool) -> int:
    """Print every check as it ends, with the fix of what is wrong, and return the exit code: 1 if one failed.

    Args:
        job: A job file or the name of a job, whose store and cluster are checked.
        overrides: Settings that replace those of the job.
        store: A store, in place of the job's.
        trust: True allows the user's code that the job names to be run.
        json: Print JSON.
    """
    checks = []
    for check in _checks(job, overrides, store, trust):
        checks.append(check)
        if not json:
            _print(check)
    if json:
        show.print_json([asdict(check) for check in checks])
    else:
        show.write(_summary(checks))
    return int(any(check.state == FAILED for check in checks))


def _print(check: Check) -> None:
    show.write(f"{check.state:<8} {check.name:<16} {check.details}")
    if check.fix:
        show.write(f"{'':<8} {'':<16} fix: {check.fix}")


def _summary(checks: Sequence[Check]) -> str:
    failed, warnings = (sum(check.state == state for check in checks) for state in (FAILED, WARNING))
    if failed:
        return f"\n{failed} of {len(checks)} checks failed: a run can't start, or is not safe, until they are fixed"
    return f"\nnothing stops a run; {warnings} warning{'s' * (warnings != 1)}"


def _checks(job: str | None, overrides: Sequence[str], store: str | None, trust: bool) -> Iterator[Check]:
    yield perform_check("python", machine.check_python, SECONDS)
    yield from machine.check_libraries()
    address = os.environ.get("RAY_ADDRESS")
    if job is not None:
        try:
            sweep, _ = places.load_job(job, overrides, trust, cards.probe_networks)
        except SweeperError as error:
            yield Check("job", FAILED, str(error).splitlines()[0], f"sweeper plan {job} lists every mistake")
            sweep = None
        else:
            yield Check("job", OK, f"{sweep.name} can be read, with its data")
            store, address = places.store_of(sweep, store), sweep.engine.address
    for name, function, seconds in _local_checks(address):
        yield perform_check(name, function, seconds)
    if store:
        yield perform_check("store", partial(storage.check_store, store, job is not None), SECONDS)
    if address and address != "local":
        check = perform_check("cluster", partial(clusters.check_cluster, address), CLUSTER_SECONDS)
        yield check
        if check.state == OK:
            yield from clusters.check_nodes(address)


def _local_checks(address: str | None) -> Iterator[tuple[str, Callable[[], Check], float]]:
    """Return the name, the function and the time limit of each check of this machine."""
    yield "devices", devices.check_devices, devices.SECONDS + SECONDS
    yield "memory", machine.check_memory, SECONDS
    yield "shared memory", machine.check_shared_memory, SECONDS
    yield "scratch", machine.check_scratch, SECONDS
    yield "working folder", machine.check_working_folder, SECONDS
    yield "cache", machine.check_cache, SECONDS
    yield "open files", machine.check_open_files, SECONDS
    yield "network", machine.check_network, SECONDS
    yield "ports", machine.check_head_ports, SECONDS
    yield "token", partial(clusters.check_token, address), SECONDS
    yield "report", machine.check_charts, SECONDS
    yield "SWEEPER_CIFAR10", machine.check_cifar10, SECONDS
