"""Tests of `sweeper status`, and of how a command finds its store."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load
from sweeper.store.holder import Holder
from sweeper.store.parts import store_paths


class TestStatus:
    def test_a_complete_job_has_nothing_missing(self, sweeper, complete_store):
        output = json.loads(sweeper("status", "--json").stdout)
        assert output["driver"] is None
        (toy,) = output["jobs"]
        assert (toy["job"], toy["outcome"], toy["missing"], toy["failed"], toy["blocked"]) == (
            "toy",
            "complete",
            0,
            0,
            0,
        )
        assert toy["tasks"]["stitches"] == {"tasks": 16, "done": 16}

    def test_missing_failed_and_blocked_tasks_are_counted(self, sweeper, job, tmp_path):
        plan = Plan.of(load(job))
        model = plan.models[0]
        pairs = {id: plan.task(id) for id in plan.ids()[len(plan.models) :]}
        dependent_ids = [id for id, task in pairs.items() if model in (task.a, task.b)]
        independent_id = next(id for id in pairs if id not in dependent_ids)
        fill(job, tmp_path / "runs" / "toy", without=[*dependent_ids, independent_id], failed=[model.id], ended=False)
        (toy,) = json.loads(sweeper("status", "--json").stdout)["jobs"]
        assert (toy["failed"], toy["blocked"], toy["missing"]) == (1, len(dependent_ids), 1)
        assert toy["outcome"] == "lost"  # its run has no end row, and no driver holds the lease

    def test_the_driver_that_holds_the_lease_is_shown(self, sweeper, complete_store):
        with complete_store.lease():
            output = json.loads(sweeper("status", "--json").stdout)
        assert set(output["driver"]) == {"host", "pid", "since", "heartbeat", "seconds_since_heartbeat"}
        assert 0 <= output["driver"]["seconds_since_heartbeat"] < 60
        assert json.loads(sweeper("status", "--json").stdout)["driver"] is None

    def test_a_driver_elsewhere_is_shown_with_its_age_by_one_clock(self, sweeper, complete_store):
        """Write the lease of a driver whose clock is a day ahead, as it would, and make it old."""
        ahead = datetime.now(UTC) + timedelta(days=1)
        holder = replace(Holder.of_this_process(120.0), host="far", pid=7, at=ahead.isoformat(), since="2026-11-01")
        complete_store.objects.create(store_paths.lease(1), holder.to_json())
        driver = "driver: process 7 on far, which has held it since 2026-11-01 00:00:00 UTC, last heartbeat"
        text = " ".join(sweeper("status").stdout.split())
        assert re.search(f"{driver} \\d+ s ago; its clock is (1 d 0 h|23 h 59 min) ahead of the store's", text), text
        file = Path(complete_store.url) / store_paths.lease(1)
        os.utime(file, (time.time() - 7200,) * 2)
        text = " ".join(sweeper("status").stdout.split())
        assert f"{driver} 2 h 0 min ago" in text
        assert "it seems to be dead: `sweeper resume --wait` takes over after 120 s" in text
        os.utime(file, (time.time() + 7200,) * 2)
        assert "this machine's clock differs" in " ".join(sweeper("status").stdout.split())

    @pytest.mark.parametrize("minutes_of_work", [20, 2], ids=["no wait", "a wait for nodes"])
    def test_the_time_left_of_a_running_job_is_estimated_from_its_first_task_on(self, job, tmp_path, minutes_of_work):
        """Use a run of this process that began half an hour ago and has done half of its stitches."""
        import socket

        from sweeper.cli import status

        plan = Plan.of(load(job))
        stitches = plan.ids()[len(plan.models) :]
        now = datetime.now(UTC)
        store = fill(
            job,
            tmp_path / "runs" / "toy",
            without=stitches[::2],
            ended=False,
            start={"host": socket.gethostname(), "pid": os.getpid(), "at": now - timedelta(minutes=30)},
            finished_at=now - timedelta(minutes=minutes_of_work),
        )
        with store.lease():
            (toy,) = status.job_statuses(store, None, store.driver())
        assert toy.outcome == "running"
        assert toy.seconds == pytest.approx(1800, abs=60)
        assert toy.left is not None
        assert 10 * minutes_of_work < toy.left < 120 * minutes_of_work

    def test_off_a_terminal_watching_prints_a_line_and_ends_when_nothing_is_missing(self, sweeper, complete_store):
        result = sweeper("status", "--watch")
        assert result.returncode == 0
        [text] = result.stdout.splitlines()
        assert text.endswith(" toy: 24/24 tasks (100%), complete")

    def test_watching_ends_when_nobody_reads_it(self, job, tmp_path, shell):
        fill(job, tmp_path / "runs" / "toy", without=[Plan.of(load(job)).ids()[-1]], ended=False)
        code = "import sweeper.cli.status as s; s.LINE_SECONDS = 0.1; s.print_status('runs/toy', None, True, False)"
        result = shell(f'python -c "{code}" | head -1')
        assert result.returncode == 0
        assert result.stdout.endswith("toy: 23/24 tasks (96%), lost\n")
        assert "Traceback" not in result.stderr

    def test_on_a_terminal_the_page_is_redrawn_in_place_until_nothing_is_missing(self, job, tmp_path, monkeypatch):
        """Watch a store from another process, and add the missing row after the first page."""
        last = Plan.of(load(job)).ids()[-1]
        fill(job, tmp_path / "runs" / "toy", without=[last], ended=False)
        master, terminal = pty.openpty()
        command = [sys.executable, "-m", "sweeper", "status", "--watch", "--store", str(tmp_path / "runs" / "toy")]
        with os.fdopen(terminal, "w") as stream:
            process = subprocess.Popen(command, stdout=stream, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
        pages = b""
        while b"23/24 tasks done, 1 missing" not in pages:
            pages += os.read(master, 10_000)
        fill(job, tmp_path / "runs" / "toy")
        while b"24/24 tasks done, 0 missing" not in pages:
            pages += os.read(master, 10_000)
        assert process.wait(timeout=30) == 0
        os.close(master)
        assert b"\x1b[1A\x1b[2K" in pages, "the cursor goes up and clears the lines of the first page"

    def test_failures_are_counted_by_class_and_the_newest_stitches_are_shown(self, sweeper, job, tmp_path):
        failed = Plan.of(load(job)).ids()[-2:]
        fill(job, tmp_path / "runs" / "toy", failed=failed)
        (toy,) = json.loads(sweeper("status", "--json").stdout)["jobs"]
        assert toy["failures"] == {"ValueError": 2}
        assert len(toy["newest"]) == 5
        assert toy["newest"][0]["bottom"].split(" seed ")[0] in ("weak", "strong")
        assert toy["newest"][0]["error"] == 10.0
        (cause,) = toy["causes"]
        assert (cause["tasks"], cause["name"], cause["task"], cause["message"]) == (2, "ValueError", min(failed), "no")
        text = sweeper("status").stdout
        assert f"  failed:    2 {cause['kind']}: ValueError\n" in text
        assert f"for example {min(failed)[:12]}: no\n" in text
        assert sweeper("explain", min(failed)[:12]).returncode == 0
        assert "top's own" in text

    def test_an_unknown_job_is_refused(self, sweeper, complete_store):
        result = sweeper("status", "--job", "other")
        assert result.returncode == 2
        assert "its jobs: toy" in result.stderr


class TestWhichStore:
    def test_without_a_store_the_command_is_refused(self, sweeper):
        result = sweeper("status")
        assert result.returncode == 2
        assert "--store" in result.stderr

    def test_one_of_several_stores_must_be_named(self, sweeper, job, complete_store, tmp_path):
        fill(job, tmp_path / "runs" / "other")
        result = sweeper("sql", "FROM models")
        assert result.returncode == 2
        assert "runs/other, runs/toy" in result.stderr
        assert sweeper("sql", "FROM models", "--store", "runs/toy").returncode == 0
        assert sweeper("sql", "FROM models", SWEEPER_STORE="runs/toy").returncode == 0

    def test_a_folder_that_is_not_a_store_is_refused(self, sweeper, tmp_path):
        result = sweeper("status", "--store", tmp_path)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
