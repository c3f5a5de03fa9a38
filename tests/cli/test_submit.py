"""Tests of the commands `submit`, `follow` and `stop` with the stand-in of a job server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.driver_process import until
from support.job_server import TOKEN, JobServer

from sweeper.store.store import Store

SWEEPER = [sys.executable, "-m", "sweeper"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    """Start a job server at the default address of the commands, whose token this process has."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = JobServer(folder)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", server.address)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    yield server
    server.end()


def test_a_dry_run_shows_what_would_be_sent_and_no_value_of_a_variable(sweeper, server, job):
    secret = "tWb3xT2sAq"
    answer = sweeper(
        "submit", job, "--dry-run", "--store", "s3://b/toy", "--env", "AWS_KEY", "--env", "A=1", AWS_KEY=secret
    )
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert f"to:           {server.address}" in lines
    assert "environment:  A, AWS_KEY" in lines
    assert any(line.endswith(f" {job.stat().st_size} B  job/toy.yaml") for line in lines)
    assert any("Sweeper itself" in line for line in lines)
    assert "--store s3://b/toy engine.address=auto" in answer.stdout
    assert secret not in answer.stdout + answer.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["models.weak.arch=resnet18"], "did you mean 'resnet18k'?"),
        (["models.weak.arch=resnet18", "--data-on-cluster", "dataset.parquet=/nowhere"], "did you mean 'resnet18k'?"),
        (["dataset.parquet=/nowhere"], "/nowhere"),
        (["--store", "runs/toy"], "the store runs/toy is a folder of this machine"),
        (["--env", "UNSET_VARIABLE"], "UNSET_VARIABLE is not set on this machine"),
    ],
)
def test_a_mistake_is_found_before_anything_is_sent(sweeper, server, job, arguments, problem):
    answer = sweeper("submit", job, "--store", "/shared/toy", *arguments)
    assert answer.returncode == 2
    assert problem in answer.stderr
    assert server.requests == []


def test_a_data_set_that_only_the_cluster_has_is_accepted_with_the_option(sweeper, server, job):
    arguments = ("submit", job, "--store", "/shared/toy", "--dry-run", "dataset.parquet=/nowhere/cifar")
    assert sweeper(*arguments).returncode == 2
    answer = sweeper(*arguments, "--data-on-cluster")
    assert answer.returncode == 0, answer.stderr
    assert "the data set /nowhere/cifar" in answer.stdout


def test_a_cluster_without_a_token_is_refused_and_gets_nothing(sweeper, server, job):
    server.token = ""
    answer = sweeper("submit", job, "--store", "/shared/toy")
    assert answer.returncode == 2
    assert "answers without a token" in answer.stderr
    assert (server.packages, server.jobs) == ({}, {})


def test_where_nothing_answers_the_ways_to_a_cluster_are_named(sweeper, server, job):
    server.close()
    answer = sweeper("submit", job, "--store", "/shared/toy")
    assert answer.returncode == 2
    assert "doesn't answer" in answer.stderr
    assert "ray dashboard CLUSTER.yaml" in answer.stderr
    server.open()


@pytest.mark.parametrize(("exit_code", "reported"), [(0, 0), (3, 3), (4, 4)])
def test_the_exit_code_is_that_of_the_driver(sweeper, server, job, exit_code, reported, monkeypatch):
    replace_driver(monkeypatch, f"echo end; exit {exit_code}")
    answer = sweeper("submit", job, "--store", "/shared/toy")
    assert (answer.returncode, answer.stdout) == (reported, "end\n")
    assert "watch:   sweeper status --watch --store /shared/toy" in answer.stderr


def test_a_driver_is_followed_and_stopped_by_its_name(sweeper, server, job, monkeypatch):
    replace_driver(monkeypatch, "echo begun; exec sleep 600")
    started = sweeper("submit", job, "--store", "/shared/toy", "--no-follow")
    assert started.returncode == 0
    name = started.stdout.strip()
    assert f"stop:    sweeper stop {name} --address {server.address}" in started.stderr
    stopped = sweeper("stop", name)
    assert stopped.returncode == 0
    assert f"{name} has ended (exit code 130)" in stopped.stderr
    followed = sweeper("follow", name)
    assert (followed.returncode, followed.stdout) == (130, "begun\n")
    assert "no driver absent" in sweeper("follow", "absent").stderr


def replace_driver(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Let the server start another command than the driver."""
    submit = JobServer.submit
    monkeypatch.setattr(JobServer, "submit", lambda server, request: submit(server, request | {"entrypoint": command}))


def test_a_job_runs_to_its_end_and_ctrl_c_ends_only_the_following(server, job, tmp_path):
    settings = ["models.weak.seed=0", "models.strong.seed=10", "stitch.0.layers=conv1", "engine.workers=1"]
    command = [*SWEEPER, "submit", job, *settings, "engine.address=local", "--store", tmp_path / "store"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert until(lambda: server.jobs, timeout=60)
        assert until(lambda: (tmp_path / "store" / "sweeper.json").exists(), timeout=60)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=30)
    assert process.returncode == 130
    [name] = server.jobs
    assert messages.endswith(
        f"{name} goes on\nfollow:  sweeper follow {name} --address {server.address}\n"
        f"stop:    sweeper stop {name} --address {server.address}\n"
    )
    followed = subprocess.run([*SWEEPER, "follow", name], env=os.environ, capture_output=True, text=True, timeout=280)
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert "complete: " in followed.stdout
    assert Store.open(str(tmp_path / "store")).done()
