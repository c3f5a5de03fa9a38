"""The Ray cluster of a run: a local one that Sweeper starts, or the cluster at an address.

A local Ray listens on more than the loopback device, so it requires a token that only this process has.
`address="local"` starts a new Ray even if another one is already running on this machine.
"""

import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray

from sweeper.errors import SetupError
from sweeper.files import check_cache_folder, check_space
from sweeper.spec.job.sweep import Engine

from .cluster_address import check_address
from .nodes import NodeWatch
from .placement import threads
from .ray_processes import shut_down, without_notices
from .worker import thread_environment
from .worker_pool import WorkerPool

# Environment variables of the driver. Without the first, the overhead of a pack doubles to 35-40 ms. The others keep
# Tune from printing, from logging trials to files, from handling Ctrl-C, from limiting the pending trials (the searcher
# does) and from rewriting its own state, which Sweeper never reads.
ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}

START_SECONDS = 180.0  # a local Ray starts in 5 s, but has been seen to take a minute on an overloaded machine
CONNECT_SECONDS = 60.0

OBJECT_STORE_BYTES = 200 * 2**20  # packs and reports are small


@contextmanager
def cluster(engine: Engine) -> Iterator[None]:
    """Start or join Ray for the duration of a context.

    A Ray that the caller has already initialized is used and left running.
    """
    with environment(ENVIRONMENT), _quiet(), without_notices():
        if ray.is_initialized():
            yield
            return
        _start(engine)
        try:
            yield
        finally:
            shut_down()


@contextmanager
def workers(engine: Engine) -> Iterator[WorkerPool]:
    """Watch the nodes of the cluster, and request workers from its autoscaler, for the duration of a context.

    Raises:
        SweeperError: A worker fits on no node, and on none that can join.
    """
    grows = not _is_local(engine)
    with NodeWatch(autoscaled=grows) as source:
        yield WorkerPool(engine, source, grows=grows)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the duration of a context."""
    old_values = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in old_values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(engine: Engine) -> None:
    runtime = {"env_vars": thread_environment(threads(engine))}
    options = {"runtime_env": runtime, "logging_level": logging.ERROR, "log_to_driver": False}
    if engine.address is not None and not _is_local(engine):
        with _ray_errors(f"the Ray cluster at engine.address={engine.address} can't be used"):
            ray.init(address=engine.address, **options)
        return
    _check_temporary_folder()
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray turns token mode on for a cluster it starts
    with _ray_errors("Ray can't be started on this machine"):
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            num_cpus=_cpus(engine),
            **options,
        )


def _check_temporary_folder() -> None:
    """Check that Ray can write its files; without space, it waits for half a minute for its own processes.

    Raises:
        SetupError: It can't.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        check_space(Path(folder))
    except OSError as error:
        problem = f"Ray can't be started on this machine: its files can't be written to {folder} ({error.strerror})"
        raise SetupError(f"{problem}; set TMPDIR to another folder") from None


@contextmanager
def _ray_errors(problem: str) -> Iterator[None]:
    """Convert any error of `ray.init` to a SetupError; they are about the machine, the network or other versions.

    While it starts, Ray turns SIGTERM into a SystemExit with the signal's number; that is an interrupt.
    """
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise SetupError(f"{problem}: {lines[0]}") from error


def check_setup(engine: Engine) -> None:
    """Check that Ray's cluster answers and that the cache folder can be written, before a run writes anything.

    Raises:
        SetupError: One of them can't be used.
    """
    check_cache_folder()
    if engine.address is not None and not _is_local(engine) and not ray.is_initialized():
        check_address(engine.address)


def start_seconds(engine: Engine) -> float:
    """Return the seconds that Ray may take to start on this machine, or to connect to the cluster at an address."""
    return START_SECONDS if _is_local(engine) else CONNECT_SECONDS


def start_text(engine: Engine) -> str:
    """Return what a run waits for until Ray can be used."""
    return "starting Ray on this machine" if _is_local(engine) else f"connecting to the Ray cluster at {engine.address}"


def _is_local(engine: Engine) -> bool:
    return engine.address in (None, "local")


def _cpus(engine: Engine) -> int | None:
    """Return the number of CPUs of a local Ray: None for all of the machine's, or as many as the workers need."""
    if engine.workers == "auto":
        return None
    return max(int(engine.workers * engine.cpus + 0.999), os.cpu_count() or 1)


@contextmanager
def _quiet(names: Sequence[str] = ("ray", "ray.tune")) -> Iterator[None]:
    """Silence Ray's loggers, whose messages are about trials and placement groups, which Sweeper's users never see."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
