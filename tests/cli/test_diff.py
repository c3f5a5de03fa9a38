"""Tests of `sweeper diff`."""

import json

from support.toy_store import fill


def other_store(job, url, old: str, new: str):
    """Return a store of the job with another setting."""
    other = job.with_name("other.yaml")
    other.write_text(job.read_text().replace(old, new))
    return fill(other, url)


def test_two_equal_stores_have_no_difference(sweeper, job, complete_store, tmp_path):
    fill(job, tmp_path / "copy")
    result = sweeper("diff", "runs/toy", "copy")
    assert result.returncode == 0, result.stderr
    assert "tasks: the same on both sides" in result.stdout
    assert "models and stitches done on both sides: 20, of which 0 have another test error" in result.stdout
    assert "of which 0 differ beyond their intervals" in result.stdout


def test_a_changed_setting_is_named_with_the_tasks_that_it_changes(sweeper, job, complete_store, tmp_path):
    other_store(job, tmp_path / "copy", "samples: 300, steps: 20", "samples: 300, steps: 20, lr: 0.1")
    result = sweeper("diff", "runs/toy", "copy")
    assert result.returncode == 0, result.stderr
    assert "toy: 2 models: models.strong.lr 0.05 -> 0.1" in result.stdout
    assert "tasks only on the left" in result.stdout
    facts = json.loads(sweeper("diff", "runs/toy", "copy", "--json").stdout)
    assert any("models.strong.lr 0.05 -> 0.1" in line for line in facts["settings"])
    assert facts["common_tasks"] == 10, "two models of `weak` and their eight stitches"


def test_runs_are_named_by_the_beginning_of_their_ids(sweeper, complete_store):
    result = sweeper("diff", "r1", "r")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("left:  r1 (toy)\nright: r1 (toy)\n")
    result = sweeper("diff", "r1", "nothing")
    assert result.returncode == 2
    assert "nothing is neither a store nor a run; runs of" in result.stderr
    assert ": r1 (--store names another store)" in result.stderr
