"""A Ray to run on: one of our own on this machine, or the cluster at an address. Its environment, and its end.

Our own listens on more than the loopback device, so it demands a token that exists for this process alone. It is
never a left-over one that happens to run here: `address="local"` starts afresh.
"""

import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ray
from ray.autoscaler.sdk import request_resources

from sweeper.spec.job.sweep import Engine

from .placement import Node, Placement
from .worker import thread_environment

# For the driver. Without the first a pack costs twice as much (35 to 40 ms); the others keep Tune from printing,
# logging trials to files, taking Ctrl-C for itself and rewriting its own state, which nobody reads.
ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}

OBJECT_STORE_BYTES = 200 * 2**20  # packs and reports are small


@contextmanager
def cluster(engine: Engine) -> Iterator[None]:
    """Ray is up inside. One that the caller has started is used and left running."""
    with environment(ENVIRONMENT), _quiet():
        if ray.is_initialized():
            yield
            return
        _start(engine)
        try:
            yield
        finally:
            ray.shutdown()


def nodes() -> list[Node]:
    """What the living nodes have."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@contextmanager
def demand(placement: Placement, engine: Engine) -> Iterator[None]:
    """Tells the cluster's autoscaler the whole demand at once, for a while: Tune alone would show it one trial after
    the other. On a Ray of our own, and where the workers are what fits, there is nothing to ask for."""
    if _is_local(engine) or engine.workers == "auto":
        yield
        return
    request_resources(bundles=[placement.bundle] * placement.workers)
    try:
        yield
    finally:
        request_resources(bundles=[])  # the autoscaler may let the nodes go


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start(engine: Engine) -> None:
    runtime = {"env_vars": thread_environment(max(1, int(engine.cpus)))}
    common = {"runtime_env": runtime, "logging_level": logging.ERROR, "log_to_driver": False}
    if not _is_local(engine):
        ray.init(address=engine.address, **common)
        return
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # Ray turns token mode on for a cluster it starts
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        num_cpus=_cpus(engine),
        **common,
    )


def _is_local(engine: Engine) -> bool:
    return engine.address in (None, "local")


def _cpus(engine: Engine) -> int | None:
    """As many as the machine has, or as the workers that were asked for need."""
    if engine.workers == "auto":
        return None
    return max(int(engine.workers * engine.cpus + 0.999), os.cpu_count() or 1)


@contextmanager
def _quiet(names: Sequence[str] = ("ray", "ray.tune")) -> Iterator[None]:
    """Ray's own loggers speak of trials and of placement groups, which our users have not asked for."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
