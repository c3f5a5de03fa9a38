"""Tests of a job file that was edited after its job was stored: `resume` says that the stored job runs."""

from pathlib import Path

import pytest

from sweeper.cli import edited

JOB = "name: toy\nmodels:\n  weak: {arch: mlp, width: [4, 8], steps: 3}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a job file."""
    path = tmp_path / "my job.yaml"
    path.write_text(JOB)
    return path


def stored(file: Path, *overrides: str) -> str:
    return edited.job_text(file.read_text(), file, overrides)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("steps: 3", "steps: 5", "models.weak.steps is 3 in the store and 5 in the file"),
        ("[4, 8]", "[4]", "models.weak.width.1 is 8 in the store and absent in the file"),
        (", steps: 3", ", steps: 3, seed: 1", "models.weak.seed is absent in the store and 1 in the file"),
    ],
)
def test_each_changed_setting_is_named_with_both_values(file, old, new, sentence):
    text = stored(file, "models.weak.width=4")
    file.write_text(JOB.replace(old, new))
    assert sentence in edited.differences(text, "my store")
    assert f"`sweeper run '{file}' --store 'my store'` runs the edited one" in edited.differences(text, "my store")


def test_a_file_with_other_comments_or_another_order_is_the_same_job(file):
    text = stored(file)
    file.write_text("# a remark\nmodels:\n  weak: {steps: 3, width: [4, 8], arch: mlp}\nname: toy\n")
    assert edited.differences(text, "my store") == ""


def test_many_differences_are_counted(file):
    text = stored(file)
    file.write_text(JOB.replace("[4, 8]", str(list(range(10, 40)))))
    assert "; and 22 more" in edited.differences(text, "my store")


def test_a_file_that_is_gone_or_broken_or_was_never_stored_gives_no_sentence(file):
    text = stored(file)
    file.write_text("{")
    assert edited.differences(text, "my store") == ""
    file.unlink()
    assert edited.differences(text, "my store") == ""
    assert edited.differences(JOB, "") == edited.differences("", "") == ""


def test_resume_with_a_job_file_names_the_command_that_runs_it(sweeper, job, complete_store):
    result = sweeper("resume", job.name, "--store", complete_store.url)
    assert result.returncode == 2
    assert "resume reads the job from its store; `sweeper run toy.yaml` runs the file" in result.stderr
