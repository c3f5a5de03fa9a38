"""`sweeper status`, and which store a command means."""

import json

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


class TestStatus:
    def test_complete(self, sweeper, filled):
        told = json.loads(sweeper("status", "--json").stdout)
        assert told["driver"] is None
        (toy,) = told["jobs"]
        assert (toy["job"], toy["outcome"], toy["missing"], toy["failed"], toy["blocked"]) == (
            "toy",
            "complete",
            0,
            0,
            0,
        )
        assert toy["tasks"]["stitches"] == {"tasks": 16, "done": 16}

    def test_missing_failed_and_blocked(self, sweeper, job, tmp_path):
        plan = Plan.of(load(job))
        model = plan.models[0]
        pairs = {id: plan.task(id) for id in plan.ids()[len(plan.models) :]}
        needs = [id for id, task in pairs.items() if model in (task.a, task.b)]
        other = next(id for id in pairs if id not in needs)
        fill(job, tmp_path / "runs" / "toy", without=[*needs, other], failed=[model.id], ended=False)
        (toy,) = json.loads(sweeper("status", "--json").stdout)["jobs"]
        assert (toy["failed"], toy["blocked"], toy["missing"]) == (1, len(needs), 1)
        assert toy["outcome"] == "lost"  # its run has no end, and nobody holds the store

    def test_a_living_driver_is_seen(self, sweeper, filled):
        with filled.lease():
            told = json.loads(sweeper("status", "--json").stdout)
        assert set(told["driver"]) == {"host", "pid", "heartbeat"}
        assert json.loads(sweeper("status", "--json").stdout)["driver"] is None

    def test_a_running_job_has_time_left(self, job, tmp_path):
        """A run of this very process, half an hour old, with half of its stitches done."""
        import os
        import socket
        from datetime import UTC, datetime, timedelta

        from sweeper.cli import status

        plan = Plan.of(load(job))
        stitches = plan.ids()[len(plan.models) :]
        began = datetime.now(UTC) - timedelta(minutes=30)
        driven = {"host": socket.gethostname(), "pid": os.getpid(), "at": began}
        store = fill(job, tmp_path / "runs" / "toy", without=stitches[::2], ended=False, start=driven)
        with store.lease():
            (toy,) = status.job_statuses(store, None, store.driver())
        assert toy.outcome == "running"
        assert toy.seconds == pytest.approx(1800, abs=60)
        assert toy.left is not None
        assert 300 < toy.left < 3600

    def test_watching_ends_when_nothing_is_missing(self, sweeper, filled):
        assert sweeper("status", "--watch").returncode == 0

    def test_a_job_that_the_store_does_not_keep(self, sweeper, filled):
        done = sweeper("status", "--job", "other")
        assert done.returncode == 2
        assert "its jobs: toy" in done.stderr


class TestWhichStore:
    def test_none(self, sweeper):
        done = sweeper("status")
        assert done.returncode == 2
        assert "--store" in done.stderr

    def test_several(self, sweeper, job, filled, tmp_path):
        fill(job, tmp_path / "runs" / "other")
        done = sweeper("sql", "FROM models")
        assert done.returncode == 2
        assert "runs/other, runs/toy" in done.stderr
        assert sweeper("sql", "FROM models", "--store", "runs/toy").returncode == 0
        assert sweeper("sql", "FROM models", SWEEPER_STORE="runs/toy").returncode == 0

    def test_a_folder_that_is_no_store(self, sweeper, tmp_path):
        done = sweeper("status", "--store", tmp_path)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
