"""Tests of `sweeper sql`."""

import csv
import io
import json
import re

import pyarrow.parquet as pq


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
        assert result.returncode == 1
        assert "did you mean gain" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_query_cannot_write_a_file(self, sweeper, complete_store, tmp_path):
        assert sweeper("sql", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'").returncode == 1
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
