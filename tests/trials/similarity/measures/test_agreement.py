"""Tests of each measure against SciPy, scikit-learn or its formula, in float64 on 500 images, to 1e-6."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr, spearmanr
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import accuracy_score, cohen_kappa_score, r2_score
from sklearn.neighbors import NearestNeighbors

from sweeper.trials.process.philox import Purpose, random_permutation
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair
from sweeper.trials.stitching.least_squares import Moments, Products, by_channel, solve

Matrix = NDArray[np.float64]
IMAGES = 500


def draw() -> tuple[Matrix, Matrix]:
    """Return two activations of 500 images, of 30 and 20 features with 10 common factors and means other than 0."""
    generator = np.random.default_rng(0)
    common = generator.normal(size=(IMAGES, 10)) * np.arange(1, 11)
    x = np.maximum(common @ generator.normal(size=(10, 30)) + 5 * generator.normal(size=(IMAGES, 30)) + 3, 0)
    y = common @ generator.normal(size=(10, 20)) + 5 * generator.normal(size=(IMAGES, 20)) - 1
    return x, y


X, Y = draw()


def centred(x: Matrix) -> Matrix:
    """Return the features minus their mean."""
    return x - x.mean(0)


def cka(k: Matrix, l: Matrix, hsic: Callable[[Matrix, Matrix], float]) -> float:  # noqa: E741
    """Return CKA of two kernel matrices with an estimator of HSIC."""
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def hsic_0(k: Matrix, l: Matrix) -> float:  # noqa: E741
    """Return the biased estimator without its factor (Gretton et al. 2005, equation 9)."""
    h = np.eye(len(k)) - 1 / len(k)
    return float(np.trace(k @ h @ l @ h))


def hsic_1(k: Matrix, l: Matrix) -> float:  # noqa: E741
    """Return the unbiased estimator (Song et al. 2012, equation 5)."""
    n, ones = len(k), np.ones(len(k))
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    sums = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (ones @ k @ l @ ones)
    return float(np.trace(k @ l) + sums) / (n * (n - 3))


def gaussian(x: Matrix, bandwidth: float) -> Matrix:
    """Return the Gaussian kernel matrix; the bandwidth is in units of the median distance."""
    distances = squareform(pdist(x))
    return np.exp(-(distances**2) / (2 * (bandwidth * np.median(pdist(x))) ** 2))


def minibatch(x: Matrix, y: Matrix) -> float:
    """Return minibatch CKA over batches of 100 in the seeded order (Nguyen et al. 2021, equation 2)."""
    batches = random_permutation(0, Purpose.COMPARED, 0, IMAGES).reshape(5, 100)
    kernels = [(x[rows] @ x[rows].T, y[rows] @ y[rows].T) for rows in batches]
    kl, kk, ll = (np.mean([hsic_1(pair[i], pair[j]) for pair in kernels]) for i, j in ((0, 1), (0, 0), (1, 1)))
    return float(kl / np.sqrt(kk * ll))


def axes(x: Matrix, variance: float) -> Matrix:
    """Return the left singular vectors that explain a share of the variance."""
    left, values, _ = np.linalg.svd(centred(x), full_matrices=False)
    explained = np.cumsum(values**2) / np.sum(values**2)
    return left[:, : int(np.searchsorted(explained, variance)) + 1]


def svcca(x: Matrix, y: Matrix) -> float:
    """Return SVCCA of the axes that explain 90 % of the variance, from two singular value decompositions."""
    return float(np.linalg.svd(axes(x, 0.9).T @ axes(y, 0.9), compute_uv=False).mean())


def canonical(x: Matrix, y: Matrix, components: int) -> tuple[Matrix, Matrix]:
    """Return the canonical correlations and A's variates from scikit-learn's iterative CCA."""
    fit = CCA(components, scale=False, max_iter=100_000, tol=1e-14).fit(x, y)
    variates_x, variates_y = fit.transform(x, y)
    return np.array([pearsonr(a, b).statistic for a, b in zip(variates_x.T, variates_y.T, strict=True)]), variates_x


def pwcca(x: Matrix, y: Matrix) -> float:
    """Return PWCCA (Morcos et al. 2018, equations 2 and 3)."""
    correlations, variates = canonical(x, y, 20)
    variates = variates / np.linalg.norm(variates, axis=0)
    weights = np.abs(variates.T @ centred(x)).sum(1)
    return float(weights @ correlations / weights.sum())


def padded_to_unit_norm(x: Matrix) -> Matrix:
    """Return the centred activation, padded with zeros to 30 features and divided by its norm."""
    x = np.pad(centred(x), ((0, 0), (0, 30 - x.shape[1])))
    return x / np.linalg.norm(x)


def procrustes(x: Matrix, y: Matrix) -> float:
    """Return Procrustes similarity from SciPy's best rotation (Ding et al. 2021)."""
    x, y = padded_to_unit_norm(x), padded_to_unit_norm(y)
    rotation, _ = orthogonal_procrustes(x, y)
    return 1 - float(np.linalg.norm(x @ rotation - y)) ** 2 / 2


def orthogonal_r2(x: Matrix, y: Matrix) -> float:
    """Return the r2 of SciPy's best rotation with the best scale."""
    x, y = padded_to_unit_norm(x), padded_to_unit_norm(y)
    rotation, scale = orthogonal_procrustes(x, y)
    return 1 - float(np.linalg.norm(scale * x @ rotation - y)) ** 2


def affine_r2(x: Matrix, y: Matrix) -> float:
    """Return the r2 of scikit-learn's linear regression."""
    return r2_score(y, LinearRegression().fit(x, y).predict(x), multioutput="variance_weighted")


def predictivity(x: Matrix, y: Matrix) -> float:
    """Return the r2 of scikit-learn's ridge regression on the half to which it is not fitted."""
    fit_rows, test_rows = np.split(random_permutation(0, Purpose.COMPARED, 0, IMAGES), 2)
    penalty = 1e-2 * np.sum(centred(x[fit_rows]) ** 2)
    prediction = Ridge(penalty, solver="svd").fit(x[fit_rows], y[fit_rows]).predict(x[test_rows])
    return r2_score(y[test_rows], prediction, multioutput="variance_weighted")


def mutual_knn(x: Matrix, y: Matrix, metric: str) -> float:
    """Return the mean share of common nearest neighbours among 7, from scikit-learn."""
    neighbours = [
        NearestNeighbors(n_neighbors=7, metric=metric).fit(z).kneighbors(return_distance=False) for z in (x, y)
    ]
    return float(np.mean([len({*a} & {*b}) / 7 for a, b in zip(*neighbours, strict=True)]))


CASES: list[tuple[str, dict, Callable[[Matrix, Matrix], float]]] = [
    ("linear_cka", {"debiased": False}, lambda x, y: cka(x @ x.T, y @ y.T, hsic_0)),
    ("linear_cka", {"debiased": True}, lambda x, y: cka(x @ x.T, y @ y.T, hsic_1)),
    ("minibatch_cka", {"batch": 100, "seed": 0}, minibatch),
    ("rbf_cka", {"bandwidth": 0.4, "debiased": False}, lambda x, y: cka(gaussian(x, 0.4), gaussian(y, 0.4), hsic_0)),
    ("rbf_cka", {"bandwidth": 2.0, "debiased": True}, lambda x, y: cka(gaussian(x, 2), gaussian(y, 2), hsic_1)),
    ("svcca", {"variance": 0.9, "maps": "flat"}, svcca),
    ("svcca", {"variance": 1.0, "maps": "flat"}, lambda x, y: canonical(x, y, 20)[0].mean()),
    ("pwcca", {"variance": 1.0, "maps": "flat"}, pwcca),
    ("procrustes", {"maps": "flat"}, procrustes),
    ("orthogonal_r2", {"maps": "flat"}, orthogonal_r2),
    ("affine_r2", {"maps": "flat"}, affine_r2),
    *(
        (
            "rsa",
            {"dissimilarity": kind, "compared": compared, "images": IMAGES, "seed": 0},
            lambda x, y, kind=kind, statistic=statistic: statistic(pdist(x, kind), pdist(y, kind)).statistic,
        )
        for kind in ("correlation", "euclidean")
        for compared, statistic in (("spearman", spearmanr), ("pearson", pearsonr))
    ),
    ("mutual_knn", {"k": 7, "distance": "cosine"}, lambda x, y: mutual_knn(x, y, "cosine")),
    ("mutual_knn", {"k": 7, "distance": "euclidean"}, lambda x, y: mutual_knn(x, y, "euclidean")),
    ("linear_predictivity", {"ridge": 1e-2, "seed": 0}, predictivity),
    ("output_agreement", {}, lambda x, y: accuracy_score(x.argmax(1), y.argmax(1))),
    ("output_kappa", {}, lambda x, y: cohen_kappa_score(x.argmax(1), y.argmax(1))),
]


@pytest.mark.parametrize(("measure", "options", "independent"), CASES, ids=[f"{m} {o}" for m, o, _ in CASES])
def test_a_measure_equals_an_independent_implementation(
    measure: str, options: dict, independent: Callable[[Matrix, Matrix], float]
) -> None:
    x, y = (X[:, :10], X[:, :10] + Y[:, :10]) if measure.startswith("output") else (X, Y)
    expected = independent(x, y)
    assert 0.01 < expected < 0.99  # away from the ends of the range, which a wrong measure could give too
    pair = Pair(Activation(torch.from_numpy(x)), Activation(torch.from_numpy(y)))
    assert similarity(pair, measure, options) == pytest.approx(expected, abs=1e-6)


def test_the_affine_r2_of_pixels_is_that_of_the_closed_form() -> None:
    """Compare the measure with the least-squares map of channels that stitchers start at."""
    generator = np.random.default_rng(1)
    x = torch.from_numpy(generator.normal(size=(50, 4, 3, 3)))
    y = torch.einsum("nchw,dc->ndhw", x, torch.from_numpy(generator.normal(size=(6, 4))))
    y = y + torch.from_numpy(generator.normal(size=y.shape))
    moments_x, moments_y, products = Moments(), Moments(), Products()
    rows_x, rows_y = by_channel(x), by_channel(y)
    moments_x.add(rows_x)
    moments_y.add(rows_y)
    products.add(rows_x, rows_y)
    r2 = similarity(Pair(Activation(x), Activation(y)), "affine_r2", {"maps": "pixels"})
    assert r2 == pytest.approx(solve(moments_x, moments_y, products, ridge=0).r2, abs=1e-9)
