"""`sweeper sql`."""

import csv
import io
import json
import re

import pyarrow.parquet as pq


class TestSql:
    QUERY = "SELECT seed, samples, test_error FROM models ORDER BY seed"

    def test_formats_agree(self, sweeper, filled, tmp_path):
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

    def test_bytes_and_infinities(self, sweeper, filled):
        query = "SELECT correct, 1e308 * 10 AS huge, [1, 2] AS list FROM models LIMIT 1"
        (row,) = json.loads(sweeper("sql", query, "--json").stdout)
        assert row["correct"] == "ff" * 57
        assert row["huge"] is None or row["huge"] > 1e300
        assert "ff" * 57 in sweeper("sql", query, "-f", "csv").stdout

    def test_parquet_wants_a_file(self, sweeper, filled):
        assert sweeper("sql", self.QUERY, "-f", "parquet").returncode == 2

    def test_without_a_query_it_lists_views_table_macros_and_samples(self, sweeper, filled):
        output = sweeper("sql").stdout
        for expected in ("stitches", "net_gain", "models", "curves", "failures", "%", "SELECT"):
            assert expected in output
        assert "\ncompare_along_axis(networks, margin, images)\n" in output
        assert "Compare the representations of networks that differ in one setting" in output
        columns = json.loads(sweeper("sql", "--json").stdout)
        assert {"view", "column", "type", "unit", "meaning"} == set(columns[0])

    def test_a_sample_can_be_pasted_into_a_shell(self, sweeper, shell, filled):
        commands = re.findall(r'^sweeper sql ".*?[^\\]"$', sweeper("sql").stdout, flags=re.M | re.S)
        assert len(commands) >= 5
        done = shell(" && ".join(commands))
        assert done.returncode == 0, done.stderr

    def test_a_wrong_column_is_answered_with_the_nearest(self, sweeper, filled):
        done = sweeper("sql", "SELECT gian FROM stitches")
        assert done.returncode == 1
        assert "did you mean gain" in done.stderr
        assert "Traceback" not in done.stderr

    def test_nothing_can_be_written(self, sweeper, filled, tmp_path):
        assert sweeper("sql", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'").returncode == 1
        assert not (tmp_path / "out.csv").exists()

    def test_a_reader_that_goes_away_is_no_error(self, filled, shell):
        done = shell("sweeper sql 'SELECT * FROM range(100000)' -f csv | head -n 1")
        assert done.stdout == '"range"\n'
        assert done.stderr == ""

    def test_damage_is_told_on_stderr_and_left_where_it_is(self, sweeper, filled, tmp_path):
        part = next((tmp_path / "runs" / "toy" / "rows" / "models").glob("*.parquet"))
        part.write_bytes(part.read_bytes()[:-1])
        done = sweeper("sql", "FROM models", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout) == []
        assert "damaged" in done.stderr
        assert part.name in done.stderr
        assert part.exists()
