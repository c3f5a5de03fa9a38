"""Tests of `sweeper explain`."""

import pytest
from support.store_rows import stitch
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


@pytest.fixture
def ids(job) -> list[str]:
    """Return the ids of the tasks of the job."""
    return Plan.of(load(job)).ids()


def test_no_line_has_more_than_eighty_characters(sweeper, job, ids, tmp_path):
    store = fill(job, tmp_path / "runs" / "toy", failed=ids[4:5])
    for task in (ids[0], ids[4], ids[5], ids[-1]):
        text = sweeper("explain", task).stdout
        assert task in text
        assert max(map(len, text.splitlines())) <= 80
    assert "failed" in sweeper("explain", ids[4]).stdout
    assert store.failed() == {ids[4]}


def test_a_task_that_no_job_names_now_is_shown_from_its_rows(sweeper, complete_store):
    task = "0123456789abcdef" * 2
    complete_store.commit([stitch("a", "b", task=task)], run="r", worker="w")
    text = sweeper("explain", task[:9]).stdout
    assert "no job of the store names this task" in " ".join(text.split())
    assert "penalty" in text
