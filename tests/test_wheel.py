"""Tests of the wheel and of an editable install, each in a new environment and outside of the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml

from sweeper.cli.init import STARTERS

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def call(*command: object, cwd: Path, **environment: str) -> str:
    """Run a command, check that it succeeds, and return its stdout."""
    inherited = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "RAY_USAGE_STATS_ENABLED": "0"}
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=inherited | environment,
        timeout=540,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def environment(folder: Path) -> Path:
    """Create an environment with the libraries of the current one, but without Sweeper, and return its `bin` folder."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    libraries = folder / "libraries"
    libraries.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "sweeper" not in entry.name.lower():
            (libraries / entry.name).symlink_to(entry)
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel and return its file."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("sweeper_stitching-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Install the wheel into a new environment and return its `sweeper` command."""
    scripts = environment(tmp_path_factory.mktemp("wheel") / "env")
    call(sys.executable, "-m", "pip", "--python", scripts / "python", "install", "-q", "--no-deps", wheel, cwd=ROOT)
    return scripts / "sweeper"


def test_the_wheel_has_the_files_of_the_package_and_no_others(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "sweeper/_jobs/demo.yaml",
        "sweeper/_jobs/job.schema.json",
        "sweeper/_jobs/launch/slurm.sh",
        *(f"sweeper/cli/starters/{name}.yaml" for name in STARTERS),
        "sweeper/cli/starters/network.py.txt",
        "sweeper/py.typed",
        "sweeper/report/audit/sql/curve_points.sql",
        "sweeper/store/query/sql/stitches.sql",
        "sweeper/_jobs/paper/more-data.yaml",
        "sweeper/_analysis/more_data.sql",
        "sweeper/_analysis/paper/figures.csv",
        "sweeper/_analysis/paper/protocol.yaml",
        "sweeper/_analysis/paper/figures/2C.yaml",
    } <= set(names)
    assert {name.split("/")[0] for name in names} <= {"sweeper", names[-1].split("/")[0]}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("__pycache__" in name or "/tests/" in name for name in names)


def test_the_installed_wheel_finds_its_jobs_and_analyses(installed, tmp_path):
    assert json.loads(call(installed, "schema", cwd=tmp_path))["title"] == "A Sweeper job"
    plan = json.loads(call(installed, "plan", "demo", "--json", cwd=tmp_path))
    assert plan["stitches"]["tasks"] >= 300
    where = "import sweeper; print(sweeper.__file__)"
    assert str(ROOT) not in call(installed.with_name("python"), "-c", where, cwd=tmp_path)


def test_every_job_in_the_wheel_names_the_schema_that_lies_there(wheel, tmp_path):
    """Follow the path in the first line of each job from the place where the job is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    jobs = sorted((tmp_path / "sweeper" / "_jobs").rglob("*.yaml"))
    jobs = [job for job in jobs if "launch" not in job.parts]
    assert len(jobs) > 20
    for job in jobs:
        first = job.read_text().splitlines()[0]
        schema = job.parent / first.removeprefix("# yaml-language-server: $schema=")
        assert json.loads(schema.read_text())["title"] == "A Sweeper job", job


@pytest.mark.parametrize("name", STARTERS)
def test_the_installed_wheel_writes_each_starter_with_its_schema(installed, tmp_path, name):
    call(installed, "init", name, cwd=tmp_path)
    job = tmp_path / f"{name}.yaml"
    schema = tmp_path / job.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(yaml.safe_load(job.read_text()))
    trust = ["--trust"] if name == "own-network" else []
    plan = call(installed, "plan", job, *trust, cwd=tmp_path)
    assert ("the cuts of network.py:Small are not known yet" if trust else "stitches") in plan


def test_a_small_demo_runs_from_the_wheel(installed, tmp_path):
    """Check the run with Ray's workers, the tables and the report."""
    small = [f"models.{family}.steps=20" for family in ("weak", "strong", "wide", "narrow", "early")]
    small += [f"models.{family}.width=4" for family in ("weak", "strong", "narrow", "early", "random")]
    small += [f"models.{family}.seed=0" for family in ("weak", "narrow", "early")]
    small += [f"models.{family}.seed=10" for family in ("strong", "wide")]
    small += ["models.random.seed=20", "models.wide.width=8", "models.early.snapshot=10", "stitch.0.layers=[block8]"]
    output = call(installed, "demo", *small, cwd=tmp_path)
    assert "more_data" in output
    tables = json.loads(call(installed, "tables", "--json", cwd=tmp_path))
    assert {table["name"]: bool(table["rows"]) for table in tables}["zoo"]
    assert (tmp_path / "runs" / "demo" / "report.html").exists()


def test_an_editable_install_finds_its_jobs_and_analyses(tmp_path):
    scripts = environment(tmp_path / "env")
    install = ("install", "-q", "--no-deps", "--no-build-isolation", "-e", ROOT)
    build = {"PYTHONPATH": str(tmp_path / "env" / "libraries")}
    call(sys.executable, "-m", "pip", "--python", scripts / "python", *install, cwd=ROOT, **build)
    assert json.loads(call(scripts / "sweeper", "plan", "demo", "--json", cwd=tmp_path))["missing"] > 0
    code = "from sweeper.resources import analysis_dir, jobs_dir; print(jobs_dir(), analysis_dir())"
    assert call(scripts / "python", "-c", code, cwd=tmp_path).split() == [str(ROOT / "jobs"), str(ROOT / "analysis")]
