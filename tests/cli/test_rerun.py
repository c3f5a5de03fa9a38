"""Tests of `sweeper rerun`: in this process with real computation, and in a run of its own with toy tasks."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.driver_process import Driver
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load
from sweeper.spec.records.task import Model


@pytest.fixture
def ids(job) -> list[str]:
    """Return the ids of the tasks of the job: four models, then the others."""
    return Plan.of(load(job)).ids()


@pytest.fixture
def failed(job, ids) -> list[str]:
    """Return the ids of two stitches that do not need the first model."""
    return [id for id in ids[4:20] if ids[0] not in _models(job, id)][:2]


@pytest.fixture
def store(job, ids, failed):
    """Return a store in which the first model is missing and two stitches have failed; weights are no real ones."""
    return fill(job, job.parent / "runs" / "toy", without=ids[:1], failed=failed)


class TestHere:
    def test_the_result_is_stored_in_a_run_of_its_own(self, sweeper, store, ids):
        result = sweeper("rerun", ids[0][:10], "--here")
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
        assert f"{ids[0]}: done in" in result.stderr
        assert "(stored)" in result.stderr
        assert ids[0] in store.done()
        [row] = store.sql(f"SELECT run, code FROM models WHERE task = '{ids[0]}'").to_pylist()
        end = store.runs()[-1]
        assert (end.run, end.event, end.outcome, end.done) == (row["run"], "end", "complete", 1)
        assert row["code"]
        assert store.driver() is None, "the lease is released"

        again = sweeper("rerun", ids[0], "--here")
        assert again.returncode == 2
        assert "is done, and a result is never replaced" in again.stderr
        parts = store.sql("SELECT count(*) AS n FROM attempts")["n"][0].as_py()
        assert sweeper("rerun", ids[0], "--here", "--no-commit").returncode == 0
        assert store.sql("SELECT count(*) AS n FROM attempts")["n"][0].as_py() == parts

    def test_an_error_is_shown_in_full_and_stored(self, store, failed):
        stitch = failed[0]
        command = [sys.executable, "-m", "sweeper", "rerun", stitch, "--here", "--store", store.url]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
        assert result.returncode == 1
        assert result.stderr.startswith("Traceback (most recent call last)")
        assert "in from_bytes\n" in result.stderr, "the frame of the kernel that raised"
        assert f"`python -m pdb -m sweeper rerun {stitch} --here" in result.stderr
        [row] = store.sql(f"SELECT error, final, place FROM failures WHERE task = '{stitch}'").to_pylist()
        assert (row["error"], row["final"]) == ("SafetensorError", True)
        assert row["place"].startswith("safetensors/torch.py:")

    def test_a_debugger_stops_where_the_error_was_raised(self, store, failed):
        stitch = failed[0]
        command = [sys.executable, "-m", "pdb", "-m", "sweeper", "rerun", stitch, "--here", "--no-commit"]
        result = subprocess.run(
            [*command, "--store", store.url], input="c\nup\np len(blob)\nq\nq\n", capture_output=True, text=True,
            check=False, timeout=200,
        )  # fmt: skip
        assert "Entering post mortem debugging" in result.stdout
        assert "(Pdb) 32\n" in result.stdout, "the weights of the toy store are the 32 digits of an id"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["ffff0000ffff"], "no task of the jobs in"),
            (["weak"], "is not a task id"),
            (["{stitch}"], "which is not done; `sweeper rerun"),
        ],
    )
    def test_a_task_that_can_not_be_performed_is_refused_with_a_sentence(
        self, sweeper, job, store, ids, arguments, message
    ):
        stitch = next(id for id in ids[4:] if ids[0] in _models(job, id))
        result = sweeper("rerun", *(text.format(stitch=stitch) for text in arguments), "--here")
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_run_of_its_own_always_stores(self, sweeper, store, failed):
        result = sweeper("rerun", failed[0], "--no-commit")
        assert result.returncode == 2
        assert "--no-commit needs --here" in result.stderr


def _models(job, task: str) -> set[str]:
    """Return the ids of the models that a stitch or measurement of the job needs."""
    planned = Plan.of(load(job)).task(task)
    assert not isinstance(planned, Model)
    return {planned.a.id, planned.b.id}


def test_a_run_of_its_own_tries_one_task_and_shows_the_traceback_of_its_failure(store, ids, failed):
    """Check with a real Ray and toy tasks, which raise because the weights of the store are not theirs."""
    driver = Driver.of_command(Path(store.url), "rerun", failed[0][:12])
    try:
        _, stderr = driver.end(timeout=250)
    finally:
        driver.kill_all()
    assert driver.process.returncode == 3, stderr
    assert "in _check_inputs" in stderr
    assert f"{failed[0]}: failed; `sweeper rerun {failed[0]} --here" in stderr
    tried = store.sql("SELECT DISTINCT task FROM attempts WHERE run <> 'r1'")["task"].to_pylist()
    assert tried == failed[:1], "neither the missing model nor the other failed stitch"
    assert store.failed() == set(failed)
