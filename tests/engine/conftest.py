"""Toy sweeps, and one Ray for the whole room: each start costs seconds."""

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
    """Workers, which are other processes, find `toys` and the rules of the test at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("TOYS", str(tmp_path_factory.mktemp("toys") / "rules.json"))
        yield


@pytest.fixture(scope="module")
def ray_up(toy_environment: None) -> Iterator[None]:
    """A local Ray with two workers' room, as `run` starts it."""
    with cluster.cluster(Engine(workers=2)):
        yield


@pytest.fixture
def toys(ray_up: None, tmp_path: Path) -> Toys:
    return Toys(tmp_path)
