"""Tables on the tasks of a store: what they cost, which failed, and whether all are done."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from support import store_rows
from support.planted_store import Planted, analysis_table

from sweeper.report.answers import short_answer
from sweeper.report.tables import tables
from sweeper.report.terminal import short_tables_as_text
from sweeper.spec.records.rows import FailureRow
from sweeper.store.store import Store

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
COUNTS = {"host": "laptop", "job_given": "", "tasks": 10, "done_before": 0, "failed": 0, "done": 0}


@pytest.fixture
def store(planted: Planted) -> Store:
    return planted.store


def start(run: str, job: str, engine: dict | None = None, minutes: int = 0, **fields):
    """Return the start row of a run."""
    resolved = json.dumps({"engine": engine or {"cpus": 1, "gpus": "auto"}})
    values = COUNTS | {"run": run, "job": job, "job_resolved": resolved, "at": NOON + timedelta(minutes=minutes)}
    return store_rows.start(run, **(values | fields))


def end(run: str, job: str, minutes: int = 5, **fields):
    """Return the end row of a run."""
    values = COUNTS | {"run": run, "job": job, "job_resolved": "", "at": NOON + timedelta(minutes=minutes)}
    return store_rows.end(run, **(values | fields))


def failure(task: str, run: str = "r1", **fields) -> FailureRow:
    """Return a failed attempt at a task."""
    values = {"of": "stitches", "error": "ValueError", "message": f"{task} is wrong", "traceback": "", "final": True}
    return store_rows.filled(FailureRow, task=task, run=run, **(values | {"place": "map.py:3", "at": NOON} | fields))


def rows(store: Store, name: str, **options) -> list[dict]:
    return analysis_table(store, name, **options).rows.to_pylist()


class TestCost:
    def test_hours_are_those_of_all_attempts_times_the_cores_or_gpus_of_a_worker(self, store):
        """Compare with sums over the rows that were written."""
        workers = {"r1": ("wide", 4, 0.5), "r2": ("narrow", 1, "auto")}
        attempts = [
            ("r1", "m1", "models", "cpu", 3600.0, "done"),
            ("r1", "m2", "models", "cpu, bfloat16", 1800.0, "done"),
            ("r1", "m2", "models", "cpu", 900.0, "failed"),
            ("r1", "s1", "stitches", "NVIDIA H200", 7200.0, "done"),
            ("r2", "s2", "stitches", "NVIDIA H200", 600.0, "done"),
            ("r2", "s3", "stitches", "", 60.0, "failed"),
        ]
        for run, (job, cpus, gpus) in workers.items():
            store.commit([start(run, job, {"cpus": cpus, "gpus": gpus}), end(run, job)], run=run, worker="d")
        expected: dict[tuple, list[float]] = defaultdict(lambda: [0.0] * 4)
        for run, task, kind, device, seconds, outcome in attempts:
            fields = {"run": run, "device": device, "seconds": seconds}
            if outcome == "failed":
                row = failure(task, of=kind, **fields)
            elif kind == "models":
                row = store_rows.model(task, **fields)
            else:
                row = store_rows.stitch("m1", "m2", task=task, **fields)
            store.commit([row], run=run, worker="w")
            job, cpus, gpus = workers[run]
            sums = expected[job, kind, device or None]
            gpus = 0.25 if gpus == "auto" else gpus
            sums[0] += seconds / 3600
            sums[1] += seconds / 3600 * cpus * device.startswith("cpu")
            sums[2] += seconds / 3600 * gpus * device.startswith("NVIDIA")
            sums[3] += seconds / 3600 * (outcome == "failed")
        columns = ("hours", "core_hours", "gpu_hours", "failed_hours")
        found = {(r["job"], r["kind"], r["device"]): [r[name] for name in columns] for r in rows(store, "cost")}
        assert found == {key: pytest.approx(sums) for key, sums in expected.items()}
        assert sum(row["share"] for row in rows(store, "cost")) == pytest.approx(100)
        assert short_answer(analysis_table(store, "cost")) == [
            "7.00 core-hours and 1.04 GPU-hours in 6 attempts at tasks."
        ]

    def test_results_of_an_unknown_run_have_no_job(self, store):
        store.commit([store_rows.model("m1", device="cpu", seconds=3600.0)], run="elsewhere", worker="w")
        (row,) = rows(store, "cost")
        assert (row["job"], row["core_hours"]) == (None, 1.0)


class TestFailed:
    def test_failed_tasks_are_counted_by_class_with_an_example(self, store):
        store.commit(
            [
                failure("s1", message="first line\nsecond line"),
                failure("s2", final=False),
                failure("s3", place=None, error="WorkerLostError"),
                failure("m1", of="models", place=None, error="WorkerLostError"),
                failure("s4"),
                store_rows.stitch("a", "b", task="s4", at=NOON),  # done after all
            ],
            run="r1",
            worker="w",
        )
        found = [
            (r["cause"], r["kind"], r["tasks"], r["for_good"], r["task"], r["message"]) for r in rows(store, "failed")
        ]
        assert found == [
            ("ValueError at map.py:3", "stitches", 2, 1, "s1", "first line"),
            ("WorkerLostError", "models", 1, 1, "m1", "m1 is wrong"),
            ("WorkerLostError", "stitches", 1, 1, "s3", "s3 is wrong"),
        ]
        assert short_answer(analysis_table(store, "failed")) == [
            "4 tasks have failed, 3 of them for good (classes of errors: 3)."
        ]

    def test_only_the_given_tasks_are_counted(self, store):
        store.commit([failure("s1"), failure("s2")], run="r1", worker="w")
        assert [row["tasks"] for row in rows(store, "failed", only=["s2"])] == [1]


class TestComplete:
    def counts(self, store: Store, **options) -> dict[str, tuple[int, ...]]:
        names = ("tasks", "done", "failed", "missing", "is_complete")
        return {row["job"]: tuple(row[name] for name in names) for row in rows(store, "complete", **options)}

    def test_the_latest_run_of_each_job_counts(self, store):
        store.commit([start("r1", "a"), end("r1", "a", done=4, outcome="interrupted")], run="r1", worker="d")
        store.commit([start("r2", "b", tasks=3), end("r2", "b", done=3)], run="r2", worker="d")
        assert self.counts(store) == {"a": (10, 4, 0, 6, 0), "b": (3, 3, 0, 0, 1)}
        again = [start("r3", "a", minutes=9, done_before=4), end("r3", "a", 10, done=6)]
        store.commit(again, run="r3", worker="d")
        assert self.counts(store)["a"] == (10, 10, 0, 0, 1)
        assert short_answer(analysis_table(store, "complete")) == [
            "13 of 13 tasks are done, 0 have failed, 0 are missing (complete jobs: 2 of 2)."
        ]

    def test_a_run_without_an_end_is_counted_by_its_results(self, store):
        lines = [start("r1", "a", done_before=2), store_rows.model("m1", run="r1"), store_rows.model("m2", run="r1")]
        store.commit([*lines, failure("s1"), store_rows.model("m3", run="other")], run="r", worker="w")
        assert self.counts(store) == {"a": (10, 4, 1, 5, 0)}
        assert rows(store, "complete")[0]["latest_run"] == "running or lost"

    def test_tasks_that_failed_in_an_earlier_run_have_failed(self, store):
        first = [start("r1", "a"), failure("s1"), failure("s2"), failure("s3", final=False)]
        store.commit([*first, end("r1", "a", done=7, failed=2)], run="r", worker="w")
        second = [start("r2", "a", minutes=9, done_before=7), end("r2", "a", 10, done=1)]
        store.commit([*second, store_rows.stitch("a", "b", task="s2", run="r2")], run="r", worker="w")
        assert self.counts(store) == {"a": (10, 8, 1, 1, 0)}

    def test_one_job_can_be_named(self, store):
        store.commit([start("r1", "a"), start("r2", "b")], run="r", worker="d")
        assert set(self.counts(store, parameters={"job": "b"})) == {"b"}
        assert set(self.counts(store, defaults={"job": "a"})) == {"a"}


def test_beside_other_tables_each_is_a_sentence_with_its_command(demo):
    lines = short_tables_as_text(tables(demo), 100).splitlines()
    beside = [line for line in lines if line.startswith(("cost: ", "complete: "))]
    assert len(beside) == 2
    assert beside[1].startswith("cost: ")
    assert beside[1].endswith(" attempts at tasks. sweeper tables cost")
    alone = short_tables_as_text(tables(demo, ["cost", "complete"]), 100)
    assert "What did the experiments cost?" in alone
    assert "demo   2080  2080" in alone
