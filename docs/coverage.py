"""How often intervals miss the true value, alone and in families, measured and written to docs/coverage.md.

    python docs/coverage.py           (ten minutes on one core; the draws are seeded)

The errors of families of verdicts are those of `coverage_designs.py`. All other cases draw many small experiments from
a population with a known true value, and compute the interval of each with `sweeper.store.statistics.interval`. Their
populations:

    outcomes  a network is right on an image if a sum of normal effects (of the image, of the model, of the model on
              that image, of the pair on that image) is above a threshold, so that the expected error is a value of the
              normal distribution function; outcomes are packed as bits, as in a store
    trend     y_ij = slope * level of A + effects
"""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from sweeper.store.statistics.bounds import error_of_two_parts
from sweeper.store.statistics.interval import Interval, model_interval, trend_interval

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # tests load this file from its path

from coverage_designs import Design, Errors, errors, look_errors  # noqa: E402

PAGE = HERE / "coverage.md"
DRAWS = 1000
DRAWS_OF_FAMILIES = 40_000
DRAWS_OF_LOOKS = 20_000
LOOKS = 10
BAD = 0.93
NOMINAL = 0.05
MOST = 0.06  # family-wise error; the nominal one is 0.05
SEEDS = (2, 3, 5, 10)
DESIGNS = (*zip(SEEDS, SEEDS, strict=True), (2, 5), (2, 10), (3, 10), (5, 10))
VARIANCES = ((1.0, 1.0), (4.0, 1.0), (1.0, 4.0))  # of the effects of A and of B

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
        "Other test images: 450": list(_image_cases(450)),
        "Other test images: 10000": list(_image_cases(10_000)),
        "Trend over three levels of A": [
            Case(f"A {a:g}, B {b:g}, pair 0.5", f"{n} a level", lambda rng, n=n, a=a, b=b: _trend(rng, n, a, b), 0.7)
            for a, b in ((1.0, 1.0), (0.3, 1.0), (0.0, 0.0))
            for n in SEEDS
        ],
    }


def families() -> dict[str, dict[str, Design]]:
    """Return the designs of families of verdicts by the heading of their table and by name."""
    crossed = {
        f"{n} and {m}, variances {a:g} : {b:g}, pair {pair:g}": Design(n, m, a, b, pair)
        for n, m in DESIGNS
        for a, b in VARIANCES
        for pair in (0.0, 0.25 * (a + b))
    }
    no_effects = {f"{n} and {m}, only the pairs differ": Design(n, m, 0.0, 0.0, 1.0) for n, m in DESIGNS}
    shared = {
        f"{n} seeds on both sides{'' if diagonal else ', other pairs only'}, correlation {r:g}": Design(
            n, n, 1.0, 1.0, 0.25, r, diagonal
        )
        for n in (3, 5, 10)
        for r in (-0.9, 0.0, 0.9)
        for diagonal in (True, False)
    }
    return {
        "Families of verdicts: other seeds on the two sides": crossed | no_effects,
        "Families of verdicts: the same seeds on the two sides": shared,
    }


def look_designs() -> dict[str, tuple[Design, int]]:
    """Return the designs at the first of ten looks, and the models that each look adds on each side, by name."""
    return {
        f"{n} and {m}, {more} more a look, variances {a:g} : {b:g}": (Design(n, m, a, b, 0.0), more)
        for n, m in ((2, 2), (3, 3), (5, 5), (3, 10))
        for more in (1, 5)
        for a, b in VARIANCES[:2]
    }


def exact_errors() -> list[tuple[str, float, list[float]]]:
    """Return (design, nominal error, [largest, smallest] error over the shares of the variances / nominal)."""
    shares = np.r_[0, 10.0 ** -np.arange(6, 1, -1), np.linspace(0.02, 0.98, 49), 1 - 10.0 ** -np.arange(2, 7), 1]
    return [
        (f"{n} and {m}", 1 - level, [float(e) / (1 - level) for e in (errors_by_share.max(), errors_by_share.min())])
        for n, m in DESIGNS
        for level in (0.95, 0.99, 0.999)
        for errors_by_share in [error_of_two_parts((n - 1, m - 1), shares, level)]
    ]


def measure(case: Case, draws: int) -> Coverage:
    """Return the share of `draws` experiments whose interval contains the true value; the case's name is the seed."""
    rng = np.random.default_rng(list(f"{case.name} {case.seeds}".encode()))
    intervals = [case.draw(rng) for _ in range(draws)]
    covered = [_covers(first, case.truth) for first, _ in intervals]
    compared = [_covers(second, case.truth) for _, second in intervals if second is not None]
    return Coverage(case.name, case.seeds, float(np.mean(covered)), float(np.mean(compared)) if compared else None)


def _covers(interval: Interval, truth: float) -> bool:
    return interval.lo is not None and interval.hi is not None and interval.lo <= truth <= interval.hi


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
        "Simulated experiments have a known true value (`python docs/coverage.py`, seeded). An interval "
        "at a level of 95 % should miss it in 5 % of experiments, and so should some interval of a family whose "
        "intervals are simultaneous. A verdict is wrong only if its interval misses.\n",
        "The half-width of an interval is computed from the parts of its variance: those over A, over B and over "
        "test images, or over seeds that are on both sides. `sweeper/store/statistics/bounds.py` has the formula.\n",
        _exact_section(),
    ]
    for heading, designs in families().items():
        parts.append(f"## {heading}\n\n{_ABOUT_FAMILIES}\n\n{_family_table(designs)}\n")
    parts.append(looks_section())
    parts.append(
        "## Other test images, and trends\n\n"
        f"The share of nominal 95 % intervals that contain the true value. A coverage below {100 * BAD:.0f} % is "
        f"marked **bad**. Each case has {DRAWS} draws, which measure its coverage to 1.4 points. The column *compared* "
        "gives the coverage of the interval for these test images alone (`--set images=fixed`), which is not meant to "
        "cover the value for other images.\n"
    )
    for heading, cases in sections().items():
        lines = ["| | seeds | covered | | compared |", "| --- | --- | ---: | --- | ---: |"]
        lines += [_line(measure(case, DRAWS)) for case in cases]
        parts.append(f"## {heading}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


_ABOUT_FAMILIES = (
    f"Each design has {DRAWS_OF_FAMILIES} experiments. *Single*: the 95 % interval of a mean misses it. *Means*: some "
    "of three simultaneous intervals misses, each of the mean of another family A with the same B. *Cuts*: some of the "
    "simultaneous intervals of four cuts misses. *Satterthwaite*: as *means*, with the degrees of freedom that Sweeper "
    f"used before. A family with more than {100 * MOST:.0f} % is marked **bad**."
)


def looks_section() -> str:
    """Return the table of the errors of ten looks."""
    lines = ["| seeds of A and of B | ten looks | at 95 % each | first look | |", "| --- | ---: | ---: | ---: | --- |"]
    for name, (design, more) in look_designs().items():
        measured = look_errors(design, DRAWS_OF_LOOKS, LOOKS, more)
        corrected, uncorrected, first = (f"{100 * share:.1f} %" for share in measured)
        mark = "**bad**" if measured.corrected > NOMINAL else ""
        lines.append(f"| {name} | {corrected} | {uncorrected} | {first} | {mark} |")
    return (
        f"## {LOOKS} looks while seeds are added\n\n"
        f"Models are added on both sides, and the interval of a mean is read after each addition, {LOOKS} times. *Ten "
        "looks*: some of these intervals misses the value, each at the level of its look ([science notes](science.md"
        "#looking-again)). *At 95 % each*: the same without a correction. *First look*: the first interval misses, at "
        f"its level. Each design has {DRAWS_OF_LOOKS} experiments; one with more than {100 * NOMINAL:.0f} % is marked "
        "**bad**.\n\n" + "\n".join(lines) + "\n"
    )


def _exact_section() -> str:
    """Return the table of the errors that are computed by integration."""
    lines = ["| seeds of A and of B | error | largest / nominal | smallest / nominal |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {design} | {100 * error:g} % | {largest:.2f} | {smallest:.2f} |"
        for design, error, (largest, smallest) in exact_errors()
    ]
    return (
        "## One interval, by integration\n\n"
        "The error of an interval over two crossed families, computed by numerical integration without draws. The "
        "largest and the smallest error are over 61 ratios of the variances of A and B, from all in A to all in B; "
        "pairs have no variance of their own, which would make the error smaller. It is nominal where one side has all "
        "of the variance, and smaller in between.\n\n" + "\n".join(lines) + "\n"
    )


def _family_table(designs: dict[str, Design]) -> str:
    """Return the table of the measured errors of designs."""
    lines = [
        "| seeds of A and of B | single | means | cuts | | Satterthwaite |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    lines += [_family_line(name, errors(design, DRAWS_OF_FAMILIES)) for name, design in designs.items()]
    return "\n".join(lines)


def _family_line(name: str, measured: Errors) -> str:
    mark = "**bad**" if max(measured[:3]) > MOST else ""
    single, means, cuts, satterthwaite = (f"{100 * share:.1f} %" for share in measured)
    return f"| {name} | {single} | {means} | {cuts} | {mark} | {satterthwaite} |"


def _line(coverage: Coverage) -> str:
    mark = "**bad**" if coverage.covered < BAD else ""
    compared = "" if coverage.compared is None else f"{100 * coverage.compared:.1f} %"
    return f"| {coverage.name} | {coverage.seeds} | {100 * coverage.covered:.1f} % | {mark} | {compared} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"docs/{PAGE.name}")
