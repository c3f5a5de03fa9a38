"""Costs of the measures for n images, p features of A and q of B: operations, and bytes besides the two activations.

The unit is an operation of a single-precision matrix product. Double precision, used for small matrices, counts twice.
Other operations count as the product operations that take as long. Measured on one core (AVX2, 80e9 operations a
second) with 10,000 images and p = q = 2,048, where the costs are within a third of the measured time.
"""

from math import prod

from sweeper.spec.cards.card import OptionValues, Shape
from sweeper.spec.cards.shapes import channels, places

SINGLE, DOUBLE = 4, 8  # bytes of a number
BLOCK = 2**26  # bytes of a strip of a kernel matrix
EIGEN, SINGULAR = 22, 27  # operations of a decomposition, times the cube of its size
GAUSS, NEAREST, RANKED = 500, 100, 20_000  # operations for each entry of images by images


def linear_cka_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for three products of activations, or for two Gram matrices if that is cheaper."""
    p, q = prod(a), prod(b)
    return 2 * n * min(p * p + p * q + q * q, n * (p + q) / 2)


def minibatch_cka_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for the Gram matrices of both activations, batch by batch."""
    return 2 * n * min(n, float(options["batch"])) * (prod(a) + prod(b))


def kernels_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for one half of two symmetric kernel matrices."""
    return n**2 * (prod(a) + prod(b) + GAUSS)


def neighbours_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for two complete kernel matrices."""
    return n**2 * (2 * (prod(a) + prod(b)) + NEAREST)


def dissimilarities_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for two matrices of dissimilarities, of some of the images, and their ranks."""
    return min(n, float(options["images"])) ** 2 * (2 * (prod(a) + prod(b)) + RANKED)


def canonical_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for the principal axes of both, their overlap and its decomposition."""
    rows, p, q = _rows_and_features(n, a, b, options)
    i, j = min(rows, p), min(rows, q)
    whitened = 4 * i * j * (i + j)
    return _axes(rows, p) + _axes(rows, q) + 4 * rows * i * j + whitened + EIGEN * min(i, j) ** 3


def rotation_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for the singular values of X'Y, reduced to principal axes if features exceed rows."""
    rows, p, q = _rows_and_features(n, a, b, options)
    i, j = min(rows, p), min(rows, q)
    reduced = sum(_axes(rows, features) for features in (p, q) if features > rows)
    return reduced + 4 * rows * i * j + SINGULAR * max(i, j) * min(i, j) ** 2


def affine_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for A's principal axes and the projection of B's activation on them."""
    rows, p, q = _rows_and_features(n, a, b, options)
    i, j = min(rows, p), min(rows, q)
    return _axes(rows, p) + (_axes(rows, q) if q > rows else 0) + 4 * rows * i * j + 4 * i * i * j


def predictivity_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for a p x p (or n/2 x n/2) factor, the fit, and the prediction of the other half."""
    p, q, half = prod(a), prod(b), n / 2
    size = min(p, half)
    return 4 * half * size * max(p, size) + 2 * size**3 + 4 * size * q * (2 * half + size)


def outputs_cost(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the operations for one pass over the logits of both networks."""
    return n * (prod(a) + prod(b))


def centred_bytes(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the bytes of a centred copy of each, strips of two kernel matrices and their intermediate results."""
    return SINGLE * n * (prod(a) + prod(b)) + 6 * BLOCK


def dissimilarity_bytes(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the bytes of copies of the compared images, and of three double-precision matrices for each network."""
    m = min(n, int(options["images"]))
    return 2 * SINGLE * m * (prod(a) + prod(b)) + 6 * DOUBLE * m**2


def axes_bytes(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the bytes of centred copies, double-precision blocks of both, and small matrices.

    The small matrices are features by features with the workspace of a decomposition. If there are fewer images than
    features, they are images by images, and the coordinates on the axes are added.
    """
    rows, p, q = _rows_and_features(n, a, b, options)
    i, j = min(rows, p), min(rows, q)
    coordinates = sum(2 * SINGLE * rows**2 for features in (p, q) if features > rows)
    small = DOUBLE * (2 * i**2 + 2 * j**2 + 3 * max(i, j) ** 2 + 3 * i * j)
    return SINGLE * rows * (p + q) + coordinates + small + 4 * BLOCK


def predictivity_bytes(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the bytes of centred copies, a double-precision block of each half, the factor and the solution."""
    p, q = prod(a), prod(b)
    size = min(p, n / 2)
    return SINGLE * n * (p + q) + DOUBLE * (3 * size**2 + 2 * size * q) + 6 * BLOCK


def output_bytes(n: int, a: Shape, b: Shape, options: OptionValues) -> float:
    """Count the bytes of two numbers for each image: the classes that A and B predict."""
    return DOUBLE * n * 2


def _rows_and_features(n: int, a: Shape, b: Shape, options: OptionValues) -> tuple[int, int, int]:
    """Return the numbers of rows and features of A and B; each place of a map is a row if `maps` is "pixels"."""
    if options["maps"] == "pixels":
        return n * places(a), channels(a), channels(b)
    return n, prod(a), prod(b)


def _axes(rows: int, features: int) -> float:
    """Count the operations for the eigenvectors of the smaller Gram matrix and the coordinates on them."""
    size = min(rows, features)
    return 4 * rows * features * size + EIGEN * size**3
