"""The check of `engine.address`."""

import re
from collections.abc import Iterator

from sweeper.spec.job.checks.finding import Finding
from sweeper.spec.job.sweep import Engine

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5})")


def engine_findings(engine: Engine) -> Iterator[Finding]:
    """Yield the mistake in the form of the cluster's address; nothing is connected to."""
    address = engine.address
    if address in (None, "local", "auto") or host_and_port(address):
        return
    client = address.startswith("ray://")
    problem = "a run is itself a driver of the cluster and can't be a Ray client" if client else "this is no address"
    correction = "give HOST:PORT of the cluster's head, such as 10.0.0.1:6379, or auto, or leave the key out"
    yield Finding(("engine", "address"), f"'{address}': {problem}", correction)


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the host and the port of an address of the form `host:port`; None for another form."""
    matched = _HOST_AND_PORT.fullmatch(address)
    return (matched[1].strip("[]"), int(matched[2])) if matched and 0 < int(matched[2]) < 2**16 else None
