"""Intervals and tests whose units are models, not stitches, as Python functions and as SQL functions.

A gain y_ij depends on model i as A and on model j as B, so n * m stitches are not n * m independent observations. The
variance is that of a delete-one jackknife over *models*: each model in turn is left out with all its stitches
(Tukey 1958; for two crossed random factors Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2);
for pairs within one family Fafchamps and Gubert 2007 and Graham 2020 on dyadic data). With the outcomes on single
images, the interval is also for other test images (`images.py`).

In SQL (registered on every connection of a store):
    ci(a, b, y)               aggregate: STRUCT(mean, lo, hi, se, df, n_a, n_b, n_pairs, p_zero, note, images,
                              se_images, variances, degrees), for other models on the same test images
    ci(a, b, y, correct, against)    for other models and other test images; y is the difference, in percentage points,
                              of the images that are right in the two bitmaps, as in (gain, correct, b_correct) or
                              (net_gain, correct, own_correct)
    trend(a, b, x, y)         aggregate: the same struct for the slope of y over the levels x of A, such as
                              log2(a_samples), for other models on the same test images
    trend(a, b, x, y, correct, against)    for other models and other test images
    p_zero(ci)                two-sided p of the hypothesis mean = 0
    p_margin(ci, margin)      p of the hypothesis |mean| >= margin, by two one-sided tests (TOST)
    holm(p)                   Holm-adjusted p over all rows of the table; holm_of(list, p): over the ps of a list
    simultaneous(ci, count)   STRUCT(mean, lo, hi, confidence): the interval at the level 1 - 0.05 / count, with which
                              all of a family of `count` intervals contain their values in 95 % (Bonferroni)
    verdict(interval, margin) "better", "as good", "worse" or "undecided", read off the bounds of an interval
    connected(interval, margin)    "connected", "not connected" or "undecided", for the interval of a penalty
    rising(interval)          "rising", "falling" or "undecided"
    as_well(ci, margin)       "does as well", "does worse" or "undecided", for a control's gain minus a stitch's
    caveats(controls, drift, converged, margin)  reasons to doubt that a stitch uses A in B's own way
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np

from sweeper.resources import sql_text
from sweeper.store.statistics.pairs import Bitmaps, Pairs, Texts, Values, levels_of_complete_tops

if TYPE_CHECKING:  # these modules import scipy, which takes 0.25 s
    from sweeper.store.statistics.contrast import Contrast
    from sweeper.store.statistics.images import Component

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


def model_interval(
    a: Texts, b: Texts, y: Values, correct: Bitmaps = (), against: Bitmaps = (), level: float = 0.95
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
    pairs = Pairs.from_columns(a, b, [0.0] * len(y), y, correct, against)
    if len(pairs.values) == 0:
        return _without_bounds(pairs, None, ONE_MODEL)
    from sweeper.store.statistics.contrast import Mean

    return _interval(pairs, Mean(pairs.a, pairs.b, pairs.models), level)


def trend_interval(
    a: Texts, b: Texts, x: Values, y: Values, correct: Bitmaps = (), against: Bitmaps = (), level: float = 0.95
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
    pairs = Pairs.from_columns(a, b, levels_of_complete_tops(b, x, y), y, correct, against)
    if len(pairs.x) < 2:
        return _without_bounds(pairs, None, ONE_LEVEL)
    from sweeper.store.statistics.contrast import Slope

    return _interval(pairs, Slope(pairs.a, pairs.b, pairs.level, pairs.x, pairs.models), level)


def p_zero(mean: float, variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that the mean is 0, from the parts of the variance."""
    from sweeper.store.statistics.bounds import p_two_sided

    return p_two_sided(abs(mean), np.array(variances, float), np.array(degrees, float))


def p_margin(mean: float, variances: Sequence[float], degrees: Sequence[float], margin: float) -> float:
    """Return the p of the hypothesis that the mean is `margin` or more away from 0.

    It is the larger p of two one-sided tests (Schuirmann 1987). If it is small, the mean lies within the margin.
    """
    distance = margin - abs(mean)
    p = p_zero(distance, variances, degrees) / 2
    return p if distance >= 0 else 1 - p


def simultaneous_bounds(
    mean: float, variances: Sequence[float], degrees: Sequence[float], count: int
) -> dict[str, float]:
    """Return the bounds of an interval of a family of `count`, at the level 1 - 0.05 / count (Bonferroni).

    The probability that all intervals of the family contain their values is at least 95 %, whatever the dependence.
    """
    half = _half_width([_Part(*part) for part in zip(variances, degrees, strict=True)], 1 - ERROR / count)
    return {"lo": mean - half, "hi": mean + half}


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


# The macros that use the registered functions, in the order of creation; each is a file in `store/query/sql`.
_MACROS = (
    "ci", "trend", "p_zero", "p_margin", "holm", "simultaneous", "verdict", "connected", "rising", "as_well", "caveats",
)  # fmt: skip

_ROW = "STRUCT(a VARCHAR, b VARCHAR, x DOUBLE, y DOUBLE, correct BLOB, against BLOB)[]"
_INTERVAL = (
    "STRUCT(mean DOUBLE, lo DOUBLE, hi DOUBLE, se DOUBLE, df DOUBLE, n_a BIGINT, n_b BIGINT, n_pairs BIGINT, "
    "p_zero DOUBLE, note VARCHAR, images BIGINT, se_images DOUBLE, variances DOUBLE[], degrees DOUBLE[])"
)


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Register the SQL functions that the docstring of this module lists in a connection."""
    con.create_function("interval_of", _sql_interval, [_ROW], _INTERVAL, null_handling="special")  # type: ignore[arg-type]
    con.create_function("trend_of", _sql_trend, [_ROW], _INTERVAL, null_handling="special")  # type: ignore[arg-type]
    parts = ["DOUBLE", "DOUBLE[]", "DOUBLE[]"]
    con.create_function("p_within", p_margin, [*parts, "DOUBLE"], "DOUBLE")  # type: ignore[arg-type]
    bounds = "STRUCT(lo DOUBLE, hi DOUBLE)"
    con.create_function("bounds_of", simultaneous_bounds, [*parts, "BIGINT"], bounds)  # type: ignore[arg-type]
    con.create_function("holm_of", holm_of, ["DOUBLE[]", "DOUBLE"], "DOUBLE")  # type: ignore[arg-type]
    for name in _MACROS:
        con.execute(sql_text(name))


def _sql_interval(rows: list[dict[str, Any]] | None) -> dict[str, object]:
    return model_interval(**_columns(rows, ("a", "b", "y", "correct", "against")))._asdict()


def _sql_trend(rows: list[dict[str, Any]] | None) -> dict[str, object]:
    return trend_interval(**_columns(rows, ("a", "b", "x", "y", "correct", "against")))._asdict()


def _columns(rows: list[dict[str, Any]] | None, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Convert a list of structs to columns by name; DuckDB passes None for an empty group."""
    return {name: [row[name] for row in rows or ()] for name in names}


def _interval(pairs: Pairs, contrast: "Contrast", level: float) -> Interval:
    """Estimate a contrast of the pairs and its interval at a confidence level."""
    mean = float(contrast.estimate(pairs.values[:, None])[0])
    if not math.isfinite(mean):
        return _without_bounds(pairs, None, NOT_FINITE)
    interval = _without_bounds(pairs, mean, ONE_MODEL)
    if min(interval.n_a, interval.n_b) < 2:
        return interval
    leave_one_out = contrast.leave_one_out(pairs.values[:, None])
    if not np.isfinite(leave_one_out).all():
        return interval._replace(note=TOO_FEW)
    parts = _jackknife_parts(leave_one_out, contrast.roles, min(interval.n_a, interval.n_b))
    images = _image_component(pairs, contrast)
    if isinstance(images, str):
        interval = interval._replace(note=images)
    else:
        parts = [*parts, _image_part(parts, images)]
        interval = interval._replace(note="", images=images.images, se_images=math.sqrt(images.variance))
    variances, degrees = np.array(parts).T
    half_width = _half_width(parts, level)
    from sweeper.store.statistics.bounds import effective_degrees

    return interval._replace(
        lo=mean - half_width, hi=mean + half_width, se=math.sqrt(variances.sum()),
        df=effective_degrees(variances, degrees, level), p_zero=p_zero(mean, variances, degrees),
        variances=tuple(variances.tolist()), degrees=tuple(degrees.tolist()),
    )  # fmt: skip


def _without_bounds(pairs: Pairs, mean: float | None, note: str) -> Interval:
    """Return an interval without bounds; `note` is the reason."""
    n_a, n_b = len(np.unique(pairs.a)), len(np.unique(pairs.b))
    return Interval(mean, None, None, None, None, n_a, n_b, len(pairs.values), None, note)


class _Part(NamedTuple):
    """A part of a variance and its degrees of freedom."""

    variance: float
    df: float


def _half_width(parts: Sequence[_Part], level: float) -> float:
    """Return half the width of the interval at a confidence level."""
    from sweeper.store.statistics.bounds import half_width

    variances, degrees = np.array(parts).T
    return float(half_width(variances, degrees, level))


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


def _image_component(pairs: Pairs, contrast: "Contrast") -> "Component | str":
    """Return the variance due to the test images, or the reason why it is unknown ("" if no outcomes were given)."""
    if not pairs.correct:
        return ""
    from sweeper.store.statistics.contrast import averages
    from sweeper.store.statistics.images import component, outcomes

    bitmaps = outcomes(pairs.correct, pairs.against, pairs.stitch_values)
    if isinstance(bitmaps, str):
        return bitmaps
    return component(contrast, averages(pairs.pair_of_stitch, len(pairs.values)), bitmaps)


def _image_part(models: Sequence[_Part], images: "Component") -> _Part:
    """Return the part due to the test images; what it shares with the models is counted once (see `images.py`)."""
    variance = sum(part.variance for part in models)
    total = max(variance, images.variance, variance + images.variance - images.shared)
    return _Part(total - variance, images.images - 1.0)
