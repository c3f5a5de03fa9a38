"""Jobs by name and by path, from a checkout (tests/test_wheel.py asks the same of a wheel)."""

import pytest

from sweeper.errors import UsageError
from sweeper.resources import analysis_dir, job, job_names, jobs_dir, paper_dir


def test_names_are_of_jobs_alone():
    assert {"demo", "paper/more-data", "paper/more-data.small"} <= set(job_names())
    assert not any("launch" in name for name in job_names())


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "jobs/demo.yaml", "jobs/demo"])
def test_one_job_by_any_of_its_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert job(name) == jobs_dir() / "demo.yaml"


def test_a_file_of_the_users_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text("name: mine")
    assert job("demo.yaml").read_text() == "name: mine"
    assert job("demo") == jobs_dir() / "demo.yaml"


def test_what_is_not_there():
    with pytest.raises(UsageError, match="paper/more-data"):
        job("more-data")


def test_analyses():
    assert (analysis_dir() / "more_data.sql").is_file()


def test_the_papers_curves_and_what_stands_for_them():
    assert paper_dir() == analysis_dir() / "paper"
    assert {"figures.csv", "protocol.yaml", "figures", "README.md"} <= {path.name for path in paper_dir().iterdir()}
