"""The commands as a user types them: streams, exit codes, formats, words."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.resources import job as find_job
from sweeper.resources import job_names
from sweeper.spec.load import load

COMMANDS = [
    "demo",
    "plan",
    "run",
    "resume",
    "status",
    "sql",
    "tables",
    "report",
    "schema",
    "doctor",
    "cuts",
    "explain",
    "audit",
]


def test_help_lists_every_command(shell):
    done = shell("sweeper --help")
    assert done.returncode == 0
    assert set(COMMANDS) <= set(re.findall(r"\w+", done.stdout))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(sweeper, command):
    done = sweeper(command, "--help")
    assert done.returncode == 0
    assert f"sweeper {command}" in done.stdout


def test_version(sweeper):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", sweeper("--version").stdout)


class TestPlan:
    def test_counts_and_starts_nothing(self, sweeper, job, tmp_path):
        done = sweeper("plan", job, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        plan = json.loads(done.stdout)
        assert plan["models"] == {"tasks": 4, "done": 0, "missing": 4}
        assert plan["stitches"]["tasks"] == 4 * 2 * 2
        assert plan["store"] == "runs/toy"
        assert not (tmp_path / "runs").exists()

    def test_knows_what_the_store_has(self, sweeper, job, filled):
        assert json.loads(sweeper("plan", job, "--json").stdout)["missing"] == 0
        assert "nothing is missing" in sweeper("plan", job).stdout

    def test_overrides(self, sweeper, job):
        plan = json.loads(sweeper("plan", job, "models.weak.width=4,8", "--json").stdout)
        assert plan["models"]["tasks"] == 6

    def test_store_by_option_environment_job_and_name(self, sweeper, job, tmp_path):
        def store(*arguments: str, **environment: str) -> str:
            return json.loads(sweeper("plan", job, "--json", *arguments, **environment).stdout)["store"]

        assert store() == "runs/toy"
        job.write_text(job.read_text() + "store: elsewhere\n")
        assert store() == "elsewhere"
        assert store(SWEEPER_STORE="env") == "env"
        assert store("--store", "option", SWEEPER_STORE="env") == "option"

    def test_every_mistake_on_a_line_of_its_own(self, sweeper, job):
        job.write_text(job.read_text().replace("arch: resnet18k, width: 4, samples: 100", "arch: resnet18, widht: 4"))
        done = sweeper("plan", job)
        assert (done.returncode, done.stdout) == (2, "")
        lines = done.stderr.splitlines()
        assert len(lines) >= 2
        assert all(re.match(rf"error: {re.escape(str(job))}:\d+:\d+ ", line) for line in lines)
        assert "did you mean 'resnet18k'?" in done.stderr

    def test_no_such_job(self, sweeper):
        done = sweeper("plan", "nothing")
        assert done.returncode == 2
        assert "paper/more-data" in done.stderr

    def test_neither_torch_nor_ray(self, job, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        code = (
            "import sys; from sweeper.cli.main import main; sys.argv = ['sweeper', 'plan', sys.argv[1]]; code = main();"
            "assert not {'torch', 'ray'} & set(sys.modules); sys.exit(code)"
        )
        assert subprocess.run([sys.executable, "-c", code, job], check=False, capture_output=True).returncode == 0


class TestJobs:
    def test_the_paper_in_small_says_what_it_needs(self, sweeper, monkeypatch):
        monkeypatch.delenv("SWEEPER_CIFAR10", raising=False)
        done = sweeper("plan", "paper/more-data.small")
        assert done.returncode == 2
        assert "SWEEPER_CIFAR10" in done.stderr

    def test_the_demo_has_its_stitches_and_seeds(self):
        plan = Plan.of(load(find_job("demo")))
        assert plan.counts()["stitches"].tasks >= 300
        seeds = {model.training.seed for model in plan.models if model.training.samples == 100}
        assert len(seeds) == 5


class TestSchema:
    def test_it_is_a_schema_and_every_job_fits(self, sweeper):
        schema = json.loads(sweeper("schema").stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for name in job_names():
            validator.validate(YAML(typ="safe").load(find_job(name)))

    def test_a_setting_of_several_architectures_is_described_by_them_all(self):
        from sweeper.cli.schema import job_schema

        family = job_schema()["$defs"]["Family"]["properties"]
        assert "channels of the first stage" in family["width"]["description"]
        assert "units of each hidden layer" in family["width"]["description"]
        assert "default" not in family["width"]
        assert family["patch"]["default"] == 4
        assert len(family["width"]["anyOf"]) == 2

    @pytest.mark.parametrize(
        "settings",
        [
            {"labels": [[0, 1], [2, 3]]},
            {"labels": ["classes", "object_animal", [[0, 1], [2, 3]]]},
            {"freeze": "conv1"},
            {"freeze": ["conv1", 2]},
            {"freeze": [[], ["conv1", 2]]},
            {"init_from": ["a", "b"], "reset": "ends", "objective": "simclr", "temperature": 0.1},
            {"weights": ["a.safetensors", "IMAGENET1K_V1", "none"]},
        ],
    )
    def test_it_takes_what_a_job_may_say(self, settings):
        from sweeper.cli.schema import job_schema

        job = {"name": "x", "models": {"weak": {"arch": "resnet18k", "steps": 1, **settings}}}
        jsonschema.Draft202012Validator(job_schema()).validate(job)

    @pytest.mark.parametrize(
        "models",
        [
            {"weak": {"arch": "resnet18k", "widht": 4}},
            {"weak": {"arch": "resnet18k", "samples": []}},
            {"weak": {"arch": "resnet18k", "label_noise": 2}},
            {"weak": {}},
            {},
        ],
    )
    def test_it_refuses_what_is_wrong(self, models):
        from sweeper.cli.schema import job_schema

        validator = jsonschema.Draft202012Validator(job_schema())
        assert not validator.is_valid({"name": "x", "models": models})


class TestStatus:
    def test_complete(self, sweeper, filled):
        told = json.loads(sweeper("status", "--json").stdout)
        assert told["driver"] is None
        (toy,) = told["jobs"]
        assert (toy["job"], toy["outcome"], toy["missing"], toy["failed"], toy["blocked"]) == (
            "toy",
            "complete",
            0,
            0,
            0,
        )
        assert toy["tasks"]["stitches"] == {"tasks": 16, "done": 16}

    def test_missing_failed_and_blocked(self, sweeper, job, tmp_path):
        plan = Plan.of(load(job))
        model = plan.models[0]
        pairs = {id: plan.task(id) for id in plan.ids()[len(plan.models) :]}
        needs = [id for id, task in pairs.items() if model in (task.a, task.b)]
        other = next(id for id in pairs if id not in needs)
        fill(job, tmp_path / "runs" / "toy", without=[*needs, other], failed=[model.id], ended=False)
        (toy,) = json.loads(sweeper("status", "--json").stdout)["jobs"]
        assert (toy["failed"], toy["blocked"], toy["missing"]) == (1, len(needs), 1)
        assert toy["outcome"] == "lost"  # its run has no end, and nobody holds the store

    def test_a_living_driver_is_seen(self, sweeper, filled):
        with filled.lease():
            told = json.loads(sweeper("status", "--json").stdout)
        assert set(told["driver"]) == {"host", "pid", "heartbeat"}
        assert json.loads(sweeper("status", "--json").stdout)["driver"] is None

    def test_a_running_job_has_time_left(self, job, tmp_path):
        """A run of this very process, half an hour old, with half of its stitches done."""
        import os
        import socket
        from datetime import UTC, datetime, timedelta

        from sweeper.cli import status

        plan = Plan.of(load(job))
        stitches = plan.ids()[len(plan.models) :]
        began = datetime.now(UTC) - timedelta(minutes=30)
        driven = {"host": socket.gethostname(), "pid": os.getpid(), "at": began}
        store = fill(job, tmp_path / "runs" / "toy", without=stitches[::2], ended=False, start=driven)
        with store.lease():
            (toy,) = status.job_statuses(store, None, store.driver())
        assert toy.outcome == "running"
        assert toy.seconds == pytest.approx(1800, abs=60)
        assert toy.left is not None
        assert 300 < toy.left < 3600

    def test_watching_ends_when_nothing_is_missing(self, sweeper, filled):
        assert sweeper("status", "--watch").returncode == 0

    def test_a_job_that_the_store_does_not_keep(self, sweeper, filled):
        done = sweeper("status", "--job", "other")
        assert done.returncode == 2
        assert "it keeps toy" in done.stderr


class TestWhichStore:
    def test_none(self, sweeper):
        done = sweeper("status")
        assert done.returncode == 2
        assert "--store" in done.stderr

    def test_several(self, sweeper, job, filled, tmp_path):
        fill(job, tmp_path / "runs" / "other")
        done = sweeper("sql", "FROM models")
        assert done.returncode == 2
        assert "runs/other, runs/toy" in done.stderr
        assert sweeper("sql", "FROM models", "--store", "runs/toy").returncode == 0
        assert sweeper("sql", "FROM models", SWEEPER_STORE="runs/toy").returncode == 0

    def test_a_folder_that_is_no_store(self, sweeper, tmp_path):
        done = sweeper("status", "--store", tmp_path)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


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

    def test_without_a_query_it_lists_views_and_samples(self, sweeper, filled):
        listed = sweeper("sql").stdout
        for expected in ("stitches", "net_gain", "models", "curves", "failures", "%", "SELECT"):
            assert expected in listed
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
        assert "there is: margin" in done.stderr


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


class TestCuts:
    def test_of_a_residual_network(self, sweeper):
        told = json.loads(sweeper("cuts", "resnet18k", "width=8", "--dataset", "cifar10", "--json").stdout)
        assert [cut["name"] for cut in told["cuts"]] == ["conv1", *(f"block{i}" for i in range(1, 9)), "pool"]
        assert told["cuts"][0]["shape"] == [8, 32, 32]
        assert set(told["cuts"][0]) == {"name", "position", "depth", "shape", "cost"}

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (("resnet18",), "did you mean 'resnet18k'?"),
            (("resnet18k", "depth=3"), "width"),
            (("resnet18k", "width=x"), "int"),
            (("resnet18k", "--dataset", "cifar"), "cifar10"),
            (("vit", "patch=3"), "patch 3 does not divide images of 8x8"),
        ],
    )
    def test_mistakes(self, sweeper, arguments, word):
        done = sweeper("cuts", *arguments)
        assert done.returncode == 2
        assert word in done.stderr


class TestDoctor:
    def test_this_machine(self, sweeper, filled, tmp_path):
        done = sweeper("doctor", "--store", "runs/toy", "--json")
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        assert done.returncode == 0, checks
        assert {"python", "torch", "ray", "devices", "memory", "disk", "token", "report", "store"} <= set(checks)
        assert checks["store"]["found"].endswith("tasks done")
        assert sweeper("doctor").returncode == 0

    def test_what_is_wrong(self, sweeper, tmp_path):
        done = sweeper("doctor", "--json", SWEEPER_CIFAR10=str(tmp_path), RAY_AUTH_MODE="disabled", RAY_ADDRESS="a:1")
        checks = {check["name"]: check["state"] for check in json.loads(done.stdout)}
        assert done.returncode == 1
        assert (checks["SWEEPER_CIFAR10"], checks["token"]) == ("failed", "failed")
        assert sweeper("doctor", "--store", tmp_path / "none").returncode == 1


class TestErrors:
    def test_usage(self, sweeper):
        assert sweeper("plan").returncode == 2
        assert sweeper("nothing").returncode == 2

    def test_a_defect_is_said_briefly_and_shown_on_request(self, monkeypatch, capsys):
        from sweeper.cli import cards, main

        def broken() -> None:
            raise ZeroDivisionError("oh")

        monkeypatch.setattr(cards, "schema", broken)
        monkeypatch.setattr(sys, "argv", ["sweeper", "schema"])
        monkeypatch.delenv("SWEEPER_DEBUG", raising=False)
        assert main.main() == 1
        told = capsys.readouterr().err
        assert "SWEEPER_DEBUG=1" in told
        assert "Traceback" not in told
        monkeypatch.setenv("SWEEPER_DEBUG", "1")
        assert main.main() == 1
        assert "Traceback" in capsys.readouterr().err

    def test_colour_is_for_terminals(self, sweeper):
        assert "\x1b[" not in sweeper("plan", "nothing", FORCE_COLOR="", NO_COLOR="1").stderr
