"""Toy sweeps, and one Ray for each test module, because each start of Ray takes seconds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.toy_run import Toys

from sweeper.engine import cluster
from sweeper.spec.job.sweep import Engine

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def toy_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let workers, which are other processes, import `support` and find the rules of the current test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("TOYS", str(tmp_path_factory.mktemp("toys") / "rules.json"))
        yield


@pytest.fixture(scope="module")
def ray_up(toy_environment: None) -> Iterator[None]:
    """Start a local Ray for two workers, as `run` starts it."""
    with cluster.cluster(Engine(workers=2)):
        yield


@pytest.fixture
def toys(ray_up: None, tmp_path: Path) -> Toys:
    """Return a toy sweep with a new store."""
    return Toys(tmp_path)
