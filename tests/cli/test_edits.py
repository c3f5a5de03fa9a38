"""Tests of what `plan` and `explain JOB` say about the tasks of a job that was edited."""

import json

import pytest


@pytest.fixture
def edited_job(job, complete_store):
    """Return the job file after an edit, with a store in which all tasks of the version before are done."""
    text = job.read_text()
    job.write_text(text.replace("samples: 100, steps: 20", "samples: 100, steps: 20, lr: 0.1"))
    assert job.read_text() != text
    return job


def test_plan_names_the_key_that_made_tasks_new(sweeper, edited_job):
    result = sweeper("plan", edited_job)
    assert result.returncode == 0, result.stderr
    assert "  new: 16 stitches: models.weak.lr 0.05 -> 0.1\n" in result.stdout
    assert "  new: 2 models: models.weak.lr 0.05 -> 0.1\n" in result.stdout
    assert "  no longer named: 16 done stitches, for example " in result.stdout
    changes = json.loads(sweeper("plan", edited_job, "--json").stdout)["changes"]
    assert (changes["run"], changes["not_new"]) == ("r1", 0)
    assert {(group["kind"], group["tasks"]) for group in changes["no_longer_named"]} == {
        ("models", 2),
        ("stitches", 16),
        ("similarities", 4),
    }


def test_plan_says_nothing_without_an_edit_or_after_one_of_the_engine(sweeper, job, complete_store):
    assert "compared with" not in sweeper("plan", job).stdout
    job.write_text(job.read_text() + "engine: {workers: 3}\nmargin: 2\n")
    assert "compared with" not in sweeper("plan", job).stdout
    assert "changes" not in json.loads(sweeper("plan", job, "--json").stdout)


def test_explain_shows_a_new_task_and_the_done_one_that_is_nearest(sweeper, edited_job):
    result = sweeper("explain", edited_job)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    words = " ".join(result.stdout.split())
    assert "new: 16 stitches: models.weak.lr 0.05 -> 0.1" in words
    [group] = [
        group
        for group in json.loads(sweeper("explain", edited_job, "--json").stdout)["new"]
        if group["kind"] == "stitches"
    ]
    assert f"for example {group['task']}; nearest done task: {group['nearest']}" in words
    nearest = json.loads(sweeper("explain", group["nearest"], "--json").stdout)
    assert nearest["task"]["state"] == "done"


def test_explain_of_a_job_without_an_edit_says_so(sweeper, job, complete_store):
    assert "names the same tasks as when it last ran" in sweeper("explain", job).stdout
    assert sweeper("explain", job, "--store", "none").returncode == 2
