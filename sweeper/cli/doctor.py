"""The command `doctor`, which checks that this machine can run a sweep."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sweeper import distribution
from sweeper.errors import StoreError

from . import show

OK, WARNING, FAILED = "ok", "warning", "failed"
MIN_MEMORY = 2_000_000_000  # bytes for Ray itself and one worker with torch
MIN_DISK = 2_000_000_000  # bytes for the files of Ray's session and for objects that it spills to disk


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check: its state (OK, WARNING or FAILED) and the details."""

    name: str
    state: str
    details: str


def print_diagnosis(store: str | None, json: bool) -> int:
    """Print every check and return the exit code: 1 if one failed."""
    checks = list(_checks(store))
    if json:
        show.print_json([asdict(check) for check in checks])
    else:
        show.print_columns(
            ("check", "state", "details"), ((check.name, check.state, check.details) for check in checks)
        )
    return int(any(check.state == FAILED for check in checks))


def _checks(store: str | None) -> Iterator[Check]:
    yield _python()
    yield from _libraries()
    for check in (_devices, _memory, _disk, _token, _report, _cifar10):
        yield _guarded(check)
    if store:
        yield _store(store)


def _guarded(check: Callable[[], Check]) -> Check:
    """Run a check, and return a failed check if it raises, so that the other checks still run."""
    try:
        return check()
    except Exception as error:
        return Check(check.__name__.strip("_"), FAILED, f"{type(error).__name__}: {error}")


def _python() -> Check:
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("python", OK if supported else FAILED, f"{sys.version.split()[0]} at {sys.executable}")


def _libraries() -> Iterator[Check]:
    """Compare the installed version of each dependency with the required one."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, distribution.requirements()):
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield Check(requirement.name, FAILED, f"not installed; {requirement} is needed")
            continue
        fits = requirement.specifier.contains(installed, prereleases=True)
        details = installed if fits else f"{installed}; {requirement} is needed"
        yield Check(requirement.name, OK if fits else FAILED, details)


def _devices() -> Check:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("devices", OK, ", ".join([*names, f"{_cores()} CPU cores"]))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> Check:
    from sweeper.engine.watch import machine_memory

    used, total = machine_memory()
    state = OK if total - used >= MIN_MEMORY else WARNING
    return Check("memory", state, f"{show.format_bytes(total - used)} free of {show.format_bytes(total)}")


def _disk() -> Check:
    places = {"working folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    state = OK if min(free.values()) >= MIN_DISK else WARNING
    return Check(
        "disk", state, ", ".join(f"{show.format_bytes(size)} free for the {name}" for name, size in free.items())
    )


def _token() -> Check:
    """Check for Ray's token: without it, anyone who reaches Ray's ports can run code (CVE-2023-48022)."""
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    address = os.environ.get("RAY_ADDRESS")
    if mode == "token":
        return Check("token", OK, "RAY_AUTH_MODE=token")
    if mode:
        return Check(
            "token",
            FAILED if address else WARNING,
            f"RAY_AUTH_MODE={mode}: anyone who can reach Ray's ports can run code on this machine; set it to token",
        )
    if address:
        return Check(
            "token",
            WARNING,
            f"RAY_AUTH_MODE is not token: anyone who can reach the cluster {address} can run code on it",
        )
    return Check("token", OK, "Sweeper creates a token for the local Ray")


def _report() -> Check:
    from sweeper.report import charts

    if not charts.available():
        return Check(
            "report",
            WARNING,
            f"vl-convert-python is missing, so reports have no charts: {distribution.install_command('report')}",
        )
    return Check("report", OK, "page and charts")


def _cifar10() -> Check:
    folder = os.environ.get("SWEEPER_CIFAR10")
    if not folder:
        return Check("SWEEPER_CIFAR10", OK, "not set; only the small CIFAR-10 jobs and some tests need it")
    count = len(list(Path(folder).glob("**/*.parquet")))
    return Check("SWEEPER_CIFAR10", OK if count else FAILED, f"{count} Parquet file(s) in {folder}")


def _store(url: str) -> Check:
    from sweeper.store.store import Store

    try:
        store = Store.open(url)
        done = len(store.done())
    except StoreError as error:
        return Check("store", FAILED, str(error))
    if store.damage:
        return Check("store", WARNING, f"{store.url}: {len(store.damage)} damaged part(s)")
    return Check("store", OK, f"{store.url}: {done} tasks done")
