"""Contrasts with few training runs on a side: their intervals are so wide that few verdicts are decided."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sweeper.spec.records.task import Model, Recipe

from .graph import A, B
from .plan import Plan

ENOUGH = 5  # training runs on each side (docs/science.md#intervals)
_NAMED = 4  # contrasts that are named in a line


class PlannedContrast(NamedTuple):
    """The stitches between the models of one setting and those of another, or of the same setting."""

    bottom: str  # the families of A
    top: str
    runs_a: int
    runs_b: int


def contrasts(plan: Plan) -> list[PlannedContrast]:
    """Return the contrasts of a job, those with the fewest training runs on a side first.

    The models of a setting differ only in their seeds. Models of one seed count as one run, as in intervals. Stitches
    of a model into itself and those of other senders are controls, and belong to no contrast.
    """
    rows = plan.graph.rows[plan.is_stitch]
    is_claim = plan.graph.row_mask(
        lambda operation: isinstance(operation, Recipe) and operation.sender == "network", rows
    )
    pairs = np.unique(rows[is_claim & (rows[:, A] != rows[:, B])][:, [A, B]], axis=0)
    setting_numbers: dict[object, int] = {}
    settings = np.array([setting_numbers.setdefault(_setting(m), len(setting_numbers)) for m in plan.models], int)
    runs: dict[tuple[int, int], tuple[set[object], set[object]]] = {}
    first: dict[tuple[int, int], tuple[int, int]] = {}
    for a, b in pairs.tolist():
        key = int(settings[a]), int(settings[b])
        first.setdefault(key, (a, b))
        runs_a, runs_b = runs.setdefault(key, (set(), set()))
        runs_a.add(_run(plan.models[a]))
        runs_b.add(_run(plan.models[b]))
    planned = [
        PlannedContrast(_families(plan, a), _families(plan, b), *map(len, runs[key])) for key, (a, b) in first.items()
    ]
    return sorted(planned, key=lambda contrast: (min(contrast[2:]), contrast))


def lines_on_few(all_contrasts: Sequence[PlannedContrast]) -> Iterator[str]:
    """Yield a warning if contrasts have fewer than `ENOUGH` training runs on a side."""
    few = [contrast for contrast in all_contrasts if min(contrast.runs_a, contrast.runs_b) < ENOUGH]
    if few:
        named = list(dict.fromkeys(f"{c.bottom} into {c.top} {c.runs_a} x {c.runs_b}" for c in few))
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        yield (
            f"few runs: {len(few)} of {len(all_contrasts)} contrasts have fewer than {ENOUGH} training runs on a side "
            f"({', '.join(named[:_NAMED])}{more}). With one there is no interval; with two, Student's t is 12.7, with "
            "three 4.3, with five 2.8. Add seeds, or expect few decided verdicts"
        )


def _setting(model: Model) -> object:
    """Return what models have in common that differ only in their seeds, or in the file of their weights."""
    training = model.training
    weights = training.weights if training.weights == "none" else ""
    return replace(training, id="", seed=0, init=None, weights=weights, where=""), training.init is None, model.step


def _run(model: Model) -> object:
    """Return what distinguishes independent training runs: the seed, or for weights from a file the run itself."""
    training = model.training
    return training.id if training.weights != "none" and training.init is None else training.seed


def _families(plan: Plan, position: int) -> str:
    return ", ".join(name for name, positions in plan.families.items() if position in positions)
