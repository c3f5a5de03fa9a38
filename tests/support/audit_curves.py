"""Stores with the paper's own curves planted, and the audit asked of them."""

from functools import cache

from support.planted_store import CUTS, Planted
from sweeper.report.audit.audit import Audit, audit
from sweeper.report.audit.compare import ALL, CurveComparison, CurveSummary
from sweeper.report.audit.curves import Curve, curves
from sweeper.spec.records.rows import ModelRow
from sweeper.store.store import Store

# The authors' protocol, as `analysis/paper/protocol.yaml` has it.
NETWORK = {
    "dataset": "cifar10", "width": 64, "samples": 50_000, "steps": 64_000, "batch": 128, "lr": 0.05, "momentum": 0.9,
    "weight_decay": 1e-4, "schedule": "step", "augment": "crop_flip",
}  # fmt: skip
STITCH = {"protocol": "paper", "max_steps": 120_000, "batch": 128, "lr": 1e-3, "augment": "crop_flip", "data": "full"}
RATIOS = {"5K samples": 0.5, "10K samples": 1.0, "25K samples": 2.5}


@cache
def paper(figure: str) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves() if curve.figure == figure and curve.quantity == "penalty"}


def networks(planted: Planted, seeds: int, *, seed: int = 0, **given: object) -> list[ModelRow]:
    return planted.models(seeds, seed=seed, **(NETWORK | given))


def copy(planted: Planted, curve: Curve, bottoms: list[ModelRow], tops: list[ModelRow], turn: float = 1, **given):
    """Stitches whose penalty is the curve's at each depth, times `turn`, apart from a hundredth of a point."""
    for a in bottoms:
        for b in tops:
            if a.task != b.task:
                for i, (cut, _, depth) in enumerate(CUTS):
                    reading = curve.at(depth)
                    assert reading
                    noise = 0.001 * ((17 * a.seed + 5 * b.seed + i) % 3)
                    planted.stitch(a, b, cut, -turn * reading.value + noise, **(STITCH | given))


def more_data(planted: Planted, seeds: int = 2, turn: float = 1, **given) -> None:
    """Figure 2C at the paper's own sizes, ends of the curves included."""
    figure = paper("2C")
    tops = networks(planted, seeds, samples=10_000, error=33.66)
    twins = networks(
        planted, seeds, seed=100, samples=10_000, error=33.66 + turn * figure["10K samples"].points[1].value
    )
    for name, samples, bottoms in (
        ("5K samples", 5_000, None),
        ("10K samples", 0, twins),
        ("25K samples", 25_000, None),
    ):
        error = 33.66 + turn * figure[name].points[1].value
        bottoms = bottoms or networks(planted, seeds, seed=samples, samples=samples, error=error)
        copy(planted, figure[name], bottoms, tops, turn, **given)


def ask(store: Store, name: str, **given) -> Audit:
    return next(found for found in audit(store, [name], **given) if found.figure.name == name)


def only(store: Store, name: str, **given) -> CurveComparison:
    (compared,) = ask(store, name, **given).compared
    return compared


def line(compared: CurveComparison, curve: str = ALL) -> CurveSummary:
    return next(short for short in compared.short if short.curve == curve)
