"""The variance of an estimate due to the choice of test images, from the outcomes on single images (one bit each).

All pairs are evaluated on the same images, so an image's effect on all pairs doesn't average out over models. In a
crossed design of n A and m B on N images, the value of pair (i, j) on image x is a sum of independent effects:

    d_ij(x) = mean + a_i + b_j + (ab)_ij + g(x) + (ag)_i(x) + (bg)_j(x) + (abg)_ij(x)

The mean over pairs and images then has the variance

    (1)  a/n + b/m + ab/nm + g/N + ag/nN + bg/mN + abg/nmN            (a: the variance of a_i, and so on)

and two variances of it can be estimated, each holding the other factor fixed:

    (2)  models, from the pairs' means:   a/n + b/m + 2 ab/nm       + ag/nN + bg/mN + 2 abg/nmN
    (3)  images, from the images' means:                        g/N + ag/nN + bg/mN + abg/nmN

Their sum counts the effects of single models on single images twice. These are most of the variance of a test error,
so intervals would be up to 1.4 times too wide. The *shared* part is the jackknife of (2) applied to the noise of the
images: with T_k(x) the mean on image x without model k, T_s(x) the mean of these over role s, and n_s the models of
the role,

    shared = sum over roles s of (n_s - 1)/n_s * sum over k in s of (variance over x of T_k(x) - T_s(x)) / N

whose expectation is ag/nN + bg/mN + 2 abg/nmN. So (2) + (3) - shared has the expectation (1) + ab/nm; its bias is that
of (2) alone. If by chance it is below (2) or (3), the largest of the three is used. What it has beyond (2) is a part of
the variance with N - 1 degrees of freedom, beside those of the models (`bounds.py`). An interval for other models and
other images is never narrower than one for other models alone.

The same holds for any contrast that is linear in the pairs, such as a slope, and for pairs within one family.
Two-factor models with images (cases) as the second factor: Dorfman, Berbaum and Metz 1992; Gallas 2006 (radiology's
multi-reader, multi-case studies).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sweeper.store.statistics.contrast import Contrast, Matrix, deviations, factors

# Outcomes that are unpacked at a time (stitches x images): 8 MB as doubles, which fit into the cache of a core.
_BLOCK_SIZE = 1 << 20

_BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)  # in each byte

# Notes of intervals that hold only for the same test images.
MISSING = "test images held fixed: per-image outcomes are missing"
INCONSISTENT = "test images held fixed: the outcomes don't add up to the values"


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
    difference = _BITS_SET[right].sum(axis=1, dtype=np.int64) - _BITS_SET[other].sum(axis=1, dtype=np.int64)
    size = right.shape[1]
    images = round(100 * np.abs(difference).sum() / np.abs(values).sum()) if values.any() else 8 * size - 7
    if not 8 * (size - 1) < images <= 8 * size or not np.allclose(100 * np.abs(difference) / images, np.abs(values)):
        return INCONSISTENT
    return Outcomes(right, other, images)


def component(contrast: Contrast, averages: Matrix, bitmaps: Outcomes) -> Component:
    """Return the component of the variance of `contrast.estimate` that is due to the test images.

    Args:
        contrast: The estimate.
        averages: The matrix that averages the stitches of each pair, shape (pairs, stitches).
        bitmaps: The outcomes of the stitches.
    """
    estimate, leave_one_out = _RunningVariance(1), _RunningVariance(len(contrast.roles))
    width = max(1, _BLOCK_SIZE // (8 * len(bitmaps.correct)))
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
