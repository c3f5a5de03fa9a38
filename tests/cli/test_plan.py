"""Tests of `sweeper plan`, and of the jobs that come with Sweeper."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.errors import DataError
from sweeper.plan.plan import Plan
from sweeper.resources import job as find_job
from sweeper.spec.job.load import load
from sweeper.spec.records.task import StitchPack


class TestPlan:
    def test_tasks_are_counted_and_no_store_is_created(self, sweeper, job, tmp_path):
        result = sweeper("plan", job, "--json")
        assert (result.returncode, result.stderr) == (0, "")
        plan = json.loads(result.stdout)
        assert plan["models"] == {"tasks": 4, "done": 0, "failed": 0, "missing": 4}
        assert plan["stitches"]["tasks"] == 4 * 2 * 2
        assert plan["store"] == "runs/toy"
        assert not (tmp_path / "runs").exists()

    def test_tasks_in_the_store_are_not_missing(self, sweeper, job, complete_store):
        assert json.loads(sweeper("plan", job, "--json").stdout)["missing"] == 0
        assert "nothing is missing" in sweeper("plan", job).stdout

    def test_an_override_changes_the_number_of_tasks(self, sweeper, job):
        plan = json.loads(sweeper("plan", job, "models.weak.width=4,8", "--json").stdout)
        assert plan["models"]["tasks"] == 6

    def test_the_store_is_taken_from_the_option_the_environment_the_job_or_its_name(self, sweeper, job, tmp_path):
        def store(*arguments: str, **environment: str) -> str:
            return json.loads(sweeper("plan", job, "--json", *arguments, **environment).stdout)["store"]

        assert store() == "runs/toy"
        job.write_text(job.read_text() + "store: elsewhere\n")
        assert store() == "elsewhere"
        assert store(SWEEPER_STORE="env") == "env"
        assert store("--store", "option", SWEEPER_STORE="env") == "option"

    def test_every_mistake_has_a_line_of_its_own(self, sweeper, job):
        job.write_text(job.read_text().replace("arch: resnet18k, width: 4, samples: 100", "arch: resnet18, widht: 4"))
        result = sweeper("plan", job)
        assert (result.returncode, result.stdout) == (2, "")
        lines = result.stderr.splitlines()
        assert len(lines) >= 2
        assert all(re.match(rf"error: {re.escape(str(job))}:\d+:\d+ ", line) for line in lines)
        assert "did you mean 'resnet18k'?" in result.stderr

    def test_an_unknown_job_is_refused_with_the_names_of_jobs(self, sweeper):
        result = sweeper("plan", "nothing")
        assert result.returncode == 2
        assert "paper/more-data" in result.stderr

    def test_neither_torch_nor_ray_is_imported(self, job, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        code = (
            "import sys; from sweeper.cli.main import main; sys.argv = ['sweeper', 'plan', sys.argv[1]]; code = main();"
            "assert not {'torch', 'ray'} & set(sys.modules); sys.exit(code)"
        )
        assert subprocess.run([sys.executable, "-c", code, job], check=False, capture_output=True).returncode == 0


class TestJobs:
    def test_a_small_paper_job_names_the_data_that_it_needs(self, sweeper, monkeypatch):
        monkeypatch.delenv("SWEEPER_CIFAR10", raising=False)
        result = sweeper("plan", "paper/more-data.small")
        assert result.returncode == 2
        assert "SWEEPER_CIFAR10" in result.stderr

    def test_the_demo_has_300_stitches_and_5_seeds(self):
        plan = Plan.of(load(find_job("demo")))
        assert plan.counts()["stitches"].tasks >= 300
        seeds = {model.training.seed for model in plan.models if model.training.samples == 1000}
        assert len(seeds) == 5

    def test_the_demo_compares_five_seeds_a_side_on_every_axis_at_two_cuts_that_do_not_only_probe(self):
        packs = Plan.of(load(find_job("demo"))).packs()
        stitches = [stitch for pack in packs if isinstance(pack, StitchPack) for stitch in pack.stitches]
        sides = {
            "data": lambda a, b: (a.training.samples, b.training.samples) == (4794, 1000),
            "width": lambda a, b: (a.option("width"), b.option("width")) == (16, 4),
            "training": lambda a, b: (a.step, b.step) == (200, 50),
        }
        for differs in sides.values():
            axis = [s for s in stitches if differs(s.a, s.b) and s.cut_a in ("block5", "block6", "block7")]
            assert len({s.cut_a for s in axis}) >= 2
            assert len({s.a.training.seed for s in axis}) == len({s.b.training.seed for s in axis}) == 5
            selves = {(s.b.id, s.cut_a) for s in stitches if s.a == s.b and s.recipe == axis[0].recipe}
            assert {(s.b.id, s.cut_a) for s in axis} <= selves, "a net gain needs each top stitched into itself"


@pytest.mark.parametrize(
    ("name", "suggestion"), [("demoo", "demo"), ("paper/more-dat", "paper/more-data"), ("tou.yaml", "toy.yaml")]
)
def test_a_misspelt_job_gets_one_suggestion(sweeper, job, name, suggestion):
    result = sweeper("plan", name)
    assert result.returncode == 2
    assert f"did you mean '{suggestion}'?" in result.stderr
    assert "its jobs" not in result.stderr


@pytest.mark.parametrize("store", ["toy.yaml", "toy.yaml/inside", "/proc/nowhere"])
def test_a_path_that_cannot_hold_a_store_is_refused_by_plan_and_run(sweeper, job, store):
    for command in ("plan", "run"):
        result = sweeper(command, job, "--store", store)
        assert result.returncode == 2
        assert "sweeper run" not in result.stderr


def test_a_plan_shows_the_cost_and_refuses_a_data_set_that_cannot_be_downloaded(sweeper, job, monkeypatch, tmp_path):
    def fail(name: str, _: str) -> None:
        raise DataError(f"{name} can't be downloaded")

    monkeypatch.setattr("sweeper.spec.job.resolve.check_download", fail)
    result = sweeper("plan", job)
    assert result.returncode == 2
    assert "core-seconds" in result.stdout
    assert "dataset: digits can't be downloaded" in result.stderr
    elsewhere = sweeper("plan", job, "engine.address=10.0.0.1:6379")
    assert elsewhere.returncode == 0


def test_a_plan_names_a_cache_folder_that_cannot_be_written_unless_the_job_runs_elsewhere(sweeper, job):
    result = sweeper("plan", job, SWEEPER_CACHE=f"{job}/cache")
    assert result.returncode == 2
    assert "core-seconds" in result.stdout
    assert f"the cache folder {job}/cache can't be written" in result.stderr
    elsewhere = sweeper("plan", job, "engine.address=10.0.0.1:6379", SWEEPER_CACHE=f"{job}/cache")
    assert elsewhere.returncode == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom"])
def test_a_job_is_read_in_every_encoding_of_yaml(sweeper, job, encoding):
    text = job.read_text()
    content = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-bom" else text.encode(encoding)
    job.write_bytes(content)
    assert sweeper("plan", job).returncode == 0
    job.write_bytes(text.encode() + b"# caf\xe9")
    result = sweeper("plan", job)
    assert result.returncode == 2
    assert "is not text in UTF-8 (at byte" in result.stderr


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/null", "/proc/self/mem"])
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux has /proc")
def test_a_device_is_no_job(sweeper, file):
    result = sweeper("plan", file)
    assert result.returncode == 2
    assert "defect" not in result.stderr


def test_an_empty_store_is_refused_by_every_command(sweeper, job):
    for command in (("plan", job), ("run", job), ("status",), ("sql", "FROM models"), ("resume",), ("doctor",)):
        result = sweeper(*command, "--store", "")
        assert result.returncode == 2
        assert "the name of the store is empty" in result.stderr
    in_job = sweeper("plan", job, "store=''")
    assert in_job.returncode == 2
    assert "store: the name of the store is empty" in in_job.stderr
    assert sweeper("plan", job, SWEEPER_STORE="").returncode == 0, "an empty variable is as good as none"


def test_an_empty_path_of_a_data_set_is_refused(sweeper, job):
    result = sweeper("plan", job, "dataset.imagefolder=''")
    assert result.returncode == 2
    assert "dataset.imagefolder: the path is empty" in result.stderr


def test_a_stitcher_with_settings_is_listed_beside_others_without_brackets(sweeper, job):
    result = sweeper("plan", job, "stitch.0.stitcher=conv1x1,{name: conv, kernel: 3}", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["stitches"]["tasks"] == 4 * 2 * 2 * 2
