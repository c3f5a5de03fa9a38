"""The share of nominal 95 % intervals that contain the true value, measured and written to docs/coverage.md.

    python docs/coverage.py           (five minutes on one core; the draws are seeded)

Each case draws many small experiments from a population with a known true value, and computes the interval of each with
`sweeper.store.statistics.interval`. The populations:

    effects   y_ij = a_i + b_j + e_ij; within one family, a model's effects as A and as B are correlated
    outcomes  a network is right on an image if a sum of normal effects (of the image, of the model, of the model on
              that image, of the pair on that image) is above a threshold, so that the expected error is a value of the
              normal distribution function; outcomes are packed as bits, as in a store
    trend     y_ij = slope * level of A + effects
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit

from sweeper.store.statistics.interval import Interval, model_interval, trend_interval

PAGE = Path(__file__).with_name("coverage.md")
DRAWS = 1000
BAD = 0.93
SEEDS = (2, 3, 5, 10)

Pair = tuple[int, int]


class Case(NamedTuple):
    """A population with a known true value; `draw` returns the interval of one experiment, and one to compare."""

    name: str
    seeds: str
    draw: Callable[[np.random.Generator], tuple[Interval, Interval | None]]
    truth: float = 0.0


class Coverage(NamedTuple):
    """The measured coverage of a case, as a share of its draws."""

    name: str
    seeds: str
    covered: float
    compared: float | None  # coverage of the interval to compare


class Strengths(NamedTuple):
    """Standard deviations of the effects on whether a network is right on an image; that of the image itself is 1.5."""

    name: str
    model: float  # of a network on all images
    shared: float  # of stitching on an image, the same in every pair
    single: float  # of a network, and of a pair, on an image


STRENGTHS = (
    Strengths("models differ much", 0.3, 0.3, 0.5),
    Strengths("models differ a little", 0.1, 0.3, 0.5),
    Strengths("models differ by chance alone", 0.0, 0.0, 0.7),
    Strengths("images decide", 0.05, 0.8, 0.3),
)


def sections() -> dict[str, list[Case]]:
    """Return all cases by the heading of their table."""
    return {
        "Crossed families: effects of A and of B": [
            Case(
                f"A {a:g}, B {b:g}, pair 0.5", f"{n} and {m}", lambda rng, n=n, m=m, a=a, b=b: _crossed(rng, n, m, a, b)
            )
            for a, b in ((1.0, 1.0), (1.0, 0.3), (0.0, 1.0), (0.0, 0.0))
            for n, m in (*zip(SEEDS, SEEDS, strict=True), *((2, 10), (3, 10)) * (a == b == 1))
        ],
        "One family, each model on both sides": [
            Case(f"correlation of a model's roles {r:g}", str(n), lambda rng, n=n, r=r: _dyadic(rng, n, r))
            for r in (-0.9, 0.0, 0.9)
            for n in (3, 5, 10)
        ],
        "Other test images: 450": list(_image_cases(450)),
        "Other test images: 10000": list(_image_cases(10_000)),
        "Trend over three levels of A": [
            Case(f"A {a:g}, B {b:g}, pair 0.5", f"{n} a level", lambda rng, n=n, a=a, b=b: _trend(rng, n, a, b), 0.7)
            for a, b in ((1.0, 1.0), (0.3, 1.0), (0.0, 0.0))
            for n in SEEDS
        ],
    }


def measure(case: Case, draws: int) -> Coverage:
    """Return the share of `draws` experiments whose interval contains the true value; the case's name is the seed."""
    rng = np.random.default_rng(list(f"{case.name} {case.seeds}".encode()))
    intervals = [case.draw(rng) for _ in range(draws)]
    covered = [_covers(first, case.truth) for first, _ in intervals]
    compared = [_covers(second, case.truth) for _, second in intervals if second is not None]
    return Coverage(case.name, case.seeds, float(np.mean(covered)), float(np.mean(compared)) if compared else None)


def _covers(interval: Interval, truth: float) -> bool:
    return interval.lo is not None and interval.hi is not None and interval.lo <= truth <= interval.hi


def _crossed(rng: np.random.Generator, n: int, m: int, a: float, b: float) -> tuple[Interval, Interval]:
    y = a * rng.normal(size=(n, 1)) + b * rng.normal(size=(1, m)) + 0.5 * rng.normal(size=(n, m))
    return model_interval(*_columns(list(np.ndindex(n, m)), "ab", y)), _independent(y.ravel())


def _dyadic(rng: np.random.Generator, n: int, correlation: float) -> tuple[Interval, Interval]:
    bottom_effects = rng.normal(size=n)
    top_effects = correlation * bottom_effects + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    y = bottom_effects[:, None] + top_effects[None] + 0.5 * rng.normal(size=(n, n))
    cells = _pairs_within(n)
    return model_interval(*_columns(cells, "mm", y)), _independent(np.array([y[c] for c in cells]))


def _trend(rng: np.random.Generator, n: int, a: float, b: float) -> tuple[Interval, None]:
    levels = np.repeat([0.0, 1.0, 3.0], n)  # in doublings
    y = 0.7 * levels[:, None] + a * rng.normal(size=(3 * n, 1)) + b * rng.normal(size=(1, n))
    y = y + 0.5 * rng.normal(size=(3 * n, n))
    cells = list(np.ndindex(3 * n, n))
    bottoms, tops, values = _columns(cells, "ab", y)
    return trend_interval(bottoms, tops, [float(levels[i]) for i, _ in cells], values), None


def _image_cases(images: int) -> Iterator[Case]:
    for strengths in STRENGTHS:
        for n in SEEDS:
            cells = list(np.ndindex(n, n))
            yield Case(
                strengths.name, f"{n} and {n}",
                lambda rng, n=n, cells=cells, s=strengths: _outcomes(rng, n, n, images, s, cells), _gain(strengths),
            )  # fmt: skip
    for strengths in STRENGTHS[1:]:
        yield Case(
            f"one family, {strengths.name}", "5",
            lambda rng, s=strengths: _outcomes(rng, 5, 5, images, s, _pairs_within(5)), _gain(strengths),
        )  # fmt: skip


def _outcomes(
    rng: np.random.Generator, n: int, m: int, images: int, strengths: Strengths, cells: list[Pair]
) -> tuple[Interval, Interval]:
    """Return the interval for other images, and the interval for these images.

    Within one family, row i and column i are one model, whose effects as A and as B are independent.
    """

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    image = 1.5 * normal(images)
    top = strengths.model * normal(m, 1) + strengths.single * normal(m, images)
    alone = 1.2 + image + top > 0
    bottom = strengths.model * normal(n, 1, 1) + strengths.single * normal(n, 1, images)
    score = 1.5 + image + strengths.shared * normal(images) + bottom + top
    stitched = score + strengths.single * normal(n, m, images) > 0
    y = 100.0 * (stitched.mean(axis=2) - alone.mean(axis=1))
    stitched_bits, alone_bits = np.packbits(stitched, axis=2), np.packbits(alone, axis=1)
    columns = _columns(cells, "mm" if len(cells) < n * m else "ab", y)
    for_other_images = model_interval(
        *columns, [stitched_bits[c].tobytes() for c in cells], [alone_bits[j].tobytes() for _, j in cells]
    )
    return for_other_images, model_interval(*columns)


def _gain(strengths: Strengths) -> float:
    """Return the expected gain of `_outcomes`, in points."""
    alone = math.sqrt(1.5**2 + strengths.model**2 + strengths.single**2)
    stitched = math.sqrt(1.5**2 + strengths.shared**2 + 2 * strengths.model**2 + 3 * strengths.single**2)
    return float(100 * (ndtr(1.5 / stitched) - ndtr(1.2 / alone)))


def _independent(y: np.ndarray) -> Interval:
    """Return the interval that treats every stitch as an independent observation."""
    mean, half = float(y.mean()), float(stdtrit(len(y) - 1, 0.975) * y.std(ddof=1) / math.sqrt(len(y)))
    return Interval(mean, mean - half, mean + half, None, None, len(y), len(y), len(y), None, "")


def _pairs_within(n: int) -> list[Pair]:
    return [(i, j) for i, j in np.ndindex(n, n) if i != j]


def _columns(cells: list[Pair], sides: str, y: np.ndarray) -> tuple[list[str], list[str], list[float]]:
    """Return the names of the models A and B, and the value, of each cell; `sides` has the two names' first letters."""
    a, b = sides
    return [f"{a}{i}" for i, _ in cells], [f"{b}{j}" for _, j in cells], [float(y[c]) for c in cells]


def page() -> str:
    """Return the text of docs/coverage.md, with one table per heading."""
    parts = [
        "<!-- Written by docs/coverage.py; measured, not derived. -->\n"
        "# How often the intervals contain the true value\n",
        "The intervals are nominal 95 % intervals. Their coverage is measured on simulated experiments with a known "
        f"true value (`python docs/coverage.py`, seeded). A coverage below {100 * BAD:.0f} % is marked **bad**. Each "
        f"case has {DRAWS} draws, which measure its coverage to 1.4 points.\n",
        "The column *compared* gives the coverage of another interval. For families, it is an interval that treats "
        "every stitch as an independent observation. For test images, it is the interval for these test images alone "
        "(`--set images=fixed`), which is not meant to cover the value for other images.\n",
    ]
    for heading, cases in sections().items():
        lines = ["| | seeds | covered | | compared |", "| --- | --- | ---: | --- | ---: |"]
        lines += [_line(measure(case, DRAWS)) for case in cases]
        parts.append(f"## {heading}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(coverage: Coverage) -> str:
    mark = "**bad**" if coverage.covered < BAD else ""
    compared = "" if coverage.compared is None else f"{100 * coverage.compared:.1f} %"
    return f"| {coverage.name} | {coverage.seeds} | {100 * coverage.covered:.1f} % | {mark} | {compared} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"docs/{PAGE.name}")
