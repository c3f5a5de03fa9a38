"""Tables equal those that are computed on whole rows, with unbalanced, repeated and missing stitches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.planted_store import CUTS, Planted

from sweeper.resources import analysis_dir
from sweeper.spec.records.rows import ModelRow

BY_ROW = Path(__file__).parents[1] / "support" / "by_row"  # queries with structs as keys and bitmaps as they are
IMAGES = 83
STITCHED_CUTS = [CUTS[1], *CUTS[6:]]


def packed(right: np.ndarray) -> bytes:
    """Return outcomes as a bitmap."""
    return np.packbits(right).tobytes()


class Outcomes:
    """Random outcomes on images, from which the errors and gains of models and stitches follow."""

    def __init__(self, planted: Planted, seed: int):
        self.planted, self.random = planted, np.random.default_rng(seed)
        self.ease = self.random.normal(size=IMAGES)
        self.right_by_model: dict[str, np.ndarray] = {}

    def draw(self, skill: float) -> np.ndarray:
        """Draw which images are classified right."""
        return self.ease + self.random.normal(size=IMAGES) + skill > 0

    def model(self, **fields: Any) -> ModelRow:
        """Add a model with outcomes, of which some models lack them."""
        right = self.draw(0.5)
        bitmap = packed(right) if self.random.random() < 0.95 else b""
        row = self.planted.model(error=100 - 100 * float(right.mean()), correct=bitmap, **fields)
        self.right_by_model[row.task] = right
        return row

    def stitch(self, a: ModelRow, b: ModelRow, cut: str, **fields: Any) -> None:
        """Add a stitch with outcomes, which some stitches lack."""
        right = self.draw(0.4)
        gain = 100 * (float(right.mean()) - float(self.right_by_model[b.task].mean()))
        bitmap = packed(right) if self.random.random() < 0.998 else b""
        drift, agreement = (float(value) for value in self.random.random(2))
        converged = bool(self.random.random() < 0.95)
        plan = max(a.seed % 3, b.seed % 3) + (self.random.random() < 0.1)  # later plans bring models, and repeat pairs
        fields = {"run": f"run {plan}", "drift": drift, "agreement": 100 * agreement} | fields
        self.planted.stitch(a, b, cut, gain, correct=bitmap, converged=converged, **fields)


def fill(planted: Planted, seed: int) -> tuple[Outcomes, list[ModelRow]]:
    """Fill a store with models of several levels and with stitches between them, and return the models."""
    outcomes, random = Outcomes(planted, seed), np.random.default_rng(seed)
    for number in (3, 1, 2):  # the stitches of run 0 have a plan that isn't known
        planted.start(f"run {number}", seeds=number)
    models = [
        outcomes.model(samples=samples, width=width, options=f'{{"width":{width}}}', seed=number)
        for samples in (100, 200, 400)
        for width in (8, 16)
        for number in range(3 if samples < 400 else 2)
    ]
    first = models[0]
    snapshots = {"training": first.training, "seed": first.seed, "samples": 100, "width": 8, "options": first.options}
    models += [outcomes.model(steps=steps, schedule_steps=200, **snapshots) for steps in (50, 100)]
    for a in models:
        for b in models:
            for cut, *_ in STITCHED_CUTS:
                is_self = a.task == b.task
                for repeat in range(1 + (random.random() < 0.1)):
                    if random.random() < (0.9 if is_self else 0.8):
                        outcomes.stitch(a, b, cut, seed=repeat, **kind_of_cut(cut, b))
                if not is_self and random.random() < 0.1:
                    outcomes.stitch(a, b, cut, sender="label" if random.random() < 0.7 else "noise")
    return outcomes, models


def kind_of_cut(cut: str, b: ModelRow) -> dict[str, Any]:
    """Return the columns of a stitch from which the kind of its cut follows."""
    same = {"same_as": "block6"} if cut == "block7" and b.width == 8 else {}
    return {"affine_top": cut in ("block8", "pool"), "probe_only": cut == "pool", **same}


def fill_with_controls(planted: Planted, seed: int) -> None:
    """Fill a store as `fill` does, and with random bottoms, stitchers of low rank and similarities."""
    outcomes, models = fill(planted, seed)
    random = np.random.default_rng(seed)
    untrained = [
        outcomes.model(steps=0, width=width, options=f'{{"width":{width}}}', seed=number)
        for width in (8, 16)
        for number in range(3)
    ]
    for b in models:
        for cut, *_ in STITCHED_CUTS:
            for a in untrained:
                if random.random() < 0.8:
                    outcomes.stitch(a, b, cut, **kind_of_cut(cut, b))
            for a in models:
                if a.task != b.task and random.random() < 0.3:
                    for rank in (1, 4):
                        options = f'{{"rank":{rank}}}'
                        outcomes.stitch(a, b, cut, stitcher="low_rank", options=options, **kind_of_cut(cut, b))
                if a.task != b.task and random.random() < 0.5:
                    for debiased in ("false", "true"):
                        value = float(random.random())
                        planted.similarity(a, b, cut, value, options=f'{{"debiased":{debiased}}}')


def rows_of(planted: Planted, query: str, images: str) -> list[dict[str, Any]]:
    """Return the sorted rows of an analysis, on a connection that has the view and the macro for whole rows."""
    with planted.store.connect() as con:
        con.execute(f"CREATE VIEW sender_controls AS FROM (\n{(BY_ROW / 'sender_controls.sql').read_text()}\n)")
        con.execute((BY_ROW / "compare_by_row.sql").read_text())
        parameters = {"margin": 1.0, "images": images}
        used = {name: value for name, value in parameters.items() if f"${name}" in query}
        return sorted(con.sql(query, params=used).to_arrow_table().to_pylist(), key=key)


def key(row: dict[str, Any]) -> str:
    """Return the values of a row that are no computed numbers."""
    return repr([value for value in row.values() if not isinstance(value, float)])


def assert_equal(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Check that rows are equal, and their numbers to 1e-12."""
    assert len(rows) == len(expected) > 0
    for row, expected_row in zip(rows, expected, strict=True):
        assert key(row) == key(expected_row)
        numbers, expected_numbers = (
            {name: value for name, value in values.items() if isinstance(value, float)}
            for values in (row, expected_row)
        )
        assert numbers == pytest.approx(expected_numbers, rel=1e-12, abs=1e-10)


@pytest.mark.parametrize("images", ["sampled", "fixed"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_tables_of_an_axis_equal_those_that_are_computed_on_whole_rows(planted: Planted, seed: int, images: str):
    fill(planted, seed)
    planted.commit()
    for name in ("more_data", "more_width", "more_training"):
        query = (analysis_dir() / f"{name}.sql").read_text()
        by_row = query.replace("compare_along_axis(", "compare_by_row(")
        assert_equal(rows_of(planted, query, images), rows_of(planted, by_row, images))


@pytest.mark.parametrize("images", ["sampled", "fixed"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_other_tables_equal_those_that_are_computed_on_whole_rows(planted: Planted, seed: int, images: str):
    fill_with_controls(planted, seed)
    planted.commit()
    for name in ("connected", "controls", "penalty_by_cut", "random_control", "stitching_and_cka"):
        query = (analysis_dir() / f"{name}.sql").read_text()
        by_row = (BY_ROW / f"{name}.sql").read_text()
        assert_equal(rows_of(planted, query, images), rows_of(planted, by_row, images))
