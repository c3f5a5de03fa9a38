"""The half-widths that `sweeper plan` expects of contrasts with few runs, from the variance in a store."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support import store_rows
from support.toy_store import JOB

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load
from sweeper.spec.records.task import Model, Stitch
from sweeper.store.statistics.bounds import half_width
from sweeper.store.store import Store

EFFECTS = {0: 0.0, 1: 3.0, 2: 7.0, 3: 1.0, 10: 4.0, 11: -2.0, 12: 1.0, 13: 5.0}  # of the model of each seed


def write_job(tmp_path: Path, weak: list[int], strong: list[int]) -> Path:
    path = tmp_path / "toy.yaml"
    text = JOB.replace("seed: [0, 1]", f"seed: {weak}").replace("seed: [10, 11]", f"seed: {strong}")
    path.write_text(text)
    return path


def gain(stitch: Stitch) -> float:
    """Return the effect of A minus that of B; 0 for B into itself, so that the net gain is the gain."""
    a, b = (EFFECTS[model.training.seed] for model in (stitch.a, stitch.b))
    return a - b + (a * b % 2) / 4 if stitch.a != stitch.b else 0.0


def fill(job: Path, folder: Path) -> None:
    """Create a store with the models and the stitches of a job, whose outcomes on single images aren't stored."""
    plan, store = Plan.of(load(job)), Store.open(str(folder), create=True)
    weights = {model.id: store.put_weights(model.id.encode()) for model in plan.models}
    provenance = {"run": "r1", "at": datetime.now(UTC), "correct": b""}
    tasks = [plan.task(task) for task in plan.ids()]
    rows = [store_rows.planned_row(task, weights, **provenance) for task in tasks if isinstance(task, Model)]
    rows += [
        store_rows.planned_row(task, weights, **provenance, gain=gain(task))
        for task in tasks
        if isinstance(task, Stitch)
    ]
    store.commit(rows, run="r1", worker="w1")


def expected(stored: tuple[list[int], list[int]], planned: tuple[int, int]) -> float:
    """Return the half-width of the two-way table, for (strong, weak) runs in the store and in the plan."""
    a, b = (np.array([EFFECTS[seed] for seed in seeds]) for seeds in stored)
    table = a[:, None] - b[None, :] + (a[:, None] * b[None, :] % 2) / 4
    variances = [table.mean(axis=1).var(ddof=1) / planned[0], table.mean(axis=0).var(ddof=1) / planned[1]]
    return float(half_width(np.array(variances)[:, None], np.array(planned) - 1.0, 0.95)[0])


def few_lines(sweeper, job: Path) -> list[str]:
    lines = sweeper("plan", job).stdout.splitlines()
    (number,) = (i for i, line in enumerate(lines) if line.startswith("few runs: "))
    return [line for line in lines[number : number + 2] if line.startswith(("few runs: ", "  expected "))]


def test_the_half_width_is_that_of_the_planned_runs_with_the_stored_variance(sweeper, tmp_path):
    fill(write_job(tmp_path, [0, 1, 2], [10, 11]), tmp_path / "runs" / "toy")
    job = write_job(tmp_path, [0, 1, 2, 3], [10, 11, 12])
    half_widths = json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"]
    half = expected(([10, 11], [0, 1, 2]), (3, 4))
    assert half_widths["strong into weak 3 x 4"] == pytest.approx(half)
    assert f"strong into weak 3 x 4 +-{half:.2g} points" in few_lines(sweeper, job)[1]


def test_with_the_stored_runs_it_is_the_half_width_of_the_interval(sweeper, tmp_path):
    job = write_job(tmp_path, [0, 1, 2], [10, 11])
    fill(job, tmp_path / "runs" / "toy")
    half_widths = json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"]
    assert half_widths["strong into weak 2 x 3"] == pytest.approx(expected(([10, 11], [0, 1, 2]), (2, 3)))
    (interval,) = (
        Store.open(str(tmp_path / "runs" / "toy"))
        .sql("SELECT ci(a, b, net_gain) AS ci FROM stitches WHERE a_samples = 300 AND b_samples = 100")["ci"]
        .to_pylist()
    )
    assert half_widths["strong into weak 2 x 3"] == pytest.approx(interval["hi"] - interval["mean"])


def test_models_on_both_sides_are_one_role(sweeper, tmp_path):
    job = write_job(tmp_path, [0, 1, 2], [10, 11])
    fill(job, tmp_path / "runs" / "toy")
    half_widths = json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"]
    (interval,) = (
        Store.open(str(tmp_path / "runs" / "toy"))
        .sql("SELECT ci(a, b, net_gain) AS ci FROM stitches WHERE a_samples = 100 AND b_samples = 100 AND a <> b")["ci"]
        .to_pylist()
    )
    assert half_widths["weak into weak 3 x 3"] == pytest.approx(interval["hi"] - interval["mean"])


def test_one_stored_run_on_a_side_has_no_variance(sweeper, tmp_path):
    fill(write_job(tmp_path, [0, 1, 2], [10]), tmp_path / "runs" / "toy")
    job = write_job(tmp_path, [0, 1, 2], [10, 11, 12])
    assert list(json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"]) == ["weak into weak 3 x 3"]
    assert "strong into weak" not in few_lines(sweeper, job)[1]


def test_without_a_store_nothing_is_known(sweeper, tmp_path):
    job = write_job(tmp_path, [0, 1], [10, 11])
    assert json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"] == {}
    assert len(few_lines(sweeper, job)) == 1


def test_five_runs_a_side_have_no_line(sweeper, tmp_path):
    job = write_job(tmp_path, [0, 1, 2, 3, 4], [10, 11, 12, 13, 14])
    assert json.loads(sweeper("plan", job, "--json").stdout)["expected_half_widths"] == {}
    assert "few runs" not in sweeper("plan", job).stdout
