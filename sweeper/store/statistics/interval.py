"""Intervals and tests whose units are models, not stitches, as Python functions and as SQL functions.

A gain y_ij depends on model i as A and on model j as B, so n * m stitches are not n * m independent observations. The
variance is that of a delete-one jackknife over *models*: each model in turn is left out with all its stitches
(Tukey 1958; for two crossed random factors Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2);
for pairs within one family Fafchamps and Gubert 2007 and Graham 2020 on dyadic data). With the outcomes on single
images, the interval is also for other test images (`images.py`).

`sql_functions.py` registers them in SQL.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sweeper.store.statistics.pairs import Pairs, Stitches

if TYPE_CHECKING:  # these modules import scipy, which takes 0.25 s
    from sweeper.store.statistics.bitmaps import Bitmaps
    from sweeper.store.statistics.contrast import Contrast
    from sweeper.store.statistics.images import Component

Texts = Sequence[str]
Values = Sequence[float | None]
PackedOutcomes = Sequence[bytes | None]

ERROR = 0.05  # the error of an interval, or of a family of intervals

ONE_MODEL = "one model on a side: the variance over models can't be estimated"
NOT_FINITE = "a value is not a finite number"
TOO_FEW = "too few models: leaving one out leaves no pair"
ONE_LEVEL = "no B was stitched to A at two or more levels: there is no trend"


class Interval(NamedTuple):
    """An estimate over pairs of models with its confidence interval, in the units of the values.

    If the variance can't be estimated, all fields but the mean and the counts are None, and `note` gives the reason. If
    the variance is estimated, `note` is empty, unless outcomes on single images were given but can't be used: then the
    interval holds only for the same test images, and `note` gives the reason.
    """

    mean: float | None
    lo: float | None
    hi: float | None
    se: float | None
    df: float | None  # degrees of freedom with which Student's t gives the interval
    n_a: int  # number of bottom models
    n_b: int  # number of top models
    n_pairs: int  # number of pairs of models, each counted once if it was stitched several times
    p_zero: float | None  # two-sided p of the hypothesis mean = 0
    note: str
    images: int | None = None  # number of test images; None: the interval holds only for the same test images
    se_images: float | None = None  # standard error due to the test images alone
    variances: tuple[float, ...] | None = None  # the parts of the variance: one for each role, one for the test images
    degrees: tuple[float, ...] | None = None  # the degrees of freedom of each part


class Estimate(NamedTuple):
    """An estimate and the parts of its variance; without parts, `note` says why the variance can't be estimated."""

    mean: float | None
    n_a: int
    n_b: int
    n_pairs: int
    note: str
    images: int | None = None
    se_images: float | None = None
    variances: tuple[float, ...] = ()
    degrees: tuple[float, ...] = ()


def model_interval(
    a: Texts, b: Texts, y: Values, correct: PackedOutcomes = (), against: PackedOutcomes = (), level: float = 0.95
) -> Interval:
    """Estimate the mean of y over pairs (a, b) of models, with models as the units.

    Stitches without a value are left out; several stitches of one pair are averaged first. Let T_k be the mean without
    model k, and T_s the mean of T_k over the n_s models k of a role s (only A, only B, or both):

        variance = sum over roles s of variance_s = (n_s - 1) / n_s * sum over k in s of (T_k - T_s)^2
        interval = mean -+ half-width from these parts of the variance, with n_s - 1 degrees of freedom (`bounds.py`)

    If the families are disjoint and every A is stitched to every B, the variance is (MS_A + MS_B) / (n m), with the
    mean squares of the two-way table's rows and columns. If each model is on both sides, it is that of the jackknife
    over models, with n - 1 degrees of freedom. If one of several roles has a single model, all models form one role,
    with the degrees of freedom of the side with fewer models. If a side has a single model, there is no interval,
    because the variance over that side's models can't be estimated.

    With outcomes on single images, the variance also has a part due to the test images, with images - 1 degrees of
    freedom (`images.py`). If they are missing or inconsistent with y, the test images are held fixed, and `note`
    gives the reason.

    The measured coverage of the intervals is in docs/coverage.md.

    Args:
        a: The id of each stitch's A, or of what makes models dependent, such as their seed (`draw` of the view
            `models`).
        b: The same of each stitch's B.
        y: The value of each stitch, or None.
        correct: The images that each stitch classified right, as packed bitmaps; empty for an interval that holds for
            the same test images.
        against: The images that each stitch's counterpart classified right; y is the difference in percentage points.
        level: The confidence level.
    """
    bitmaps, stitches = _columns(a, b, [0.0] * len(y), y, correct, against)
    return with_bounds([estimate_mean(stitches, bitmaps)], level)[0]


def trend_interval(
    a: Texts,
    b: Texts,
    x: Values,
    y: Values,
    correct: PackedOutcomes = (),
    against: PackedOutcomes = (),
    level: float = 0.95,
) -> Interval:
    """Estimate the slope of y over x, a level of A such as log(samples): the mean over Bs of the slope within each B.

    The variance is that of `model_interval`, with roles that also distinguish the levels of a model. Bs that were not
    stitched to A at every level are left out, because their slopes would be over other levels. If a level has a single
    A, all models form one role.

    Args:
        a: The id of each stitch's A.
        b: The id of each stitch's B.
        x: The level of each stitch's A.
        y: The value of each stitch, or None.
        correct: As in `model_interval`.
        against: As in `model_interval`.
        level: The confidence level.
    """
    bitmaps, stitches = _columns(a, b, x, y, correct, against)
    return with_bounds([estimate_trend(stitches, bitmaps)], level)[0]


def estimate_mean(stitches: Stitches, bitmaps: "Bitmaps") -> Estimate:
    """Return the mean over pairs of models and its variance; see `model_interval`."""
    pairs = Pairs.of(stitches)
    if len(pairs.values) == 0:
        return _without_parts(pairs, None, ONE_MODEL)
    from sweeper.store.statistics.contrast import Mean

    return _estimate(pairs, Mean(pairs.a, pairs.b, pairs.models), bitmaps)


def estimate_trend(stitches: Stitches, bitmaps: "Bitmaps") -> Estimate:
    """Return the mean slope over the levels of A and its variance; see `trend_interval`."""
    pairs = Pairs.of(stitches.of_complete_tops())
    if len(pairs.x) < 2:
        return _without_parts(pairs, None, ONE_LEVEL)
    from sweeper.store.statistics.contrast import Slope

    return _estimate(pairs, Slope(pairs.a, pairs.b, pairs.level, pairs.x, pairs.models), bitmaps)


def with_bounds(estimates: Sequence[Estimate], level: float = 0.95) -> list[Interval]:
    """Return the intervals of estimates at a confidence level, computed together."""
    with_parts = [estimate for estimate in estimates if estimate.variances]
    intervals = iter(_bounded(with_parts, level) if with_parts else ())
    return [next(intervals) if estimate.variances else _unbounded(estimate) for estimate in estimates]


def p_zero(mean: float, variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that the mean is 0, from the parts of the variance."""
    from sweeper.store.statistics.bounds import p_two_sided

    return float(p_two_sided(np.array([abs(mean)]), *_parts_of([(variances, degrees)]))[0])


def p_margin(mean: float, variances: Sequence[float], degrees: Sequence[float], margin: float) -> float:
    """Return the p of the hypothesis that the mean is `margin` or more away from 0.

    It is the larger p of two one-sided tests (Schuirmann 1987). If it is small, the mean lies within the margin.
    """
    distance = margin - abs(mean)
    p = p_zero(distance, variances, degrees) / 2
    return p if distance >= 0 else 1 - p


def simultaneous_bounds(
    means: np.ndarray, parts: Sequence[tuple[Sequence[float], Sequence[float]]], levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of intervals at several levels, such as 1 - 0.05 / count in a family of `count` (Bonferroni).

    The probability that all intervals of such a family contain their values is at least 95 %, whatever the dependence.

    Args:
        means: The estimates, shape (estimates,).
        parts: The variances and the degrees of freedom of the parts of each estimate.
        levels: The confidence level of each (`looks.level_at`), shape (estimates,).
    """
    from sweeper.store.statistics.bounds import half_width

    half_widths = half_width(*_parts_of(parts), levels)
    return means - half_widths, means + half_widths


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Return the adjusted p of each test of a family: max over p_(k) <= p of min(1, (m - k + 1) p_(k)) (Holm 1979).

    Here p_(k) is the k-th smallest of the m values. None stays None and doesn't count as a test.
    """
    return [holm_of(p, value) for value in p]


def holm_of(p: Sequence[float | None], value: float | None) -> float | None:
    """Return the Holm-adjusted p of one test of the family `p`."""
    if value is None:
        return None
    ranked = sorted(q for q in p if q is not None)
    return min(1.0, max((len(ranked) - k) * q for k, q in enumerate(ranked) if q <= value))


def _columns(
    a: Texts, b: Texts, x: Values, y: Values, correct: PackedOutcomes, against: PackedOutcomes
) -> "tuple[Bitmaps, Stitches]":
    """Return the columns of the stitches that have a value and a level."""
    from sweeper.store.statistics.bitmaps import Bitmaps

    bitmaps = Bitmaps()
    names = {name: number for number, name in enumerate(sorted({*a, *b}))}
    has_outcomes = any(correct)
    stitches = Stitches(
        a=np.array([names[name] for name in a], np.int64),
        b=np.array([names[name] for name in b], np.int64),
        x=np.array([math.nan if level is None else level for level in x], float),
        y=np.array([math.nan if value is None else value for value in y], float),
        correct=bitmaps.add(pa.array(correct if has_outcomes else [None] * len(y), pa.binary())),
        against=bitmaps.add(pa.array(against if has_outcomes else [None] * len(y), pa.binary())),
    )
    is_known = [level is not None and value is not None for level, value in zip(x, y, strict=True)]
    return bitmaps, stitches.select(np.array(is_known, bool))


def _estimate(pairs: Pairs, contrast: "Contrast", bitmaps: "Bitmaps") -> Estimate:
    """Estimate a contrast of the pairs and its variance."""
    products = contrast.sums @ pairs.values[:, None]
    mean = float(contrast.estimate(products)[0])
    if not math.isfinite(mean):
        return _without_parts(pairs, None, NOT_FINITE)
    estimate = _without_parts(pairs, mean, ONE_MODEL)
    if min(estimate.n_a, estimate.n_b) < 2:
        return estimate
    leave_one_out = contrast.leave_one_out(products)
    if not np.isfinite(leave_one_out).all():
        return estimate._replace(note=TOO_FEW)
    parts = _jackknife_parts(leave_one_out, contrast.roles, min(estimate.n_a, estimate.n_b))
    images = _image_component(pairs, contrast, bitmaps)
    if isinstance(images, str):
        estimate = estimate._replace(note=images)
    else:
        parts = [*parts, _image_part(parts, images)]
        estimate = estimate._replace(note="", images=images.images, se_images=math.sqrt(images.variance))
    return estimate._replace(variances=tuple(p.variance for p in parts), degrees=tuple(p.df for p in parts))


def _without_parts(pairs: Pairs, mean: float | None, note: str) -> Estimate:
    """Return an estimate whose variance is unknown; `note` is the reason."""
    return Estimate(mean, len(np.unique(pairs.a)), len(np.unique(pairs.b)), len(pairs.values), note)


def _unbounded(estimate: Estimate) -> Interval:
    """Return the interval of an estimate without its bounds."""
    counts = estimate.n_a, estimate.n_b, estimate.n_pairs
    return Interval(estimate.mean, None, None, None, None, *counts, None, estimate.note)


def _bounded(estimates: Sequence[Estimate], level: float) -> list[Interval]:
    """Return the intervals of estimates whose variance is known."""
    from sweeper.store.statistics.bounds import effective_degrees, half_width, p_two_sided

    means = np.array([estimate.mean for estimate in estimates], float)
    variances, degrees = _parts_of([(estimate.variances, estimate.degrees) for estimate in estimates])
    half_widths, df = half_width(variances, degrees, level), effective_degrees(variances, degrees, level)
    standard_errors, p = np.sqrt(variances.sum(axis=0)), p_two_sided(np.abs(means), variances, degrees)
    low, high = means - half_widths, means + half_widths
    return [
        _unbounded(estimate)._replace(
            lo=float(low[i]), hi=float(high[i]), se=float(standard_errors[i]), df=float(df[i]), p_zero=float(p[i]),
            images=estimate.images, se_images=estimate.se_images,
            variances=estimate.variances, degrees=estimate.degrees,
        )
        for i, estimate in enumerate(estimates)
    ]  # fmt: skip


def _parts_of(parts: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances and the degrees of freedom of estimates, each of shape (most parts, estimates).

    Where an estimate has fewer parts, the others have a variance of 0 and the degrees of freedom of its first.
    """
    most = max(len(variances) for variances, _ in parts)
    return (
        np.array([[*variances, *[0.0] * (most - len(variances))] for variances, _ in parts], float).T,
        np.array([[*degrees, *[degrees[0]] * (most - len(degrees))] for _, degrees in parts], float).T,
    )


class _Part(NamedTuple):
    """A part of a variance and its degrees of freedom."""

    variance: float
    df: float


def _jackknife_parts(estimates: np.ndarray, roles: np.ndarray, fewest: int) -> list[_Part]:
    """Return each role's part of the jackknife variance of an estimate, from its values without each model.

    Args:
        estimates: The estimate without each model, shape (models, 1).
        roles: The number of the role of each model, shape (models,).
        fewest: The number of models of the side with fewer models. If all models form one role, all of the variance
            may be that of this side.
    """
    from sweeper.store.statistics.contrast import deviations, factors

    variances = np.bincount(roles, factors(roles) * deviations(estimates, roles)[:, 0] ** 2)
    sizes = np.bincount(roles) if roles.any() else np.array([fewest])
    return [_Part(float(v), n - 1.0) for v, n in zip(variances, sizes, strict=True)]


def _image_component(pairs: Pairs, contrast: "Contrast", bitmaps: "Bitmaps") -> "Component | str":
    """Return the variance due to the test images, or the reason why it is unknown ("" if no outcomes were given)."""
    from sweeper.store.statistics.bitmaps import NONE
    from sweeper.store.statistics.contrast import averages
    from sweeper.store.statistics.images import Outcomes, component

    stitches = pairs.stitches
    if (stitches.correct == NONE).all():
        return ""
    outcomes = Outcomes(bitmaps, stitches.correct, stitches.against)
    images = outcomes.images(stitches.y)
    if isinstance(images, str):
        return images
    return component(contrast, averages(pairs.pair_of_stitch, len(pairs.values)), outcomes, images)


def _image_part(models: Sequence[_Part], images: "Component") -> _Part:
    """Return the part due to the test images; what it shares with the models is counted once (see `images.py`)."""
    variance = sum(part.variance for part in models)
    total = max(variance, images.variance, variance + images.variance - images.shared)
    return _Part(total - variance, images.images - 1.0)
