"""Stores with known gains: rows whose results a test chooses, committed to a real store."""

import itertools
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from support import store_rows
from sweeper.report.tables import Table, tables
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ModelRow, Row, SimilarityRow, StitchRow
from sweeper.store.store import Store

# The cuts of a pre-activation ResNet-18: name, position, depth.
CUTS = [
    ("conv1", 1, 1 / 19),
    *((f"block{i}", i + 1, (1 + 2 * i) / 19) for i in range(1, 9)),
    ("pool", 11, 18 / 19),
]
LATE = [name for name, _, depth in CUTS if depth >= 0.5]
EARLY = [name for name, _, depth in CUTS if depth < 0.3]
MEAN = "(depth >= 0.5)"  # the cut that the axis tables write for the mean over late cuts

_NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
_PROVENANCE = {"at": _NOON, "run": ""}


class Planted:
    """Rows with chosen results, which are collected and then committed to a store."""

    def __init__(self, store: Store):
        self.store = store
        self.rows: list[Row] = []
        self._ids = (ident.digest(str(n).encode())[:32] for n in itertools.count())

    def model(self, *, error: float = 20.0, width: int = 16, training: str = "", **fields: Any) -> ModelRow:
        """Add a model with a test error in percent; `training` is its training run, by default one of its own."""
        id = next(self._ids)
        seed = int(training or id, 16) % 1_000_000  # models of one training run have one seed
        weights = self.store.put_weights(id.encode())
        settings = {
            "arch": "resnet18k", "options": json.dumps({"width": width}), "parameters": 1000 * width**2,
            "dataset": "digits", "data_digest": "d" * 64, "samples": 100, "nested": False, "label_noise": 0.0,
            "seed": seed, "steps": 200, "batch": 128, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4,
            "schedule": "step", "augment": "none", "train_loss": 0.1, "test_loss": 0.5, "correct": b"",
        } | fields  # fmt: skip
        if settings["steps"] == 0:  # an untrained model: settings of training have neutral values
            settings |= {"samples": 0, "batch": 0, "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0}
            settings |= {"schedule": "none", "train_loss": None}
        settings.setdefault("schedule_steps", settings["steps"])
        epochs = settings["steps"] * settings["batch"] / settings["samples"] if settings["samples"] else 0.0
        row = store_rows.model(
            id, training=training or id, width=width, weights=weights, test_error=error, epochs=epochs, **_PROVENANCE,
            **settings,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def models(self, count: int, *, seed: int = 0, **fields: Any) -> list[ModelRow]:
        """Add models that differ only in their seeds, from `seed` on."""
        return [self.model(seed=seed + i, **fields) for i in range(count)]

    def stitch(self, a: ModelRow, b: ModelRow, cut: str, gain: float, **fields: Any) -> StitchRow:
        """Add a stitch at a cut of both models with a gain in percentage points."""
        _, position, depth = next(c for c in CUTS if c[0] == cut)
        settings = {
            "stitcher": "conv1x1", "options": "{}", "protocol": "strict", "data": "full", "data_digest": b.data_digest,
            "seed": 0, "max_steps": 300, "batch": 256, "lr": 1e-3, "augment": "none", "parameters": 300, "steps": 50,
            "converged": True, "stop_data": "held_out", "train_loss": 0.1, "test_loss": 0.5, "direct_error": None,
            "direct_loss": None, "direct_r2": None, "affine_top": False, "probe_only": False, "correct": b"",
        } | fields  # fmt: skip
        settings = {"a_weights": a.weights, "b_weights": b.weights} | settings
        row = store_rows.stitch(
            a.task, b.task, cut, task=next(self._ids),
            position_a=position, position_b=position, depth_a=depth, depth_b=depth, test_error=b.test_error - gain,
            a_loss=0.5, b_loss=0.5, a_error=a.test_error, b_error=b.test_error, penalty=-gain, gain=gain,
            **_PROVENANCE | settings,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def similarity(self, a: ModelRow, b: ModelRow, cut: str, value: float, **fields: Any) -> SimilarityRow:
        """Add a similarity of two models at a cut of both."""
        _, position, depth = next(c for c in CUTS if c[0] == cut)
        settings = {"measure": "linear_cka", "options": '{"debiased":false}', "samples": 450} | fields
        settings = {"a_weights": a.weights, "b_weights": b.weights} | settings
        row = store_rows.similarity(
            a.task, b.task, task=next(self._ids), cut_a=cut, cut_b=cut,
            position_a=position, position_b=position, depth_a=depth, depth_b=depth, data_digest=b.data_digest,
            value=value, **_PROVENANCE, **settings,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def stitches(
        self,
        bottoms: Iterable[ModelRow],
        tops: Iterable[ModelRow],
        effect: Callable[[float], float],
        *,
        cuts: Iterable[str] = [name for name, *_ in CUTS],
        spread: float = 1.0,
        noise: float = 0.2,
        random_seed: int = 0,
        control: float | None = None,
        **fields: Any,
    ) -> None:
        """Add stitches of every A to every other B at every cut.

        A gain is the effect at the depth of its cut plus effects of A and of B and noise.

        Args:
            bottoms: The bottom models A.
            tops: The top models B.
            effect: Gives the expected gain, in percentage points, for the depth of a cut.
            cuts: Names of cuts.
            spread: Standard deviation of the effect of a model, which in real models is due to their seeds.
            noise: Standard deviation of the noise.
            random_seed: Seed of the effects and noise.
            control: The gain of each B into itself; None adds no such stitches.
            fields: Fields of the rows, in place of their defaults.
        """
        random = np.random.default_rng(random_seed)
        bottoms, tops, depths = list(bottoms), list(tops), {name: depth for name, _, depth in CUTS}
        model_effects = {row.task: random.normal(0, spread) for row in {r.task: r for r in [*bottoms, *tops]}.values()}
        for a, b in itertools.product(bottoms, tops):
            if a.task != b.task:
                for cut in cuts:
                    gain = effect(depths[cut]) + model_effects[a.task] - model_effects[b.task] + random.normal(0, noise)
                    self.stitch(a, b, cut, float(gain), **fields)
        if control is not None:
            self.self_stitches(tops, control, cuts, **fields)

    def self_stitches(
        self,
        tops: Iterable[ModelRow],
        gain: float = 0.0,
        cuts: Iterable[str] = [name for name, *_ in CUTS],
        **fields: Any,
    ) -> None:
        """Add the self-stitches of models, all with the same gain."""
        for b in tops:
            for cut in cuts:
                self.stitch(b, b, cut, gain, **fields)

    def run(self, job: str = "demo") -> None:
        """Add the start and the end of a run that made all rows so far."""
        task, count = next(self._ids), len(self.rows)
        fields = {
            "run": "", "job": job, "host": "laptop", "job_given": f"name: {job}\n", "job_resolved": "{}",
            "tasks": count, "done_before": 0, "failed": 0, "code": "0.1.0",
        }  # fmt: skip
        self.rows += [
            store_rows.start(task, **fields, done=0, at=_NOON),
            store_rows.end(task, **fields, done=count, at=_NOON.replace(minute=5)),
        ]

    def start(self, run: str, seeds: int, **fields: Any) -> None:
        """Add the start of a run of a job whose models have so many seeds, at the minute of that number."""
        job_resolved = json.dumps({"models": {"weak": {"seed": list(range(seeds))}}, **fields})
        at = _NOON.replace(minute=seeds)
        self.rows.append(store_rows.start(run, run=run, job="demo", job_resolved=job_resolved, at=at))

    def commit(self) -> Store:
        """Commit the collected rows and return the store."""
        self.store.commit(self.rows, run="run", worker="worker")
        self.rows = []
        return self.store


class PlantedOutcomes:
    """Planted models and stitches with outcomes on single test images, from which errors and gains follow.

    A network is right on an image if the sum of its skill, the ease of the image and a random number is above 0. An
    image has another ease for stitched networks than for whole ones.
    """

    def __init__(self, planted: Planted, images: int = 450, random_seed: int = 0):
        self.planted = planted
        self._random = np.random.default_rng(random_seed)
        self._ease = self._random.normal(size=images)
        self._ease_stitched = self._ease + self._random.normal(size=images)

    def models(self, count: int, skill: float, *, spread: float = 0.1, **fields: Any) -> list[ModelRow]:
        """Add models whose skills have a mean and a standard deviation."""
        return [self._model(skill + float(self._random.normal(0, spread)), **fields) for _ in range(count)]

    def stitches(self, bottoms: Iterable[ModelRow], tops: Iterable[ModelRow], cut: str, skill: float) -> None:
        """Add stitches of every A to every other B at a cut, all with the same skill."""
        tops = list(tops)
        for a, b in itertools.product(bottoms, tops):
            if a.task != b.task:
                correct, error = self._outcomes(skill + self._ease_stitched)
                self.planted.stitch(a, b, cut, b.test_error - error, correct=correct)

    def self_stitches(self, tops: Iterable[ModelRow], cut: str, skill: float) -> None:
        """Add the stitch of each B to itself at a cut, all with the same skill."""
        for b in tops:
            correct, error = self._outcomes(skill + self._ease_stitched)
            self.planted.stitch(b, b, cut, b.test_error - error, correct=correct)

    def _model(self, skill: float, **fields: Any) -> ModelRow:
        correct, error = self._outcomes(skill + self._ease)
        return self.planted.model(error=error, correct=correct, **fields)

    def _outcomes(self, skill: np.ndarray) -> tuple[bytes, float]:
        """Draw outcomes; return their packed bitmap and the error in percent."""
        right = skill + self._random.normal(size=len(skill)) > 0
        return np.packbits(right).tobytes(), 100 * int((~right).sum()) / len(right)


def demo_store(planted: Planted) -> Store:
    """Fill a store with models along all three axes, an untrained control, self-stitches and similarities."""
    weak = planted.models(5, samples=100, error=22.0)
    strong = planted.models(5, seed=10, samples=1200, error=6.0)
    planted.stitches(strong, weak, lambda depth: 0.0 if depth < 0.4 else 5.0 + 8 * (depth - 0.4))
    planted.stitches(weak, weak, lambda depth: -0.5, spread=0.4, random_seed=1)
    planted.self_stitches(weak, gain=0.3)

    narrow = planted.models(5, seed=20, width=8, samples=1200, error=9.0)
    planted.stitches(strong, narrow, lambda depth: -0.4 + 2 * depth, spread=0.5, random_seed=2)
    planted.stitches(narrow, narrow, lambda depth: -0.2, spread=0.2, random_seed=3)
    planted.self_stitches(narrow, gain=0.1)

    runs = [f"{i:032x}" for i in range(5)]
    early, late = (
        [
            planted.model(seed=30 + i, training=run, steps=steps, schedule_steps=400, error=error)
            for i, run in enumerate(runs)
        ]
        for steps, error in ((100, 15.0), (400, 12.0))
    )
    planted.stitches(late, early, lambda depth: 3 * depth, spread=0.5, random_seed=4)
    planted.self_stitches(early)

    untrained = planted.models(5, seed=40, steps=0, error=90.0)
    planted.stitches(untrained, weak, lambda depth: -35 * depth**2, spread=0.8, random_seed=5)
    random = np.random.default_rng(6)
    for a, b in itertools.product(strong, weak):
        for cut, _, depth in CUTS:
            for debiased in ("false", "true"):
                value = float(0.9 - 0.5 * depth + random.normal(0, 0.02))
                planted.similarity(a, b, cut, value, options=f'{{"debiased":{debiased}}}')
    planted.run()
    return planted.commit()


def analysis_table(store: Store, name: str, **options) -> Table:
    """Return one analysis table of a store; `options` are those of `sweeper.report.tables.tables`."""
    (table,) = tables(store, [name], **options)
    return table


def rows_of(table: Table, **where) -> list[dict]:
    """Return the rows of a table that have the given values."""
    return [row for row in table.rows.to_pylist() if all(row[name] == value for name, value in where.items())]


def late_only(depth: float) -> float:
    """Return an effect of 5 percentage points from depth 0.4 on, and of 0 before it."""
    return 5.0 if depth >= 0.4 else 0.0
