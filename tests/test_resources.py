"""Tests of finding jobs by name and by path, and analyses, in a checkout (in a wheel: tests/test_wheel.py)."""

import os

import pytest

from sweeper.errors import UsageError
from sweeper.resources import analysis_dir, job, job_names, jobs_dir, paper_dir


def test_job_names_leave_out_the_cluster_files():
    assert {"demo", "paper/more-data", "paper/more-data.small"} <= set(job_names())
    assert not any("launch" in name for name in job_names())


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "jobs/demo.yaml", "jobs/demo"])
def test_a_job_is_found_by_each_form_of_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert job(name) == jobs_dir() / "demo.yaml"


def test_a_file_of_the_user_has_priority(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text("name: mine")
    assert job("demo.yaml").read_text() == "name: mine"
    assert job("demo") == jobs_dir() / "demo.yaml"


def test_an_unknown_job_is_refused_with_the_names_of_jobs():
    with pytest.raises(UsageError, match="paper/more-data"):
        job("more-data")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "the name of the job is empty"),
        (" ", "the name of the job is empty"),
        ("folder", r"folder is a folder, not a job file; it has folder/a\.yaml"),
        ("zzzzzz", r"no job file zzzzzz, .*; there are own\.yaml, demo, paper/more-data, \.\.\.$"),
        ("folder/b.yaml", r"did you mean 'folder/a\.yaml'\?"),
    ],
)
def test_what_is_no_job_gets_a_short_answer(tmp_path, monkeypatch, name, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for file in ("own.yaml", "folder/a.yaml"):
        (tmp_path / file).touch()
    with pytest.raises(UsageError, match=problem):
        job(name)


def test_a_pipe_is_a_job_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert job(str(tmp_path / "pipe")) == tmp_path / "pipe"


def test_the_analysis_folder_has_the_sql_files():
    assert (analysis_dir() / "more_data.sql").is_file()


def test_the_paper_folder_has_the_curves_and_the_figures():
    assert paper_dir() == analysis_dir() / "paper"
    assert {"figures.csv", "protocol.yaml", "figures", "README.md"} <= {path.name for path in paper_dir().iterdir()}
