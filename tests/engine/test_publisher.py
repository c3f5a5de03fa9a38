"""Tests of the published progress of a run, with a real driver and its workers as other processes."""

import signal
import time

import pytest
from support.driver_process import Driver, until
from support.toy_run import Toys

from sweeper.cli import status
from sweeper.engine.progress import Status
from sweeper.engine.publisher import Publisher
from sweeper.store.parts import store_paths

STATUS = Status(tasks=9, done=1, failed=0, blocked=0, running=2, settled=1, elapsed=2.0, left=16.0)


@pytest.mark.slow
def test_another_process_sees_what_is_running_and_on_which_node(toy_environment, tmp_path):
    toys = Toys(tmp_path)
    toys.store_models()
    toys.set_rules({"*": "gate 2"})  # two tasks end, then each of the two workers waits in its next task
    driver = Driver(tmp_path / "store")

    def job_status() -> status.JobStatus | None:
        jobs = status.job_statuses(toys.store, None, toys.store.driver())
        return jobs[0] if jobs and jobs[0].progress and jobs[0].progress.running == 2 else None

    try:
        assert until(job_status, timeout=120)
        job = job_status()
        assert job is not None
        assert job.outcome == "running"
        assert job.progress is not None
        [node] = job.progress.nodes
        assert (node.running, node.starting, job.progress.starting) == (2, 0, 0)
        packs = len([pack for pack in toys.plan.packs() if pack.inputs])
        assert packs - 4 <= job.progress.queued <= packs - 2, "what has no worker is queued"
        driver.signal(signal.SIGTERM)
        toys.open_gate()
        driver.end()
    finally:
        driver.kill_all()
    assert toys.store.objects.list(store_paths.PROGRESS) == [], "nothing is left when a run ends"


def test_a_store_that_can_not_be_written_for_a_while_does_not_disturb_the_run(tmp_path, toy_environment):
    toys = Toys(tmp_path)
    obstacle = tmp_path / "store" / "progress"
    obstacle.write_text("not a folder")
    with Publisher(toys.store, "r1", period=0.01) as publisher:
        publisher.show(STATUS)
        time.sleep(0.2)
        obstacle.unlink()
        assert until(lambda: toys.store.progress("r1"), timeout=10)
