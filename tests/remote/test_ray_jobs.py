"""Tests of the client of Ray's job server."""

import socket
import time

import pytest
from support.driver_process import until

from sweeper.errors import SetupError, UsageError
from sweeper.remote.bundle import Bundle
from sweeper.remote.ray_jobs import RayJobs
from sweeper.remote.submission import DriverState, Submission
from sweeper.spec.job.load import load_as_written


@pytest.fixture
def submission(job) -> Submission:
    """Return a submission whose driver prints a file and a variable, and ends with exit code 3."""
    bundle = Bundle(load_as_written(job)[0], "job/tiny.yaml", {"greeting.txt": b"good day\n"}, ())
    command = "cat greeting.txt; echo $TOWN; exit 3"
    return Submission("sweeper-tiny-1", bundle, command, {"TOWN": "Delft"}, "/shared/tiny")


def with_command(submission: Submission, command: str) -> Submission:
    """Return a submission with another command."""
    return Submission(submission.name, submission.bundle, command, submission.environment, submission.store)


def test_a_driver_runs_in_the_folder_of_its_files_and_its_log_and_exit_code_come_back(job_server, submission):
    cluster = RayJobs(job_server)
    cluster.check()
    cluster.start(submission)
    log = "".join(cluster.log(submission.name, 0))
    lines = log.splitlines()
    assert lines.index("good day") < lines.index("Delft"), "Ray adds lines of its own, also between"
    assert cluster.state(submission.name) == DriverState(ended=True, exit_code=3)
    assert "".join(cluster.log(submission.name, 10)) == log[10:]
    cluster.start(submission)  # the answer to the first request may have been lost
    assert "".join(cluster.log(submission.name, 0)) == log, "the driver doesn't start again"

    stopped = Submission("sweeper-tiny-2", submission.bundle, "echo begun; exec sleep 600", {}, "/shared/tiny")
    cluster.start(stopped)
    assert until(lambda: "begun\n" in _log_so_far(cluster, stopped.name), timeout=60)
    assert not cluster.state(stopped.name).ended
    cluster.stop(stopped.name)
    assert until(lambda: cluster.state(stopped.name).ended, timeout=30)
    assert cluster.state(stopped.name) == DriverState(ended=True, exit_code=130, message="stopped")

    with pytest.raises(SetupError, match="no driver sweeper-tiny-3"):
        cluster.state("sweeper-tiny-3")


def _log_so_far(cluster: RayJobs, name: str) -> str:
    return next(cluster.log(name, 0), "")


def test_a_server_that_answers_without_a_token_is_refused(server, submission):
    server.token = ""
    with pytest.raises(SetupError, match=r"answers without a token.*nothing was sent.*RAY_AUTH_MODE=token"):
        RayJobs(server.address).check()
    assert server.requests == [], "the token is not sent to it"


def test_a_machine_without_a_token_is_told_where_it_goes(server, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    with pytest.raises(SetupError, match=r"this machine has none; copy the cluster's to ~/.ray/auth_token"):
        RayJobs(server.address).check()


def test_the_token_of_the_file_is_used(server, monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text(f"{server.token}\n")
    RayJobs(server.address).check()


def test_another_clusters_token_is_refused(job_server, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
    with pytest.raises(SetupError, match=r"requires another token than that of this machine \(RAY_AUTH_TOKEN\)"):
        RayJobs(job_server).check()


def test_an_address_without_an_answer_is_said_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(SetupError, match=f"{address} doesn't answer .Connection refused."):
            RayJobs(address).check()
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "ray://head:10001", "cluster", "http://"])
def test_an_address_that_is_no_url_is_refused(address):
    with pytest.raises(UsageError, match=f"--address {address}: give the URL of the cluster's job server"):
        RayJobs(address)


def test_the_package_is_sent_once(server, submission):
    cluster = RayJobs(server.address)
    cluster.start(submission)
    cluster.start(Submission("sweeper-tiny-2", submission.bundle, "true", {}, "/shared/tiny"))
    assert sum(request.startswith("PUT") for request in server.requests) == 1
