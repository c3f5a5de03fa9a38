"""Tests of `sweeper export`."""

import importlib.util
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from support import store_rows
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load


@pytest.mark.parametrize(("package", "module"), [("mlflow", "to_mlflow"), ("wandb", "to_wandb"), ("delta", "to_delta")])
def test_a_missing_package_is_a_sentence_with_the_command_that_installs_it(
    sweeper, complete_store, monkeypatch, package, module
):
    def import_nothing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(f"sweeper.report.export.{module}.import_module", import_nothing)
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
    result = sweeper("export", "x.parquet")
    assert result.returncode == 1
    assert "has no results in the view stitches yet" in result.stderr
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.duckdb", "out"])
def test_stitches_with_their_models_are_written_and_replaced(sweeper, complete_store, tmp_path, name):
    arguments = ("export", name, *(["--to", "csv"] if name == "out" else []))
    for _ in range(2):
        result = sweeper(*arguments)
        assert (result.returncode, result.stdout) == (0, "")
        assert re.search(rf"wrote (4 models, )?16 stitches(, 4 similarities)? to {name}$", result.stderr, re.MULTILINE)
        assert f"--as-of {complete_store.pinned().version}" in result.stderr
    relation = relation_of(tmp_path / name / "stitches.csv" if name == "out" else tmp_path / name)
    assert relation.aggregate("count(*), count(DISTINCT task), sum(a_width)").fetchall() == [(16, 16, 64)]
    assert {"net_gain", "a_arch", "b_samples"} <= set(relation.columns)
    assert not {"correct", "own_correct"} & set(relation.columns)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_data_set_of_hugging_face_has_a_card_with_methods_and_version(sweeper, complete_store, tmp_path):
    result = sweeper("export", "out", "--to", "huggingface", "--license", "cc-by-4.0")
    assert result.returncode == 0, result.stderr
    assert "wrote 4 models, 16 stitches, 4 similarities to out" in result.stderr
    assert "publish it:  hf upload USER/NAME out --repo-type dataset" in result.stderr
    assert "unknown" not in result.stderr
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert sweeper("methods").stdout.split()[:40] == card.partition("## How the numbers were made")[2].split()[:40]
    assert complete_store.pinned().version in card
    assert "\nlicense: cc-by-4.0\n" in card
    assert "\n# Model stitching: toy\n" in card
    assert str(tmp_path) not in card
    result = sweeper("export", "out", "--to", "huggingface")
    assert "the card says `license: unknown`; --license ID names one" in result.stderr
    (tmp_path / "out" / "README.md").write_text("My own words.")
    result = sweeper("export", "out", "--to", "huggingface")
    assert result.returncode == 2
    assert "out is not replaced, because README.md in it was added or changed" in result.stderr


def relation_of(file):
    """Return the stitches in a file."""
    if file.suffix == ".duckdb":
        return duckdb.connect(str(file), read_only=True).sql("FROM stitches")
    return duckdb.read_parquet(str(file)) if file.suffix == ".parquet" else duckdb.read_csv(str(file))


def test_views_bitmaps_job_and_version_are_chosen(sweeper, job, complete_store, tmp_path):
    version = complete_store.pinned().version
    complete_store.keep_version()
    larger = job.with_name("larger.yaml")
    larger.write_text(job.read_text().replace("name: toy", "name: larger").replace("[10, 11]", "[10, 11, 12]"))
    fill(larger, Path(complete_store.url), without=Plan.of(load(job)).ids(), start={"task": "r2", "run": "r2"})

    def models(*options):
        result = sweeper("export", "m.parquet", "--view", "models", *options)
        assert result.returncode == 0, result.stderr
        return pq.read_table(tmp_path / "m.parquet")

    assert [models(*options).num_rows for options in ((), ("--as-of", version), ("--job", "toy"))] == [5, 4, 4]
    assert "correct" not in models().column_names
    assert models("--bitmaps")["correct"].to_pylist() == [b"\xff" * 57] * 5
    result = sweeper("export", "x.duckdb", "--view", "runs", "--view", "failures", "--job", "toy")
    assert result.stderr.splitlines()[:2] == [
        "warning: failures: left out, because the view has no rows", "wrote 1 runs to x.duckdb"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("x.foo", "x.foo: no format has the suffix .foo; the suffixes are .parquet,"),
        ("x", "x: it has no suffix that tells the format"),
        ("x.csv --to parquet", "x.csv: a file with the suffix .csv is csv, not parquet"),
        ("x.parquet --view models --view runs", "x.parquet: a parquet file holds one view, and 2 are named"),
        ("x.parquet --view stiches", "--view stiches: there is no such view; did you mean 'stitches'?"),
        ("toy.yaml --to csv", "toy.yaml is not replaced, because it is not an export of Sweeper"),
        ("runs --to csv", "runs is not replaced, because it is not an export of Sweeper"),
        ("runs --to parquet", "runs is a folder; name a file"),
        ("none/x.parquet", "none/x.parquet can't be written (there is no folder none); make it"),
        ("none/x.duckdb", "none/x.duckdb can't be written (there is no folder none); make it"),
        ("none/x --to csv", "none/x can't be written (No such file or directory)"),
        ("x.parquet --job tou", "has no job 'tou'; did you mean 'toy'?"),
        ("x.parquet --to huggingface", "x.parquet: a file with the suffix .parquet is parquet, not huggingface"),
        ("toy.yaml --to huggingface", "toy.yaml is a file; name a folder"),
        ("x --to huggingface --license Mine!", "--license Mine!: it is for --to huggingface, and its value is"),
        ("x.csv --license mit", "--license mit: it is for --to huggingface"),
        ("x --to mlflow --bitmaps", "--bitmaps: mlflow gets the results as runs"),
    ],
)
def test_what_is_wrong_is_a_sentence(sweeper, complete_store, tmp_path, arguments, message):
    before = sorted(tmp_path.rglob("*"))
    result = sweeper("export", *arguments.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("limit", "arguments"),
    [(10, ["x.parquet"]), (2**13, ["x.csv"]), (2**14, ["x.duckdb"]), (10, ["out", "--to", "csv"])],
)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(complete_store, tmp_path, limit, arguments):
    process = start(complete_store, "export", str(tmp_path / arguments[0]), *arguments[1:], largest_file=limit)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert err.startswith(f"error: {tmp_path / arguments[0]} can't be written (")
    assert err.count("\n") == 1
    assert not any(path.name.startswith((".", arguments[0])) for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sent", "arguments"),
    [
        (signal.SIGINT, ["x.csv"]),
        (signal.SIGINT, ["x.duckdb"]),
        (signal.SIGINT, ["out", "--to", "csv"]),
        (signal.SIGKILL, ["x.duckdb"]),
        (signal.SIGKILL, ["out", "--to", "csv"]),
    ],
)
def test_an_interrupted_export_keeps_the_old_one(complete_store, sweeper, tmp_path, sent, arguments):
    name, *options = arguments
    assert sweeper("export", name, *options).returncode == 0
    old = content_of(tmp_path / name)
    enlarge(complete_store)
    process = start(complete_store, "export", str(tmp_path / name), *options, "--view", "examples")
    deadline = time.monotonic() + 100
    while not any(path.suffix == ".tmp" for path in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    process.communicate(timeout=100)
    assert process.returncode == (130 if sent == signal.SIGINT else -sent)
    assert content_of(tmp_path / name) == old
    if sent == signal.SIGINT:
        assert [path for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def enlarge(store):
    """Add a stitch with outcomes on eight million images, for each of which `examples` has a row."""
    outcomes = b"\xff" * (1 << 20)
    model, row = store_rows.model("big", correct=outcomes), store_rows.stitch("big", "big", correct=outcomes)
    store.commit([model, row], run="r", worker="w9")


def content_of(path):
    """Return the content of a file, or of the files of a folder."""
    return path.read_bytes() if path.is_file() else {file.name: file.read_bytes() for file in path.iterdir()}


def start(store, *arguments, largest_file=resource.RLIM_INFINITY):
    """Start a command on a store in a process of its own, with a limit for the size of a file."""
    command = [sys.executable, "-m", "sweeper", *arguments, "--store", store.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
    return process
