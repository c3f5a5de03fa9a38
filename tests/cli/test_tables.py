"""Tests of the commands that print results of a store: `tables`, `audit`, `report` and `explain`."""

import json
from pathlib import Path

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


class TestTables:
    def test_a_table_is_printed_in_each_format(self, sweeper, complete_store):
        (table,) = json.loads(sweeper("tables", "zoo", "--json").stdout)
        assert table["name"] == "zoo"
        assert table["rows"]
        assert sweeper("tables", "zoo", "-f", "markdown").stdout.startswith("## zoo")
        assert r"\begin{table}" in sweeper("tables", "zoo", "-f", "latex").stdout
        assert "zoo" in sweeper("tables", "zoo").stdout
        assert sweeper("tables", "-f", "csv").returncode == 2

    def test_answers_are_printed_alone_or_before_the_tables(self, sweeper, complete_store):
        lines = sweeper("tables", "--answers").stdout.splitlines()
        answer = next(line for line in lines if "models of" in line)
        assert lines.index(answer) == 1 + next(i for i, line in enumerate(lines) if line.startswith("zoo: "))
        assert not any("─" in line for line in lines)
        short, full = (sweeper("tables", "zoo", *options).stdout for options in ((), ("--full",)))
        assert answer in short.splitlines()
        assert answer in full.splitlines()
        assert "Read it as: " in full
        assert "Read it as: " not in short
        documents = json.loads(sweeper("tables", "zoo", "--answers", "--json").stdout)
        assert (
            documents[0]["answers"] == json.loads(sweeper("tables", "zoo", "--json").stdout)[0]["answers"] == [answer]
        )

    @pytest.mark.parametrize("option", ["--full", "-fcsv", "-fmarkdown"])
    def test_answers_alone_have_no_rows_to_format(self, sweeper, complete_store, option):
        result = sweeper("tables", "zoo", "--answers", option)
        assert result.returncode == 2
        assert "--answers prints sentences" in result.stderr

    def test_tables_of_the_users_analysis_folder_are_added(self, sweeper, complete_store, tmp_path):
        folder = tmp_path / "analysis"
        folder.mkdir()
        (folder / "seeds.sql").write_text(
            "-- question: How many seeds?\n-- one row per: store\n-- read it as: a number\n"
            "SELECT count(DISTINCT seed) AS seeds FROM models\n"
        )
        tables = json.loads(sweeper("tables", "--analysis", folder, "--json").stdout)
        by_name = {table["name"]: table for table in tables}
        assert by_name["seeds"]["rows"] == [{"seeds": 4}]
        assert {"zoo", "more_data"} <= set(by_name)

    def test_columns_of_one_name_are_kept_in_every_format(self, sweeper, complete_store, tmp_path):
        folder = tmp_path / "analysis"
        folder.mkdir()
        (folder / "pairs.sql").write_text(
            "-- question: Which seeds?\n-- one row per: store\n-- read it as: numbers\n"
            "SELECT min(seed) AS seed, max(seed) AS seed FROM models\n"
        )
        result = sweeper("tables", "pairs", "--analysis", folder, "--json")
        assert json.loads(result.stdout)[0]["rows"] == [{"seed": 0, "seed_1": 11}]
        assert "pairs.sql have the same name and were renamed: seed -> seed_1" in result.stderr
        assert sweeper("tables", "pairs", "--analysis", folder, "-f", "csv").stdout.split() == ["seed,seed_1", "0,11"]
        markdown = sweeper("tables", "pairs", "--analysis", folder, "-f", "markdown").stdout
        assert "| 0 | 11 |" in markdown

    def test_tables_can_be_restricted_to_one_job(self, sweeper, complete_store):
        assert sweeper("tables", "zoo", "--job", "toy").returncode == 0
        assert sweeper("tables", "zoo", "--job", "other").returncode == 2

    def test_the_margin_can_be_set(self, sweeper, complete_store):
        (table,) = json.loads(sweeper("tables", "more_data", "--set", "margin=2.5", "--json").stdout)
        assert table["parameters"]["margin"] == 2.5
        assert sweeper("tables", "--set", "margin").returncode == 2
        result = sweeper("tables", "more_data", "--set", "margins=2")
        assert result.returncode == 2
        assert "their parameters are: images, margin" in result.stderr

    def test_the_default_margin_is_that_of_the_job(self, sweeper, job, complete_store):
        def margin(*arguments: object) -> tuple[float, str]:
            result = sweeper("tables", "more_data", "zoo", "--json", *arguments)
            assert result.returncode == 0, result.stderr
            return json.loads(result.stdout)[0]["parameters"]["margin"], result.stderr

        assert margin() == (1.0, "")
        stating = job.with_name("stating.yaml")
        stating.write_text(job.read_text().replace("name: toy", "name: stating\nmargin: 2.5"))
        fill(stating, Path(complete_store.url), start={"task": "r2", "run": "r2"})
        assert margin() == (2.5, "")
        assert margin("--job", "toy") == (1.0, "")
        assert margin("--set", "margin=3") == (3.0, "")
        other = job.with_name("other.yaml")
        other.write_text(job.read_text().replace("name: toy", "name: other\nmargin: 4"))
        fill(other, Path(complete_store.url), start={"task": "r3", "run": "r3"})
        margin_of_all, stderr = margin()
        assert margin_of_all == 1.0
        assert "(stating: 2.5, other: 4)" in stderr or "(other: 4, stating: 2.5)" in stderr
        assert margin("--job", "other") == (4.0, "")

    def test_an_unknown_table_is_refused_with_the_nearest_name(self, sweeper, complete_store):
        result = sweeper("tables", "zo")
        assert result.returncode == 2
        assert "did you mean 'zoo'?" in result.stderr


class TestSettle:
    def test_undecided_means_are_named_with_runs_and_cost(self, sweeper, complete_store):
        documents = json.loads(sweeper("settle", "--json", "--set", "margin=1e-9").stdout)
        lines = sweeper("settle", "--set", "margin=1e-9").stdout.splitlines()
        assert len([line for line in lines if line.startswith("  half-width ")]) == len(documents)
        assert max(map(len, lines)) <= 100
        text = " ".join(" ".join(lines).split())
        for document in documents:
            assert f"{document['table']}: {document['answer']} half-width" in text
            assert ": undecided. " in document["answer"]
            assert (document["more_runs"] is None) == (document["seconds"] is None)


class TestMethods:
    def test_the_paragraph_has_the_margin_of_the_job(self, sweeper, job, complete_store):
        result = sweeper("methods")
        assert result.returncode == 0, result.stderr
        assert "with a margin of 1 points" in " ".join(result.stdout.split())
        assert max(map(len, result.stdout.splitlines())) <= 100
        assert sweeper("methods", "--job", "other").returncode == 2


class TestAudit:
    def test_an_audit_is_printed_in_each_format(self, sweeper, complete_store):
        result = sweeper("audit", "2C")
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("in short\n")
        assert "\nfigure 2C\n" in result.stdout
        assert sweeper("audit", "2C", "-f", "markdown").stdout.startswith("## figure 2C\n")
        (figure,) = json.loads(sweeper("audit", "2C", "--json", "--set", "margin=2.5").stdout)
        assert figure["margin"] == 2.5
        assert {point["cut"] for point in figure["compared"][0]["points"]} == {"conv1", "block8", "(A alone)"}

    def test_a_figure_without_results_names_the_job_that_it_needs(self, sweeper, complete_store):
        missing_by_figure = {
            figure["name"]: figure["missing"] for figure in json.loads(sweeper("audit", "--json").stdout)
        }
        assert missing_by_figure["2C"] is None
        assert "sweeper run paper/more-width.small" in missing_by_figure["3C"]

    def test_without_figures_an_audit_is_short(self, sweeper, complete_store):
        short, full = sweeper("audit").stdout, sweeper("audit", "--full").stdout
        assert len(short.splitlines()) <= 40
        assert "\nfigure 2C\n" not in short
        assert full.startswith(short)
        assert "\nfigure 2C\n" in full

    def test_an_audit_can_be_restricted_to_one_job(self, sweeper, complete_store):
        assert json.loads(sweeper("audit", "2C", "--job", "toy", "--json").stdout)[0]["compared"]
        assert sweeper("audit", "2C", "--job", "other").returncode == 2

    def test_an_audit_can_be_written_to_a_file(self, sweeper, complete_store, tmp_path):
        assert sweeper("audit", "2C", "-o", "audit.txt").returncode == 0
        assert (tmp_path / "audit.txt").read_text().startswith("in short\n")

    def test_an_unknown_figure_or_parameter_is_refused(self, sweeper, complete_store):
        result = sweeper("audit", "10")
        assert result.returncode == 2
        assert "no figure '10'; the figures are: 2A, 2B" in result.stderr
        result = sweeper("audit", "--set", "margins=2")
        assert result.returncode == 2
        assert "its only parameter is margin" in result.stderr


class TestReport:
    def test_one_page_is_written_and_its_path_printed(self, sweeper, complete_store, tmp_path):
        result = sweeper("report")
        assert result.returncode == 0, result.stderr
        assert Path(result.stdout.strip()) == tmp_path / "runs" / "toy" / "report.html"
        assert "<html" in Path(result.stdout.strip()).read_text()
        assert sweeper("report", "-o", "page.html").returncode == 0
        assert (tmp_path / "page.html").exists()

    def test_a_report_can_be_restricted_to_one_job(self, sweeper, complete_store):
        """Check that another job is refused, so that the option is not silently ignored."""
        page = Path(sweeper("report", "--job", "toy").stdout.strip()).read_text()
        assert "<title>toy" in page
        assert sweeper("report", "--job", "other").returncode == 2


class TestExplain:
    def test_a_task_is_found_by_its_first_digits(self, sweeper, complete_store, job):
        task = Plan.of(load(job)).ids()[-1]
        explanation = json.loads(sweeper("explain", task[:12], "--json").stdout)
        assert explanation["task"]["task"] == task
        assert explanation["task"]["kind"] == "stitches"
        assert explanation["stitches"]["gain"] == 2.0
        assert explanation["attempts"][0]["outcome"] == "done"
        assert task in sweeper("explain", task).stdout

    @pytest.mark.parametrize("task", ["", "xyz", "%", "000000000000"])
    def test_an_id_that_no_task_has_is_refused(self, sweeper, complete_store, task):
        assert sweeper("explain", task).returncode == 2
