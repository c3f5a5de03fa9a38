"""Tests of the reading of a worker's log, here and through Ray."""

import socket

import pytest
import ray

from sweeper.engine.death import WorkerPlace
from sweeper.engine.remote_log import read_log


@pytest.fixture
def log(tmp_path) -> str:
    """Return a log file."""
    (tmp_path / "worker.err").write_text("the last line\n")
    return str(tmp_path / "worker.err")


def test_a_log_on_this_machine_is_read_without_ray(log):
    assert read_log(WorkerPlace(socket.gethostname(), "no node", 1, (log,))) == "the last line"
    assert read_log(WorkerPlace(socket.gethostname(), "no node", 1, ())) is None
    assert read_log(None) is None


def test_a_log_on_another_machine_is_read_there_and_a_lost_machine_costs_seconds(ray_up, log):
    node = ray.get_runtime_context().get_node_id()
    assert read_log(WorkerPlace("elsewhere", node, 1, (log,))) == "the last line"
    assert read_log(WorkerPlace("elsewhere", "ab" * 28, 1, (log,))) is None
