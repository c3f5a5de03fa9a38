"""Tests of `sweeper export`."""

import importlib.util

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
def test_a_missing_package_is_a_sentence_with_the_command_that_installs_it(
    sweeper, complete_store, monkeypatch, package
):
    def import_nothing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(f"sweeper.report.export.to_{package}.import_module", import_nothing)
    result = sweeper("export", "out", "--to", package, "--store", "runs/toy")
    assert result.returncode == 2
    assert f"pip install 'sweeper-stitching[{package}]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("package", "result_file"), [("mlflow", "mlflow.db"), ("wandb", "wandb/*/*.wandb")])
def test_a_running_store_is_exported(sweeper, job, tmp_path, package, result_file):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'sweeper-stitching[{package}]'")
    stitches = Plan.of(load(job)).ids()[4:]
    fill(job, tmp_path / "runs" / "toy", without=stitches[::2], ended=False)
    result = sweeper("export", "out", "--to", package)
    assert result.returncode == 0, result.stderr
    assert "wrote 6 runs to out" in result.stderr
    assert list((tmp_path / "out").glob(result_file))


def test_a_store_without_results_and_an_unknown_format_are_refused(sweeper, job, tmp_path):
    fill(job, tmp_path / "runs" / "toy", without=Plan.of(load(job)).ids(), ended=False)
    result = sweeper("export", "out", "--to", "mlflow")
    assert result.returncode == 1
    assert "has no results yet" in result.stderr
    assert sweeper("export", "out", "--to", "paper").returncode == 2
    assert sweeper("export", "out").returncode == 2
