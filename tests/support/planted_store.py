"""Stores with a planted truth: rows made by hand, committed into a real store."""

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from sweeper.report.tables import Table, tables
from sweeper.spec.records import ident
from sweeper.spec.records.rows import ModelRow, Row, RunRow, SimilarityRow, StitchRow
from sweeper.store.store import Store

# name, position, depth: the cuts of a pre-activation ResNet-18
CUTS = [
    ("conv1", 1, 1 / 19),
    *((f"block{i}", i + 1, (1 + 2 * i) / 19) for i in range(1, 9)),
    ("pool", 11, 18 / 19),
]
LATE = [name for name, _, depth in CUTS if depth >= 0.5]
EARLY = [name for name, _, depth in CUTS if depth < 0.3]
MEAN = "(depth >= 0.5)"  # as the axis tables write it

_NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Planted:
    """Collects rows and commits them. Gains are what a test says they are."""

    def __init__(self, store: Store):
        self.store = store
        self.rows: list[Row] = []
        self._ids = (ident.digest(str(n).encode())[:32] for n in itertools.count())

    def model(self, *, error: float = 20.0, width: int = 16, training: str = "", **given: object) -> ModelRow:
        id = next(self._ids)
        weights = self.store.put_weights(id.encode())
        settings = {
            "arch": "resnet18k", "options": json.dumps({"width": width}), "parameters": 1000 * width**2,
            "dataset": "digits", "data_digest": "d" * 64, "samples": 100, "nested": False, "label_noise": 0.0,
            "seed": 0, "steps": 200, "batch": 128, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4,
            "schedule": "step", "augment": "none", "train_loss": 0.1, "test_loss": 0.5, "correct": b"",
        } | given  # fmt: skip
        if settings["steps"] == 0:  # what only training reads is neutral
            settings |= {"samples": 0, "batch": 0, "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0}
            settings |= {"schedule": "none", "train_loss": None}
        settings.setdefault("schedule_steps", settings["steps"])
        epochs = settings["steps"] * settings["batch"] / settings["samples"] if settings["samples"] else 0.0
        row = ModelRow(
            task=id, training=training or id, width=width, weights=weights, test_error=error, epochs=epochs, at=_NOON,
            **settings,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def models(self, count: int, *, seed: int = 0, **given: object) -> list[ModelRow]:
        return [self.model(seed=seed + i, **given) for i in range(count)]

    def stitch(self, a: ModelRow, b: ModelRow, cut: str, gain: float, **given: object) -> StitchRow:
        _, position, depth = next(c for c in CUTS if c[0] == cut)
        settings = {
            "stitcher": "conv1x1", "options": "{}", "protocol": "strict", "data": "full", "data_digest": b.data_digest,
            "seed": 0, "max_steps": 300, "batch": 256, "lr": 1e-3, "augment": "none", "parameters": 300, "steps": 50,
            "converged": True, "stop_data": "held_out", "train_loss": 0.1, "test_loss": 0.5, "direct_error": None,
            "direct_loss": None, "direct_r2": None, "correct": b"",
        } | given  # fmt: skip
        settings = {"a_weights": a.weights, "b_weights": b.weights} | settings
        row = StitchRow(
            task=next(self._ids), a=a.task, b=b.task, cut_a=cut, cut_b=cut,
            position_a=position, position_b=position, depth_a=depth, depth_b=depth, test_error=b.test_error - gain,
            a_loss=0.5, b_loss=0.5, a_error=a.test_error, b_error=b.test_error, penalty=-gain, gain=gain, at=_NOON,
            **settings,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def similarity(self, a: ModelRow, b: ModelRow, cut: str, value: float, **given: object) -> SimilarityRow:
        _, position, depth = next(c for c in CUTS if c[0] == cut)
        settings = {"measure": "linear_cka", "options": '{"debiased":false}', "samples": 450} | given
        settings = {"a_weights": a.weights, "b_weights": b.weights} | settings
        row = SimilarityRow(
            task=next(self._ids), a=a.task, b=b.task, cut_a=cut, cut_b=cut,
            position_a=position, position_b=position, depth_a=depth, depth_b=depth, data_digest=b.data_digest,
            value=value, at=_NOON, **settings,
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
        chance: int = 0,
        **given: object,
    ) -> None:
        """Every A into every B at every cut: the effect at its depth, plus an effect of A, of B (standard deviation
        `spread`: what seeds do), and noise. A model is not stitched to itself."""
        random = np.random.default_rng(chance)
        bottoms, tops, depths = list(bottoms), list(tops), {name: depth for name, _, depth in CUTS}
        own = {row.task: random.normal(0, spread) for row in {r.task: r for r in [*bottoms, *tops]}.values()}
        for a, b in itertools.product(bottoms, tops):
            if a.task != b.task:
                for cut in cuts:
                    gain = effect(depths[cut]) + own[a.task] - own[b.task] + random.normal(0, noise)
                    self.stitch(a, b, cut, float(gain), **given)

    def selves(self, tops: Iterable[ModelRow], gain: float = 0.0, **given: object) -> None:
        for b in tops:
            for cut, *_ in CUTS:
                self.stitch(b, b, cut, gain, **given)

    def run(self, job: str = "demo") -> None:
        start = RunRow(
            task=next(self._ids), job=job, event="start", outcome="", host="laptop", pid=1, job_given=f"name: {job}\n",
            job_resolved="{}", tasks=len(self.rows), done_before=0, done=0, failed=0, at=_NOON, code="0.1.0",
        )  # fmt: skip
        self.rows += [
            start,
            replace(start, event="end", outcome="complete", done=len(self.rows), at=_NOON.replace(minute=5)),
        ]

    def commit(self) -> Store:
        self.store.commit(self.rows, run="run", worker="worker")
        self.rows = []
        return self.store


class Judged:
    """Plants models and stitches with their outcomes on single images: right where skill, the image's ease (another one
    for stitched networks than for whole ones) and chance come to more than 0. Errors and gains are what they say."""

    def __init__(self, planted: Planted, images: int = 450, chance: int = 0):
        self.planted = planted
        self._random = np.random.default_rng(chance)
        self._ease = self._random.normal(size=images)
        self._ease_stitched = self._ease + self._random.normal(size=images)

    def models(self, count: int, skill: float, *, spread: float = 0.1, **given: object) -> list[ModelRow]:
        return [self._model(skill + float(self._random.normal(0, spread)), **given) for _ in range(count)]

    def stitches(self, bottoms: Iterable[ModelRow], tops: Iterable[ModelRow], cut: str, skill: float) -> None:
        tops = list(tops)
        for a, b in itertools.product(bottoms, tops):
            if a.task != b.task:
                correct, error = self._judge(skill + self._ease_stitched)
                self.planted.stitch(a, b, cut, b.test_error - error, correct=correct)

    def _model(self, skill: float, **given: object) -> ModelRow:
        correct, error = self._judge(skill + self._ease)
        return self.planted.model(error=error, correct=correct, **given)

    def _judge(self, skill: np.ndarray) -> tuple[bytes, float]:
        right = skill + self._random.normal(size=len(skill)) > 0
        return np.packbits(right).tobytes(), 100 * int((~right).sum()) / len(right)


def demo_store(planted: Planted) -> Store:
    """All three axes, a random control, self-stitches and similarities, as a small job would leave them."""
    weak = planted.models(5, samples=100, error=22.0)
    strong = planted.models(5, seed=10, samples=1200, error=6.0)
    planted.stitches(strong, weak, lambda depth: 0.0 if depth < 0.4 else 5.0 + 8 * (depth - 0.4))
    planted.stitches(weak, weak, lambda depth: -0.5, spread=0.4, chance=1)
    planted.selves(weak, gain=0.3)

    narrow = planted.models(5, seed=20, width=8, samples=1200, error=9.0)
    planted.stitches(strong, narrow, lambda depth: -0.4 + 2 * depth, spread=0.5, chance=2)
    planted.stitches(narrow, narrow, lambda depth: -0.2, spread=0.2, chance=3)

    runs = [f"{i:032x}" for i in range(5)]
    young, old = (
        [
            planted.model(seed=30 + i, training=run, steps=steps, schedule_steps=400, error=error)
            for i, run in enumerate(runs)
        ]
        for steps, error in ((100, 15.0), (400, 12.0))
    )
    planted.stitches(old, young, lambda depth: 3 * depth, spread=0.5, chance=4)
    planted.selves(young)

    untrained = planted.models(5, seed=40, steps=0, error=90.0)
    planted.stitches(untrained, weak, lambda depth: -35 * depth**2, spread=0.8, chance=5)
    random = np.random.default_rng(6)
    for a, b in itertools.product(strong, weak):
        for cut, _, depth in CUTS:
            for debiased in ("false", "true"):
                value = float(0.9 - 0.5 * depth + random.normal(0, 0.02))
                planted.similarity(a, b, cut, value, options=f'{{"debiased":{debiased}}}')
    planted.run()
    return planted.commit()


def ask(store: Store, name: str, **given) -> Table:
    """One table of a store."""
    (table,) = tables(store, [name], **given)
    return table


def rows_of(table: Table, **where) -> list[dict]:
    """The rows of a table that hold these values."""
    return [row for row in table.rows.to_pylist() if all(row[name] == value for name, value in where.items())]


def late_only(depth: float) -> float:
    """An effect of 5 points, but for the earliest cuts."""
    return 5.0 if depth >= 0.4 else 0.0
