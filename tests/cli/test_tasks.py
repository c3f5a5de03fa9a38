"""Tests of the ids, and their first digits, by which commands take a task."""

import json

import pytest

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


@pytest.fixture
def ids(job) -> list[str]:
    """Return the ids of the tasks of the job."""
    return Plan.of(load(job)).ids()


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', " {} ", "`{}`", "{}..."])
@pytest.mark.parametrize("length", [8, 9, 31, 32])
def test_a_unique_prefix_names_a_task_with_and_without_quotes(sweeper, complete_store, ids, form, length):
    for task in (ids[0], ids[-1]):
        result = sweeper("explain", form.format(task[:length]).upper(), "--json")
        assert json.loads(result.stdout)["task"]["task"] == task


def test_a_prefix_of_several_tasks_lists_them(sweeper, complete_store, ids):
    digit = max("0123456789abcdef", key=lambda digit: sum(id.startswith(digit) for id in ids))
    result = sweeper("explain", digit)
    assert result.returncode == 2
    listed = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in listed] == sorted(id for id in ids if id.startswith(digit))
    assert {line[1] for line in listed} <= {"model", "stitch", "measurement"}
    assert {tuple(line[2:]) for line in listed} == {("done", "toy")}
    assert f"ids begin with {digit}; give more digits" in result.stderr


@pytest.mark.parametrize("wrong", ["", "weak", "xyz", "0" * 33, "''"])
def test_a_text_that_is_no_id_is_refused(sweeper, complete_store, wrong):
    result = sweeper("explain", wrong)
    assert result.returncode == 2
    assert "is not a task id" in result.stderr
