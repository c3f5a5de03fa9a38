"""Tests of following a driver's log over a connection that is lost."""

import threading
import time

import pytest
from support.driver_process import until

from sweeper.remote import follow_log as following
from sweeper.remote.bundle import Bundle
from sweeper.remote.follow_log import follow_log
from sweeper.remote.ray_jobs import RayJobs
from sweeper.remote.submission import ConnectionLostError, DriverState, Submission
from sweeper.spec.job.load import load_as_written

COUNT = "for i in $(seq 1 60); do echo line $i; sleep 0.1; done"


@pytest.fixture
def counting(job, server) -> Submission:
    """Start a driver that writes 60 lines in six seconds."""
    bundle = Bundle(load_as_written(job)[0], "job/tiny.yaml", {"job/tiny.yaml": job.read_bytes()}, ())
    submission = Submission("sweeper-tiny-1", bundle, COUNT, {}, "/shared/tiny")
    RayJobs(server.address).start(submission)
    return submission


def test_a_lost_connection_is_made_again_and_no_line_is_lost_or_doubled(server, counting, monkeypatch):
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.1)
    texts: list[str] = []
    messages: list[str] = []

    def interrupt() -> None:
        until(lambda: "line 5" in "".join(texts), timeout=30)
        server.close()
        until(lambda: messages, timeout=30)
        time.sleep(1)
        server.open()

    thread = threading.Thread(target=interrupt)
    thread.start()
    state = follow_log(RayJobs(server.address), counting.name, texts.append, messages.append)
    thread.join()
    assert "".join(texts) == "".join(f"line {i}\n" for i in range(1, 61))
    assert state == DriverState(ended=True)
    assert len(texts) > 2, "the log came in pieces"
    lost, back = messages
    assert "doesn't answer" in lost
    assert back == "connected again"


def test_following_ends_if_the_connection_stays_lost(server, counting, monkeypatch):
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.1)
    server.close()
    start = time.monotonic()
    with pytest.raises(ConnectionLostError):
        follow_log(RayJobs(server.address), counting.name, lambda text: None, lambda text: None, patience=1.0)
    assert 1 <= time.monotonic() - start < 10
    server.open()
    assert not RayJobs(server.address).state(counting.name).ended, "the driver goes on"
