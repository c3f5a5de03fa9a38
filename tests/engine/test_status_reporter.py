"""Tests of what a run says while its workers are being set up."""

from sweeper.engine.node_use import BusyWorker
from sweeper.engine.status_reporter import set_up_text


def test_the_user_is_told_that_workers_are_being_set_up_and_for_how_long():
    first, second = BusyWorker("p1", "n", 7.0, False), BusyWorker("p2", "n", 3.0, False)
    assert set_up_text([first]) == "waiting until 1 worker imports torch and the job's code, 7 s"
    assert set_up_text([second, first]) == "waiting until 2 workers import torch and the job's code, 7 s"


def test_nothing_is_said_at_once_or_while_a_worker_works():
    assert set_up_text([]) == ""
    assert set_up_text([BusyWorker("p1", "n", 1.0, False)]) == ""
    assert set_up_text([BusyWorker("p1", "n", 9.0, False), BusyWorker("p2", "n", 9.0, True)]) == ""
