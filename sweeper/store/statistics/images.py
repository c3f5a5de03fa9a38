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

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, hstack

from sweeper.store.statistics.bitmaps import Bitmaps
from sweeper.store.statistics.contrast import Contrast, Matrix
from sweeper.store.statistics.counts import weighted_sums

# Sums that are held at a time (sums of pairs x images): 512 KB as doubles, which fits into the cache of a core.
_BLOCK_SIZE = 1 << 16

# Notes of intervals that hold only for the same test images.
MISSING = "test images held fixed: per-image outcomes are missing"
INCONSISTENT = "test images held fixed: the outcomes don't add up to the values"
ONE_IMAGE = "test images held fixed: there is only one"


class Outcomes(NamedTuple):
    """References to the bitmaps of the images that each stitch (`correct`) and its counterpart (`against`) has right.

    The value of a stitch on an image is 100 (percentage points) if only the stitch is right, -100 if only its
    counterpart is, and 0 otherwise.
    """

    bitmaps: Bitmaps
    correct: np.ndarray  # shape (stitches,)
    against: np.ndarray  # shape (stitches,)

    def images(self, values: np.ndarray) -> int | str:
        """Return the number of test images, or the reason why the outcomes can't be used.

        A bitmap is padded to whole bytes, so the number of images is computed from the values. If all values are 0,
        the smallest number that fits is used; it is too small by at most 7 images, which makes the variance slightly
        too large.

        Args:
            values: The difference of the two bitmaps' counts for each stitch, in percentage points, with either sign.
        """
        size = self.bitmaps.size(np.r_[self.correct, self.against])
        if size == 0:
            return MISSING
        difference = np.abs(self.bitmaps.ones(self.correct) - self.bitmaps.ones(self.against))
        images = round(100 * difference.sum() / np.abs(values).sum()) if values.any() else 8 * size - 7
        if not 8 * (size - 1) < images <= 8 * size or not np.allclose(100 * difference / images, np.abs(values)):
            return INCONSISTENT
        return images if images > 1 else ONE_IMAGE


class Component(NamedTuple):
    """The variance of an estimate due to the test images."""

    images: int  # number of test images
    variance: float
    shared: float  # the part of it that the variance due to the models also contains


def component(contrast: Contrast, averages: Matrix, outcomes: Outcomes, images: int) -> Component:
    """Return the component of the variance of `contrast.estimate` that is due to the test images.

    The sums of the contrast are counted on each image; the values of single stitches on images are never held.

    Args:
        contrast: The estimate.
        averages: The matrix that averages the stitches of each pair, shape (pairs, stitches).
        outcomes: The outcomes of the stitches.
        images: The number of test images.
    """
    sums = contrast.sums @ averages
    totals, variance, shared = np.zeros((sums.shape[0], 1)), 0.0, 0.0
    references = np.r_[outcomes.correct, outcomes.against]
    remaining = images
    for differences in weighted_sums(csr_array(hstack([sums, -sums])), outcomes.bitmaps, references, _BLOCK_SIZE):
        products, remaining = differences[:, :remaining], remaining - differences.shape[1]
        totals += products.sum(axis=1, keepdims=True)
        variance += float((contrast.estimate(products) ** 2).sum())
        shared += float(contrast.spread(products).sum())
    # Both are sums of squares of linear functions of an image's products; those of the mean image are subtracted.
    variance -= float(contrast.estimate(totals)[0]) ** 2 / images
    shared -= float(contrast.spread(totals)[0]) / images
    scale = 100.0**2 / max(images - 1, 1) / images  # outcomes are in percentage points
    return Component(images, max(variance, 0.0) * scale, max(shared, 0.0) * scale)
