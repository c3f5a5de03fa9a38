"""`sweeper tables`, `audit`, `report` and `explain`: what a store holds, read in four ways."""

import json
from pathlib import Path

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


class TestTables:
    def test_formats(self, sweeper, filled):
        (table,) = json.loads(sweeper("tables", "zoo", "--json").stdout)
        assert table["name"] == "zoo"
        assert table["rows"]
        assert sweeper("tables", "zoo", "-f", "markdown").stdout.startswith("## zoo")
        assert r"\begin{table}" in sweeper("tables", "zoo", "-f", "latex").stdout
        assert "zoo" in sweeper("tables", "zoo").stdout
        assert sweeper("tables", "-f", "csv").returncode == 2

    def test_all_of_them_and_a_new_one(self, sweeper, filled, tmp_path):
        mine = tmp_path / "mine"
        mine.mkdir()
        (mine / "seeds.sql").write_text(
            "-- question: How many seeds?\n-- one row per: store\n-- read it as: a number\n"
            "SELECT count(DISTINCT seed) AS seeds FROM models\n"
        )
        tables = json.loads(sweeper("tables", "--analysis", mine, "--json").stdout)
        by_name = {table["name"]: table for table in tables}
        assert by_name["seeds"]["rows"] == [{"seeds": 4}]
        assert {"zoo", "more_data"} <= set(by_name)

    def test_of_one_job(self, sweeper, filled):
        assert sweeper("tables", "zoo", "--job", "toy").returncode == 0
        assert sweeper("tables", "zoo", "--job", "other").returncode == 2

    def test_with_another_margin(self, sweeper, filled):
        (table,) = json.loads(sweeper("tables", "more_data", "--set", "margin=2.5", "--json").stdout)
        assert table["parameters"]["margin"] == 2.5
        assert sweeper("tables", "--set", "margin").returncode == 2
        done = sweeper("tables", "more_data", "--set", "margins=2")
        assert done.returncode == 2
        assert "there are: images, margin" in done.stderr

    def test_with_the_margin_that_the_job_states(self, sweeper, job, filled):
        def margin(*arguments: object) -> tuple[float, str]:
            done = sweeper("tables", "more_data", "zoo", "--json", *arguments)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)[0]["parameters"]["margin"], done.stderr

        assert margin() == (1.0, "")
        stating = job.with_name("stating.yaml")
        stating.write_text(job.read_text().replace("name: toy", "name: stating\nmargin: 2.5"))
        fill(stating, Path(filled.url), start={"task": "r2", "run": "r2"})
        assert margin() == (2.5, "")
        assert margin("--job", "toy") == (1.0, "")
        assert margin("--set", "margin=3") == (3.0, "")
        other = job.with_name("other.yaml")
        other.write_text(job.read_text().replace("name: toy", "name: other\nmargin: 4"))
        fill(other, Path(filled.url), start={"task": "r3", "run": "r3"})
        found, said = margin()
        assert found == 1.0
        assert "(stating: 2.5, other: 4)" in said or "(other: 4, stating: 2.5)" in said
        assert margin("--job", "other") == (4.0, "")

    def test_no_such_table(self, sweeper, filled):
        done = sweeper("tables", "zo")
        assert done.returncode == 2
        assert "did you mean 'zoo'?" in done.stderr


class TestAudit:
    def test_a_figure_in_each_format(self, sweeper, filled):
        done = sweeper("audit", "2C")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("figure 2C\n")
        assert sweeper("audit", "2C", "-f", "markdown").stdout.startswith("## figure 2C\n")
        (found,) = json.loads(sweeper("audit", "2C", "--json", "--set", "margin=2.5").stdout)
        assert found["margin"] == 2.5
        assert {point["cut"] for point in found["compared"][0]["points"]} == {"conv1", "block8", "(A alone)"}

    def test_all_of_them_say_what_is_there_and_what_is_not(self, sweeper, filled):
        told = {figure["name"]: figure["missing"] for figure in json.loads(sweeper("audit", "--json").stdout)}
        assert told["2C"] is None
        assert "sweeper run paper/more-width.small" in told["3C"]

    def test_of_one_job(self, sweeper, filled):
        assert json.loads(sweeper("audit", "2C", "--job", "toy", "--json").stdout)[0]["compared"]
        assert sweeper("audit", "2C", "--job", "other").returncode == 2

    def test_to_a_file(self, sweeper, filled, tmp_path):
        assert sweeper("audit", "2C", "-o", "audit.txt").returncode == 0
        assert (tmp_path / "audit.txt").read_text().startswith("figure 2C\n")

    def test_what_is_not_there(self, sweeper, filled):
        done = sweeper("audit", "10")
        assert done.returncode == 2
        assert "no figure '10'; there are: 2A, 2B" in done.stderr
        done = sweeper("audit", "--set", "margins=2")
        assert done.returncode == 2
        assert "its only parameter is margin" in done.stderr


class TestReport:
    def test_writes_one_page_and_names_it(self, sweeper, filled, tmp_path):
        done = sweeper("report")
        assert done.returncode == 0, done.stderr
        assert Path(done.stdout.strip()) == tmp_path / "runs" / "toy" / "report.html"
        assert "<html" in Path(done.stdout.strip()).read_text()
        assert sweeper("report", "-o", "page.html").returncode == 0
        assert (tmp_path / "page.html").exists()

    def test_of_one_job(self, sweeper, filled):
        """The store holds one job; a page of any other is refused, so the option is not just dropped."""
        page = Path(sweeper("report", "--job", "toy").stdout.strip()).read_text()
        assert "<title>toy" in page
        assert sweeper("report", "--job", "other").returncode == 2


class TestExplain:
    def test_a_task_by_its_first_digits(self, sweeper, filled, job):
        task = Plan.of(load(job)).ids()[-1]
        told = json.loads(sweeper("explain", task[:12], "--json").stdout)
        assert told["task"]["task"] == task
        assert told["task"]["kind"] == "stitches"
        assert told["stitches"]["gain"] == 2.0
        assert told["attempts"][0]["outcome"] == "done"
        assert task in sweeper("explain", task).stdout

    @pytest.mark.parametrize("task", ["", "xyz", "%", "000000000000"])
    def test_no_task(self, sweeper, filled, task):
        assert sweeper("explain", task).returncode == 2
