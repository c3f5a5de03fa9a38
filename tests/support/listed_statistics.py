"""The statistics of tables computed from lists of rows with their bitmaps, which `sweeper/store/statistics` must equal.

Every bitmap is unpacked, the values of each pair are held for each image, and the estimate is computed again without
each model. So it needs memory for rows times images, and shares no code with the package.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri, stdtrit

Matrix = csr_array
Texts = Sequence[str]
Values = Sequence[float | None]
PackedOutcomes = Sequence[bytes | None]

SMALLEST_P = 1e-100
ONE_MODEL = "one model on a side: the variance over models can't be estimated"
NOT_FINITE = "a value is not a finite number"
TOO_FEW = "too few models: leaving one out leaves no pair"
ONE_LEVEL = "no B was stitched to A at two or more levels: there is no trend"
MISSING = "test images held fixed: per-image outcomes are missing"
INCONSISTENT = "test images held fixed: the outcomes don't add up to the values"


def half_width(variances: np.ndarray, degrees: np.ndarray, level: float) -> np.ndarray:
    """Return half the width of the interval (see the docstring of the module).

    Args:
        variances: The variance of each part, shape (parts, ...).
        degrees: The degrees of freedom of each part, shape (parts,).
        level: The confidence level, such as 0.95.

    Returns:
        The half-widths, of shape (...).
    """
    return np.sqrt(_squared(variances, degrees, (1 - level) / 2))


def p_two_sided(distance: float, variances: np.ndarray, degrees: np.ndarray) -> float:
    """Return the p of the hypothesis that the estimate's expectation is `distance` away from it.

    It is the p for which the interval at the level 1 - p just reaches that far, found by bisection to 10 digits.

    Args:
        distance: The distance of the estimate from the value of the hypothesis, at least 0.
        variances: The variance of each part, shape (parts,).
        degrees: The degrees of freedom of each part, shape (parts,).
    """
    if distance == 0 or not variances.sum() > 0:
        return float(distance == 0)
    low, high = math.log(SMALLEST_P), 0.0  # of log p
    while high - low > 1e-10:
        middle = (low + high) / 2
        reaches = math.sqrt(float(_squared(variances, degrees, math.exp(middle) / 2))) > distance
        low, high = (middle, high) if reaches else (low, middle)
    return math.exp(high)


def effective_degrees(variances: np.ndarray, degrees: np.ndarray, level: float) -> float:
    """Return the degrees of freedom with which Student's t gives the half-width at a level (infinity for the normal).

    Args:
        variances: The variance of each part, shape (parts,).
        degrees: The degrees of freedom of each part, shape (parts,).
        level: The confidence level.
    """
    total = float(variances.sum())
    if not total > 0:
        return float(degrees.min())
    tail = (1 - level) / 2
    quantile = math.sqrt(float(_squared(variances / total, degrees, tail)))
    low, high = 0.0, 1 / float(degrees.min())  # of 1 / df
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if -float(stdtrit(1 / middle, tail)) > quantile else (middle, high)
    return 1 / high


def _squared(variances: np.ndarray, degrees: np.ndarray, tail: float) -> np.ndarray:
    """Return the squared half-width whose interval leaves out `tail` on each side."""
    normal = float(ndtri(tail)) ** 2
    excess = np.maximum(stdtrit(degrees, tail) ** 2 - normal, 0)
    return normal * variances.sum(axis=0) + (variances.T * excess).max(axis=-1).T


class Mean:
    """The mean over pairs, as a contrast."""

    def __init__(self, a: np.ndarray, b: np.ndarray, n: int):
        """Prepare the mean.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            n: The number of models.
        """
        pairs, two_models = np.arange(len(a)), a != b  # a pair of a model with itself is subtracted only once
        self._pairs_of_model = _matrix(np.r_[a, b[two_models]], np.r_[pairs, pairs[two_models]], (n, len(a)))
        self._remaining = len(a) - np.diff(self._pairs_of_model.indptr)  # pairs without each model
        self.roles = _roles(np.stack([_mask(a, n), _mask(b, n)], axis=1))

    def estimate(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each column."""
        return values.mean(axis=0)

    def leave_one_out(self, values: np.ndarray) -> np.ndarray:
        """Return the means without each model; NaN if no pair would be left."""
        remaining = np.where(self._remaining == 0, np.nan, self._remaining)[:, None]
        return (values.sum(axis=0) - self._pairs_of_model @ values) / remaining


class Slope:
    """The slope over the levels of A, averaged over the Bs, as a contrast.

    The slope of one B is that of the least-squares line through its means at the levels. Each level counts once,
    whatever its number of models.

    With levels x_1 .. x_q (at least two), each B j stitched to A at every level, and n_lj pairs of B j at level l:

        L_l = (x_l - mean x) / sum over levels of (x - mean x)^2,    slope_j = sum over l of L_l * mean of level l for j

    Levels keep their weight when a model is left out, so the models of a level differ only by chance, even if the
    values don't lie on a line.
    """

    def __init__(self, a: np.ndarray, b: np.ndarray, level: np.ndarray, x: np.ndarray, n: int):
        """Prepare the slope.

        Args:
            a: The number of each pair's A, shape (pairs,).
            b: The number of each pair's B, shape (pairs,).
            level: The number of the level of each pair's A, shape (pairs,).
            x: The values of the levels, shape (levels,).
            n: The number of models.
        """
        pairs, levels = np.arange(len(a)), len(x)
        self._tops, top = np.unique(b, return_inverse=True)
        weight = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        self._cell = top * levels + level
        size = np.bincount(self._cell, minlength=len(self._tops) * levels).astype(float)
        self._means = _matrix(self._cell, pairs, (len(size), len(a)), 1 / size[self._cell])
        cells = np.arange(len(size))
        self._slopes = _matrix(cells // levels, cells, (len(self._tops), len(size)), np.tile(weight, len(self._tops)))
        self._is_top = _mask(b, n)
        two_models = a != b  # a pair of a model with itself is already left out with its B
        pairs_left = size[self._cell[two_models]] - 1
        changes = weight[level[two_models]] / np.where(pairs_left == 0, np.nan, pairs_left)
        self._slope_changes = _matrix(a[two_models], pairs[two_models], (n, len(a)), changes)
        has_level = np.zeros((n, levels), bool)
        has_level[a, level] = True
        self.roles = _roles(np.concatenate([self._is_top[:, None], has_level], axis=1))

    def estimate(self, values: np.ndarray) -> np.ndarray:
        """Return the mean slope of each column."""
        return (self._slopes @ (self._means @ values)).mean(axis=0)

    def leave_one_out(self, values: np.ndarray) -> np.ndarray:
        """Return the mean slopes without each model; not finite if a level or all Bs would be left without a model."""
        means = self._means @ values
        slopes = self._slopes @ means
        total = np.repeat(slopes.sum(axis=0)[None], len(self._is_top), axis=0)
        total[self._tops] -= slopes
        with np.errstate(invalid="ignore", divide="ignore"):
            total += self._slope_changes @ (means[self._cell] - values)
            return total / (len(self._tops) - self._is_top)[:, None]


def deviations(estimates: np.ndarray, roles: np.ndarray) -> np.ndarray:
    """Subtract from `estimates`, shape (models, columns), its mean over the models of the same role."""
    deviation = np.empty_like(estimates)
    for role in np.unique(roles):
        group = estimates[roles == role]
        deviation[roles == role] = group - group.mean(axis=0)
    return deviation


def factors(roles: np.ndarray) -> np.ndarray:
    """Return the jackknife's factor (n_s - 1) / n_s of each model, shape (models,); n_s models have its role."""
    sizes = np.bincount(roles)[roles]
    return (sizes - 1) / sizes


def averages(index: np.ndarray, count: int) -> Matrix:
    """Return the matrix, shape (count, rows), that averages the rows with the same index."""
    repeats = np.bincount(index, minlength=count)
    return _matrix(index, np.arange(len(index)), (count, len(index)), 1 / repeats[index])


def _roles(uses: np.ndarray) -> np.ndarray:
    """Return the number of the role of each model; models with the same row in `uses` have the same role.

    If a role would have a single model, its variance couldn't be estimated. Then all models have role 0.

    Args:
        uses: True for each side or level at which a model is used, shape (models, sides and levels).
    """
    _, roles, sizes = np.unique(uses, axis=0, return_inverse=True, return_counts=True)
    return roles.reshape(-1) if (sizes > 1).all() else np.zeros(len(uses), np.intp)


def _mask(numbers: np.ndarray, n: int) -> np.ndarray:
    """Return an array of shape (n,) that is True at the given numbers."""
    mask = np.zeros(n, bool)
    mask[numbers] = True
    return mask


def _matrix(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], entries: np.ndarray | None = None) -> Matrix:
    """Build a sparse matrix; without `entries`, all given entries are 1."""
    return csr_array((np.ones(len(rows)) if entries is None else entries, (rows, columns)), shape=shape)


class Outcomes(NamedTuple):
    """Bitmaps of the images that each stitch (`correct`) and its counterpart (`against`) classified right.

    Both have the shape (stitches, bytes); the last byte is padded to whole bytes from `images`.
    """

    correct: np.ndarray
    against: np.ndarray
    images: int

    def points(self, start: int, stop: int) -> np.ndarray:
        """Return the difference of outcomes on the images of bytes `start` to `stop`, shape (stitches, images).

        It is 100 (percentage points) if only the stitch is right, -100 if only its counterpart is, and 0 otherwise.
        """
        right, other = (
            np.unpackbits(bits[:, start:stop], axis=1)[:, : self.images - 8 * start].view(np.int8)
            for bits in (self.correct, self.against)
        )
        return 100.0 * (right - other)


class Component(NamedTuple):
    """The variance of an estimate due to the test images."""

    images: int  # number of test images
    variance: float
    shared: float  # the part of it that the variance due to the models also contains


def outcomes(correct: Sequence[bytes | None], against: Sequence[bytes | None], values: np.ndarray) -> Outcomes | str:
    """Return the outcomes of stitches, or the reason why they can't be used.

    A bitmap is padded to whole bytes, so the number of images is computed from the values. If all values are 0, the
    smallest number that fits is used; it is too small by at most 7 images, which makes the variance slightly too large.

    Args:
        correct: The bitmap of each stitch.
        against: The bitmap of each stitch's counterpart.
        values: The difference of the two bitmaps' counts for each stitch, in percentage points, with either sign.
    """
    sizes = {len(bits) if bits else 0 for bits in (*correct, *against)}
    if len(sizes) != 1 or sizes == {0}:
        return MISSING
    right, other = (
        np.frombuffer(b"".join(bits for bits in rows if bits), np.uint8).reshape(len(rows), -1)
        for rows in (correct, against)
    )
    difference = np.bitwise_count(right).sum(axis=1, dtype=np.int64) - np.bitwise_count(other).sum(
        axis=1, dtype=np.int64
    )
    size = right.shape[1]
    images = round(100 * np.abs(difference).sum() / np.abs(values).sum()) if values.any() else 8 * size - 7
    if not 8 * (size - 1) < images <= 8 * size or not np.allclose(100 * np.abs(difference) / images, np.abs(values)):
        return INCONSISTENT
    return Outcomes(right, other, images)


def component(contrast: Any, averages: Matrix, bitmaps: Outcomes) -> Component:
    """Return the component of the variance of `contrast.estimate` that is due to the test images.

    Args:
        contrast: The estimate.
        averages: The matrix that averages the stitches of each pair, shape (pairs, stitches).
        bitmaps: The outcomes of the stitches.
    """
    estimate, leave_one_out = _RunningVariance(1), _RunningVariance(len(contrast.roles))
    width = 1 << 10
    for start in range(0, bitmaps.correct.shape[1], width):
        values = averages @ bitmaps.points(start, start + width)
        estimate.add(contrast.estimate(values)[None])
        leave_one_out.add(deviations(contrast.leave_one_out(values), contrast.roles))
    shared = factors(contrast.roles) @ leave_one_out.variances()
    return Component(bitmaps.images, float(estimate.variances()[0]) / bitmaps.images, float(shared) / bitmaps.images)


class _RunningVariance:
    """The variances of rows whose columns are added in blocks."""

    def __init__(self, rows: int):
        self._count, self._sums, self._squares = 0, np.zeros(rows), np.zeros(rows)

    def add(self, values: np.ndarray) -> None:
        """Add a block of shape (rows, columns)."""
        self._count += values.shape[1]
        self._sums += values.sum(axis=1)
        self._squares += np.einsum("ij,ij->i", values, values)

    def variances(self) -> np.ndarray:
        """Return the variance of each row over all columns, with divisor columns - 1, shape (rows,)."""
        return np.maximum(self._squares - self._sums**2 / self._count, 0) / max(self._count - 1, 1)


class Pairs(NamedTuple):
    """The observations, one for each pair of models and level.

    They are sorted, so that the order of rows doesn't affect rounding.
    """

    a: np.ndarray  # number of the bottom model, shape (pairs,)
    b: np.ndarray  # number of the top model, shape (pairs,)
    level: np.ndarray  # number of A's level, shape (pairs,)
    values: np.ndarray  # the mean of each pair, shape (pairs,)
    models: int  # number of models on both sides
    x: np.ndarray  # values of the levels, ascending, shape (levels,)
    pair_of_stitch: np.ndarray  # the number of the pair of each stitch, shape (stitches,)
    stitch_values: np.ndarray  # the value of each stitch, shape (stitches,)
    correct: PackedOutcomes  # outcomes of each stitch; empty if none are given
    against: PackedOutcomes  # outcomes of each stitch's counterpart

    @classmethod
    def from_columns(
        cls, a: Texts, b: Texts, x: Values, y: Values, correct: PackedOutcomes = (), against: PackedOutcomes = ()
    ) -> Self:
        """Build the pairs from columns of shape (stitches,); stitches without a value or level are left out."""
        rows = [i for i, (level, value) in enumerate(zip(x, y, strict=True)) if level is not None and value is not None]
        names = sorted({a[i] for i in rows} | {b[i] for i in rows})
        number_by_name = {name: i for i, name in enumerate(names)}
        levels, level = np.unique(np.array([x[i] for i in rows], float), return_inverse=True)
        shape = (max(len(names), 1), max(len(names), 1), max(len(levels), 1))
        sides = [np.array([number_by_name[side[i]] for i in rows], np.int64) for side in (a, b)]
        cells = np.ravel_multi_index((*sides, level), shape) if rows else np.zeros(0, np.int64)
        values = np.array([y[i] for i in rows], float)
        bits = [(correct[i] or b"", against[i] or b"") for i in rows] if any(correct) else []
        order = _order(cells, values, bits)
        pair_cells, pair = np.unique(cells[order], return_inverse=True)
        stitch_values = values[order]
        means = np.bincount(pair, stitch_values, len(pair_cells)) / np.bincount(pair, minlength=len(pair_cells))
        correct_bits = [bits[i][0] for i in order] if bits else ()
        against_bits = [bits[i][1] for i in order] if bits else ()
        pair_a, pair_b, pair_level = np.unravel_index(pair_cells, shape)
        return cls(
            pair_a, pair_b, pair_level, means, len(names), levels, pair, stitch_values, correct_bits, against_bits
        )


def _order(cells: np.ndarray, values: np.ndarray, bits: Sequence[object]) -> Sequence[int]:
    """Return the order of stitches by cell, value and outcomes, which is the same for every order of the input."""
    if bits:
        return sorted(range(len(cells)), key=lambda i: (cells[i], values[i], bits[i]))
    return np.lexsort((values, cells)).tolist()


def levels_of_complete_tops(b: Texts, x: Values, y: Values) -> Values:
    """Return the level of each stitch, or None if its B lacks a value at a level at which another B has one."""
    levels_by_top: dict[str, set[float]] = {}
    for top, level, value in zip(b, x, y, strict=True):
        if level is not None and value is not None:
            levels_by_top.setdefault(top, set()).add(level)
    all_levels = set().union(*levels_by_top.values())
    return [level if levels_by_top.get(top) == all_levels else None for top, level in zip(b, x, strict=True)]


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
    pairs = Pairs.from_columns(a, b, [0.0] * len(y), y, correct, against)
    if len(pairs.values) == 0:
        return _without_bounds(pairs, None, ONE_MODEL)

    return _interval(pairs, Mean(pairs.a, pairs.b, pairs.models), level)


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
    pairs = Pairs.from_columns(a, b, levels_of_complete_tops(b, x, y), y, correct, against)
    if len(pairs.x) < 2:
        return _without_bounds(pairs, None, ONE_LEVEL)

    return _interval(pairs, Slope(pairs.a, pairs.b, pairs.level, pairs.x, pairs.models), level)


def p_zero(mean: float, variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Return the two-sided p of the hypothesis that the mean is 0, from the parts of the variance."""

    return p_two_sided(abs(mean), np.array(variances, float), np.array(degrees, float))


def _interval(pairs: Pairs, contrast: Any, level: float) -> Interval:
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
    half = float(half_width(*np.array(parts).T, level))

    return interval._replace(
        lo=mean - half, hi=mean + half, se=math.sqrt(variances.sum()),
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


def _jackknife_parts(estimates: np.ndarray, roles: np.ndarray, fewest: int) -> list[_Part]:
    """Return each role's part of the jackknife variance of an estimate, from its values without each model.

    Args:
        estimates: The estimate without each model, shape (models, 1).
        roles: The number of the role of each model, shape (models,).
        fewest: The number of models of the side with fewer models. If all models form one role, all of the variance
            may be that of this side.
    """

    variances = np.bincount(roles, factors(roles) * deviations(estimates, roles)[:, 0] ** 2)
    sizes = np.bincount(roles) if roles.any() else np.array([fewest])
    return [_Part(float(v), n - 1.0) for v, n in zip(variances, sizes, strict=True)]


def _image_component(pairs: Pairs, contrast: Any) -> Component | str:
    """Return the variance due to the test images, or the reason why it is unknown ("" if no outcomes were given)."""
    if not pairs.correct:
        return ""

    bitmaps = outcomes(pairs.correct, pairs.against, pairs.stitch_values)
    if isinstance(bitmaps, str):
        return bitmaps
    return component(contrast, averages(pairs.pair_of_stitch, len(pairs.values)), bitmaps)


def _image_part(models: Sequence[_Part], images: Component) -> _Part:
    """Return the part due to the test images; what it shares with the models is counted once (see `images.py`)."""
    variance = sum(part.variance for part in models)
    total = max(variance, images.variance, variance + images.variance - images.shared)
    return _Part(total - variance, images.images - 1.0)
