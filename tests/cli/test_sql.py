"""Tests of `sweeper sql`."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
import pytest
from support.terminal import lines_on_terminal


class TestSql:
    QUERY = "SELECT seed, samples, test_error FROM models ORDER BY seed"

    def test_all_formats_have_the_same_values(self, sweeper, complete_store, tmp_path):
        as_json = json.loads(sweeper("sql", self.QUERY, "--format", "json").stdout)
        assert [row["seed"] for row in as_json] == [0, 1, 10, 11]
        assert as_json == json.loads(sweeper("sql", self.QUERY, "--json").stdout)
        as_csv = list(csv.DictReader(io.StringIO(sweeper("sql", self.QUERY, "-f", "csv").stdout)))
        assert [{k: float(v) for k, v in row.items()} for row in as_csv] == as_json
        assert sweeper("sql", self.QUERY, "-f", "parquet", "-o", "rows.parquet").returncode == 0
        assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == as_json
        markdown = sweeper("sql", self.QUERY, "-f", "markdown").stdout
        assert markdown.splitlines()[:2] == ["| seed | samples | test_error |", "| --- | --- | --- |"]
        assert "12" in sweeper("sql", self.QUERY).stdout

    def test_bytes_are_hexadecimal_and_infinities_are_null(self, sweeper, complete_store):
        query = "SELECT correct, 1e308 * 10 AS huge, [1, 2] AS list FROM models LIMIT 1"
        (row,) = json.loads(sweeper("sql", query, "--json").stdout)
        assert row["correct"] == "ff" * 57
        assert row["huge"] is None or row["huge"] > 1e300
        assert "ff" * 57 in sweeper("sql", query, "-f", "csv").stdout

    def test_parquet_without_a_file_is_refused(self, sweeper, complete_store):
        assert sweeper("sql", self.QUERY, "-f", "parquet").returncode == 2

    def test_without_a_query_it_lists_views_table_macros_and_samples(self, sweeper, complete_store):
        output = sweeper("sql").stdout
        for expected in ("stitches", "net_gain", "models", "curves", "failures", "%", "SELECT"):
            assert expected in output
        assert "\ncompare_along_axis(networks, margin, images)\n" in output
        assert "Compare the representations of networks that differ in one setting" in output
        columns = json.loads(sweeper("sql", "--json").stdout)
        assert {"view", "column", "type", "unit", "meaning"} == set(columns[0])

    def test_a_sample_can_be_pasted_into_a_shell(self, sweeper, shell, complete_store):
        commands = re.findall(r'^sweeper sql ".*?[^\\]"$', sweeper("sql").stdout, flags=re.M | re.S)
        assert len(commands) >= 5
        result = shell(" && ".join(commands))
        assert result.returncode == 0, result.stderr

    def test_the_error_on_an_unknown_column_names_the_nearest(self, sweeper, complete_store):
        result = sweeper("sql", "SELECT gian FROM stitches")
        assert result.returncode == 2
        assert "did you mean gain" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_query_cannot_write_a_file(self, sweeper, complete_store, tmp_path):
        assert sweeper("sql", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'").returncode == 2
        assert not (tmp_path / "out.csv").exists()

    def test_a_closed_pipe_is_no_error(self, complete_store, shell):
        result = shell("sweeper sql 'SELECT * FROM range(100000)' -f csv | head -n 1")
        assert result.stdout == '"range"\n'
        assert result.stderr == ""

    def test_a_damaged_part_is_reported_on_stderr_and_not_moved(self, sweeper, complete_store, tmp_path):
        part = next((tmp_path / "runs" / "toy" / "rows" / "models").glob("*.parquet"))
        part.write_bytes(part.read_bytes()[:-1])
        result = sweeper("sql", "FROM models", "--json")
        assert result.returncode == 0
        assert json.loads(result.stdout) == []
        assert "damaged" in result.stderr
        assert part.name in result.stderr
        assert part.exists()


class TestRepeatedNames:
    QUERY = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS b, 5 AS b FROM models LIMIT 1"
    CELLS: ClassVar = {"a": 1, "a_2": 2, "a_1": 3, "b": 4, "b_1": 5}

    def test_every_format_has_the_same_cells(self, sweeper, complete_store, tmp_path):
        result = sweeper("sql", self.QUERY, "--format", "json")
        assert json.loads(result.stdout) == [self.CELLS]
        assert "columns of the result have the same name and were renamed: a -> a_2, b -> b_1" in result.stderr
        (row,) = csv.DictReader(io.StringIO(sweeper("sql", self.QUERY, "-f", "csv").stdout))
        assert {name: int(value) for name, value in row.items()} == self.CELLS
        assert sweeper("sql", self.QUERY, "-o", "rows.parquet").returncode == 0
        assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == [self.CELLS]
        head, _, cells = sweeper("sql", self.QUERY, "-f", "markdown").stdout.splitlines()
        assert head == f"| {' | '.join(self.CELLS)} |"
        assert cells == f"| {' | '.join(map(str, self.CELLS.values()))} |"
        table = sweeper("sql", self.QUERY).stdout.splitlines()
        assert (table[0].split(), table[2].split()) == (list(self.CELLS), [str(v) for v in self.CELLS.values()])

    def test_a_star_of_a_join_can_be_written(self, sweeper, complete_store):
        query = "SELECT * FROM stitches JOIN models ON a = models.task LIMIT 2"
        for format in ("csv", "json", "markdown"):
            assert sweeper("sql", query, "-f", format).returncode == 0


class TestStatements:
    def test_each_result_is_printed(self, sweeper, complete_store):
        result = sweeper("sql", "CREATE TEMP VIEW x AS SELECT 41 AS n; SELECT n FROM x; SELECT n + 1 AS m FROM x;")
        assert (result.returncode, re.findall(r"\d+", result.stdout)) == (0, ["41", "42"])

    def test_two_results_do_not_fit_into_one_file(self, sweeper, complete_store):
        result = sweeper("sql", "SELECT 1; SELECT 2", "-f", "csv")
        assert (result.returncode, result.stdout) == (2, "")
        assert "2 statements have a result, and csv holds one" in result.stderr

    def test_tables_in_markdown_have_a_line_between_them(self, sweeper, complete_store):
        result = sweeper("sql", "SELECT 1 AS a; SELECT 2 AS b", "-f", "markdown")
        assert result.stdout == "| a |\n| --- |\n| 1 |\n\n| b |\n| --- |\n| 2 |\n"

    @pytest.mark.parametrize("query", ["CREATE TEMP VIEW x AS SELECT 1", "BEGIN; COMMIT", "VACUUM", "USE memory"])
    def test_a_statement_without_a_result_prints_nothing(self, sweeper, complete_store, query):
        result = sweeper("sql", query)
        assert (result.returncode, result.stdout) == (0, "")
        refused = sweeper("sql", query, "-o", "x.csv")
        assert refused.returncode == 2
        assert "no statement has a result, so there is nothing to write" in refused.stderr

    @pytest.mark.parametrize(
        ("query", "answer"),
        [
            ("SELECT 'a;b' AS x; -- c;d", "a;b"),
            ("-- a comment\nSELECT 1 AS x", "1"),
            ("--comment\nSELECT 1 AS x", "1"),
            ("SELECT 1 AS x /* ; */", "1"),
            ("BEGIN; SELECT 1 AS x; COMMIT", "1"),
            ("PREPARE p AS SELECT ? AS x; EXECUTE p(1)", "1"),
        ],
    )
    def test_comments_and_semicolons_are_read_as_in_sql(self, sweeper, complete_store, query, answer):
        result = sweeper("sql", query, "-f", "csv")
        assert (result.returncode, result.stdout.splitlines()[1].strip('"')) == (0, answer), result.stderr

    @pytest.mark.parametrize("query", [".tables", ".mode csv", "\\d"])
    def test_a_command_of_a_databases_shell_is_explained(self, sweeper, complete_store, query):
        result = sweeper("sql", query)
        assert result.returncode == 2
        assert "SHOW TABLES lists the views" in result.stderr

    @pytest.mark.parametrize(
        "query",
        ["COPY models TO 'o.csv'", "INSTALL httpfs", "LOAD httpfs", "ATTACH 'x.db'", "SET threads = 1", "RESET threads",
         "FROM read_text('/etc/passwd')", "FROM glob('/etc/*')", "FROM 'toy.yaml'", "EXPORT DATABASE 'x'",
         "WITH a AS (COPY (SELECT 1) TO 'x.csv') SELECT 1", "SELECT ?", "SELECT from FROM models"],
    )  # fmt: skip
    def test_a_statement_that_reaches_outside_the_store_is_refused(self, sweeper, complete_store, tmp_path, query):
        before = sorted(tmp_path.iterdir())
        result = sweeper("sql", query)
        assert (result.returncode, result.stdout) == (2, "")
        assert "defect" not in result.stderr
        assert sorted(tmp_path.iterdir()) == before

    @pytest.mark.parametrize("query", ["", "  ", ";", "/* nothing */", "-- nothing"])
    def test_an_empty_query_is_refused(self, sweeper, complete_store, query):
        result = sweeper("sql", query)
        assert result.returncode == 2
        assert "the query is empty" in result.stderr

    @pytest.mark.parametrize(
        "query",
        ["DROP VIEW stitches", "DELETE FROM models", "UPDATE models SET seed = 1", "TRUNCATE models",
         "INSERT INTO models SELECT * FROM models", "ALTER TABLE models DROP seed", "SELECT 1; DROP VIEW models"],
    )  # fmt: skip
    def test_a_statement_that_changes_something_is_refused(self, sweeper, complete_store, query):
        result = sweeper("sql", query)
        assert (result.returncode, result.stdout) == (2, "")
        assert "is refused: queries only read the store" in result.stderr

    def test_pivot_describe_and_explain_work(self, sweeper, complete_store):
        for query in (
            "DESCRIBE models",
            "EXPLAIN SELECT 1",
            "PIVOT (SELECT 1 AS a) ON a",
            "SUMMARIZE models",
            "VALUES (1)",
        ):
            assert sweeper("sql", query).returncode == 0

    def test_a_query_on_stdin(self, shell, complete_store):
        for line in ("echo 'SELECT 6 * 7 AS n' | sweeper sql -", "echo 'SELECT 6 * 7 AS n' | sweeper sql"):
            result = shell(line)
            assert result.returncode == 0, result.stderr
            assert "42" in result.stdout
        assert "stitches" in shell("sweeper sql < /dev/null").stdout
        assert "7" in shell("printf '\\xef\\xbb\\xbfSELECT 7 AS n' | sweeper sql -").stdout

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("printf 'SELECT \\xe9' | sweeper sql -", "the query on stdin is not text in UTF-8 (at byte 8)"),
            ("sweeper sql $'SELECT \\xe9'", "the query is not text in UTF-8 at character 8"),
            ("sweeper sql - < /dev/null", "the query is empty"),
            ("sweeper sql - <&-", "the query is empty"),
        ],
    )
    def test_a_query_that_is_no_text_is_refused(self, shell, complete_store, line, problem):
        result = shell(line)
        assert result.returncode == 2
        assert problem in result.stderr

    def test_a_closed_stdout_is_no_defect(self, shell, complete_store):
        assert shell("sweeper sql 'SELECT 1' >&-").stderr == ""


class TestSuffix:
    @pytest.mark.parametrize(
        ("name", "start"),
        [("x.csv", '"n"'), ("x.json", "["), ("x.md", "| n |"), ("x.parquet", "PAR1"), ("x.txt", "| n |")],
    )
    def test_it_decides_the_format(self, sweeper, complete_store, tmp_path, name, start):
        assert sweeper("sql", "SELECT 1 AS n", "-o", name).returncode == 0
        assert (tmp_path / name).read_bytes().startswith(start.encode())

    @pytest.mark.parametrize("name", ["x.tsv", "x.xlsx", "x.csv.gz", "x.jsonl"])
    def test_one_of_no_format_needs_a_format(self, sweeper, complete_store, tmp_path, name):
        result = sweeper("sql", "SELECT 1 AS n", "-o", name)
        assert result.returncode == 2
        assert f"no format has the suffix {(tmp_path / name).suffix}; the suffixes are .csv, .json" in result.stderr
        assert not (tmp_path / name).exists()
        assert sweeper("sql", "SELECT 1 AS n", "-o", name, "-f", "csv").returncode == 0
        assert (tmp_path / name).read_text() == '"n"\n1\n'

    @pytest.mark.parametrize(
        ("command", "name", "format"),
        [
            ("sql", "x.csv", "json"),
            ("sql", "x.parquet", "table"),
            ("tables", "x.md", "latex"),
            ("audit", "x.json", "markdown"),
        ],
    )
    def test_a_contradiction_is_refused(self, sweeper, complete_store, tmp_path, command, name, format):
        arguments = ["SELECT 1"] if command == "sql" else []
        result = sweeper(command, *arguments, "--format", format, "-o", name)
        assert result.returncode == 2
        assert f"-o {name}: a file with the suffix" in result.stderr
        assert not (tmp_path / name).exists()


class TestOutput:
    @pytest.mark.parametrize("name", [".", "none/x.csv", "toy.yaml/x.csv"])
    def test_a_place_that_cannot_be_written_is_refused(self, sweeper, complete_store, name):
        result = sweeper("sql", "SELECT 1 AS n", "-f", "csv", "-o", name)
        assert result.returncode == 2
        assert f"{name} can't be written" in result.stderr

    @pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["tables"], ["report"], ["audit"]])
    def test_a_place_is_checked_before_the_store_is_read(self, sweeper, tmp_path, command):
        result = sweeper(*command, "--store", "nowhere", "-o", tmp_path)
        assert result.returncode == 2
        assert result.stderr == f"error: {tmp_path} can't be written (it is a folder); name a file in it\n"

    def test_a_dash_is_stdout(self, sweeper, complete_store, tmp_path):
        assert sweeper("sql", "SELECT 1 AS n", "-f", "csv", "-o", "-").stdout == '"n"\n1\n'
        assert not (tmp_path / "-").exists()

    def test_a_pipe_and_a_link_are_written_through_and_stay(self, shell, complete_store, tmp_path):
        line = "mkfifo pipe && (sweeper sql 'SELECT 1 AS n' -f csv -o pipe &) && cat pipe && test -p pipe"
        assert shell(line).stdout == '"n"\n1\n'
        assert shell("sweeper sql 'SELECT 1 AS n' -f csv -o /dev/stdout && test -L /dev/stdout").stdout == '"n"\n1\n'

    @pytest.mark.parametrize("name", ["/proc/x.csv", "/sys/x.csv"])
    def test_a_read_only_place_is_refused_in_one_sentence(self, sweeper, complete_store, name):
        for command in (["sql", "SELECT 1 AS n"], ["tables", "zoo", "-f", "csv"]):
            result = sweeper(*command, "-o", name)
            assert result.returncode == 2
            assert re.fullmatch(
                rf"error: {name} can't be written \([^\n]*\); name a file in [^\n]*\n", result.stderr
            ), result.stderr

    def test_columns_that_do_not_fit_are_printed_below_each_other(self, sweeper, complete_store):
        lines = sweeper("sql", "FROM models LIMIT 2").stdout.splitlines()
        assert lines[0] == "row 1"
        assert "  arch              resnet18k" in lines
        assert lines.index("row 2") > 20

    def test_three_wide_rows_take_at_most_40_lines_of_a_terminal_and_a_pipe_has_all(self, complete_store, tmp_path):
        """Compare what a real terminal of 120 columns shows with what a pipe gets."""
        command = [str(Path(sys.executable).with_name("sweeper")), "sql", "FROM stitches LIMIT 3"]
        lines = lines_on_terminal(command, tmp_path, columns=120)
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 120
        assert lines[0].startswith("task ")
        text = " ".join(lines)
        assert "columns are left out" in text
        piped = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=100).stdout
        names = re.findall(r"^  (\w+)", piped.split("row 2")[0], flags=re.M)
        assert len(names) > 90
        assert [name for name in names if name not in text] == []
