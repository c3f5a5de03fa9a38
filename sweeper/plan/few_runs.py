"""Contrasts with few training runs on a side: their intervals are so wide that few verdicts are decided."""

from collections.abc import Iterator, Mapping, Sequence
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

    @property
    def label(self) -> str:
        """The families and the numbers of their runs."""
        return f"{self.bottom} into {self.top} {self.runs_a} x {self.runs_b}"

    @property
    def is_few(self) -> bool:
        """Whether a side has fewer than `ENOUGH` training runs."""
        return min(self.runs_a, self.runs_b) < ENOUGH


class ContrastModels(NamedTuple):
    """A contrast with the ids of its models on both sides."""

    contrast: PlannedContrast
    a: Sequence[str]
    b: Sequence[str]


def contrasts(plan: Plan) -> list[PlannedContrast]:
    """Return the contrasts of a job as `contrast_models` does, without their models."""
    return [models.contrast for models in contrast_models(plan)]


def contrast_models(plan: Plan) -> list[ContrastModels]:
    """Return the contrasts of a job with their models, those with the fewest training runs on a side first.

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
    sides: dict[tuple[int, int], tuple[set[int], set[int]]] = {}  # the positions of the models of A and of B
    for a, b in pairs.tolist():
        models_a, models_b = sides.setdefault((int(settings[a]), int(settings[b])), (set(), set()))
        models_a.add(a)
        models_b.add(b)
    planned = [_contrast(plan, sorted(models_a), sorted(models_b)) for models_a, models_b in sides.values()]
    return sorted(planned, key=lambda models: (min(models.contrast[2:]), models.contrast))


def named_contrasts(plan: Plan) -> list[ContrastModels]:
    """Return the contrasts with few runs that a warning names."""
    few = [models for models in contrast_models(plan) if models.contrast.is_few]
    labels = _named_labels([models.contrast for models in few])
    return [models for models in few if models.contrast.label in labels]


def lines_on_few(all_contrasts: Sequence[PlannedContrast], half_widths: Mapping[str, float]) -> Iterator[str]:
    """Yield a warning if contrasts have fewer than `ENOUGH` training runs on a side.

    Args:
        all_contrasts: All contrasts of the job.
        half_widths: The half-widths of intervals that are expected of named contrasts, by their label.
    """
    few = [contrast for contrast in all_contrasts if contrast.is_few]
    if not few:
        return
    labels = list(dict.fromkeys(contrast.label for contrast in few))
    named = _named_labels(few)
    more = f" and {len(labels) - len(named)} more" if len(labels) > len(named) else ""
    yield (
        f"few runs: {len(few)} of {len(all_contrasts)} contrasts have fewer than {ENOUGH} training runs on a side "
        f"({', '.join(named)}{more}). With one there is no interval; with two, Student's t is 12.7, with "
        "three 4.3, with five 2.8. Add seeds, or expect few decided verdicts"
    )
    if half_widths:
        widths = ", ".join(f"{label} +-{half_widths[label]:.2g} points" for label in named if label in half_widths)
        yield f"  expected 95 % intervals of the mean net gain, from the variance of the runs in the store: {widths}"


def _named_labels(few: Sequence[PlannedContrast]) -> list[str]:
    """Return the labels that a warning names, which several contrasts may have."""
    return list(dict.fromkeys(contrast.label for contrast in few))[:_NAMED]


def _contrast(plan: Plan, models_a: Sequence[int], models_b: Sequence[int]) -> ContrastModels:
    """Return the contrast between models at these positions in the plan."""
    runs_a, runs_b = (len({_run(plan.models[i]) for i in models}) for models in (models_a, models_b))
    contrast = PlannedContrast(_families(plan, models_a[0]), _families(plan, models_b[0]), runs_a, runs_b)
    ids_a, ids_b = ([plan.models[i].id for i in models] for models in (models_a, models_b))
    return ContrastModels(contrast, ids_a, ids_b)


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
