"""A performer of toy tasks that also records where each pack runs: its node, its GPU and the time at which it began.

The lines are in the file of the rules (see `support.toys`) with the further suffix `.places`.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support import toys


class Place(NamedTuple):
    """The place of a pack."""

    node: str  # its name in the variable TOY_NODE (see `support.ray_nodes`)
    gpu: str  # the number of its GPU; empty if it has none
    time: float


def perform(pack, load, **numerics: str | bool) -> Iterator[toys.Outcome]:
    """Record the place of the pack, then perform its tasks."""
    node = os.environ.get("TOY_NODE", "")
    with _file().open("a") as file:
        file.write(f"{node},{os.environ.get('CUDA_VISIBLE_DEVICES', '')},{time.time()}\n")
    yield from toys.perform(pack, load, **numerics)


def places() -> list[Place]:
    """Return the places of all packs that have begun, in order."""
    lines = _file().read_text().splitlines() if _file().exists() else []
    return [Place(node, gpu, float(at)) for node, gpu, at in (line.split(",") for line in lines)]


def _file() -> Path:
    return Path(os.environ["TOYS"] + ".places")
