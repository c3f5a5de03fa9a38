"""Stores whose stitches have the penalties of the paper's curves, and helpers that audit them."""

from functools import cache

from support.planted_store import CUTS, Planted
from sweeper.report.audit.audit import Audit, audit
from sweeper.report.audit.compare import ALL, CurveComparison, CurveSummary
from sweeper.report.audit.curves import Curve, curves
from sweeper.spec.records.rows import ModelRow
from sweeper.store.store import Store

# The authors' settings, as in `analysis/paper/protocol.yaml`.
NETWORK = {
    "dataset": "cifar10", "width": 64, "samples": 50_000, "steps": 64_000, "batch": 128, "lr": 0.05, "momentum": 0.9,
    "weight_decay": 1e-4, "schedule": "step", "augment": "crop_flip",
}  # fmt: skip
STITCH = {"protocol": "paper", "max_steps": 120_000, "batch": 128, "lr": 1e-3, "augment": "crop_flip", "data": "all"}
RATIOS = {"5K samples": 0.5, "10K samples": 1.0, "25K samples": 2.5}


@cache
def paper_curves(figure: str) -> dict[str, Curve]:
    """Return the penalty curves of a figure by name."""
    return {curve.name: curve for curve in curves() if curve.figure == figure and curve.quantity == "penalty"}


def plant_networks(planted: Planted, seeds: int, *, seed: int = 0, **settings: object) -> list[ModelRow]:
    """Plant networks with the authors' settings; `settings` replaces some of them."""
    return planted.models(seeds, seed=seed, **(NETWORK | settings))


def plant_curve(
    planted: Planted, curve: Curve, bottoms: list[ModelRow], tops: list[ModelRow], factor: float = 1, **settings
):
    """Plant stitches whose penalty at each depth is the curve's times `factor`, up to 0.002 points."""
    for a in bottoms:
        for b in tops:
            if a.task != b.task:
                for i, (cut, _, depth) in enumerate(CUTS):
                    reading = curve.at(depth)
                    assert reading
                    noise = 0.001 * ((17 * a.seed + 5 * b.seed + i) % 3)
                    planted.stitch(a, b, cut, -factor * reading.value + noise, **(STITCH | settings))


def plant_more_data(planted: Planted, seeds: int = 2, factor: float = 1, **settings) -> None:
    """Plant figure 2C at the paper's sizes, with A alone at the ends of its curves."""
    figure = paper_curves("2C")
    tops = plant_networks(planted, seeds, samples=10_000, error=33.66)
    equal_bottoms = plant_networks(
        planted, seeds, seed=100, samples=10_000, error=33.66 + factor * figure["10K samples"].points[1].value
    )
    for name, samples, bottoms in (
        ("5K samples", 5_000, None),
        ("10K samples", 0, equal_bottoms),
        ("25K samples", 25_000, None),
    ):
        error = 33.66 + factor * figure[name].points[1].value
        bottoms = bottoms or plant_networks(planted, seeds, seed=samples, samples=samples, error=error)
        plant_curve(planted, figure[name], bottoms, tops, factor, **settings)


def figure_audit(store: Store, name: str, **options) -> Audit:
    """Return the audit of one figure."""
    return next(result for result in audit(store, [name], **options) if result.figure.name == name)


def only_comparison(store: Store, name: str, **options) -> CurveComparison:
    """Return the comparison with a figure in a store that has one setting."""
    (compared,) = figure_audit(store, name, **options).compared
    return compared


def summary_of(compared: CurveComparison, curve: str = ALL) -> CurveSummary:
    """Return the summary of a curve, or of all curves."""
    return next(summary for summary in compared.short if summary.curve == curve)
