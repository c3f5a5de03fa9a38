"""Cards of the measures: similarities of two activations, or of two outputs, that need no training."""

from collections.abc import Callable, Mapping
from math import inf

from sweeper.spec.cards import measure_costs as costs
from sweeper.spec.cards.card import MeasureCard, Option, OptionValues, Shape
from sweeper.spec.cards.shapes import format_shape, sites

_FEATURES = ("orthogonal", "isotropic_scaling", "translation", "permutation")
_DEBIASED = Option(bool, False, "use the unbiased estimator of HSIC")
_SEED = Option(int, 0, "seed of the random choice of images", least=0, most=2**31 - 1)
_VARIANCE = (
    "share of an activation's variance that the principal axes in use explain; the other axes are left out as noise"
)
_SONG = "Song et al. 2012, Feature selection via dependence maximization (equation 5, the unbiased HSIC)"
_KORNBLITH = "Kornblith et al. 2019, Similarity of neural network representations revisited"
_CSISZARIK = "Csiszárik et al. 2021, Similarity and matching of neural network representations (direct matching)"


def _maps(default: str) -> Option:
    meaning = (
        "pixels: each place of a map (each token) is an example and its channels are the features, as a 1x1 stitcher "
        "sees it, and maps must be of one size; flat: one vector an image"
    )
    return Option(str, default, meaning, choices=("pixels", "flat"))


def _no_misfit(a: Shape, b: Shape, options: OptionValues) -> str:
    return ""


def _equal_classes_misfit(name: str) -> Callable[[Shape, Shape, OptionValues], str]:
    def misfit(a: Shape, b: Shape, options: OptionValues) -> str:
        if a == b:
            return ""
        return f"{name} compares outputs over the same classes, not {format_shape(a)} and {format_shape(b)}"

    return misfit


def _equal_places_misfit(name: str) -> Callable[[Shape, Shape, OptionValues], str]:
    """Return the `misfit` of a measure that compares place by place unless `maps` is "flat".

    It accepts two vectors, token sequences of one length, or maps of one size.
    """

    def misfit(a: Shape, b: Shape, options: OptionValues) -> str:
        if options["maps"] == "flat" or sites(a) == sites(b):
            return ""
        return (
            f"{name} compares maps of equal size, pixel by pixel (maps: flat any), "
            f"not {format_shape(a)} and {format_shape(b)}"
        )

    return misfit


LINEAR_CKA = MeasureCard(
    name="linear_cka",
    meaning="centred kernel alignment with linear kernels, of activations flattened to one vector an image; "
    "debiased: from the unbiased estimator of HSIC, which is around 0 for unrelated activations and can be negative",
    builder="sweeper.trials.similarity.measures.cka:linear_cka",
    options={"debiased": _DEBIASED},
    estimator="HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = XX', L = YY'; biased it is 0 or more",
    range=(-1.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source=f"{_KORNBLITH}; {_SONG}",
    misfit=_no_misfit,
    operations=costs.linear_cka_cost,
    memory=costs.centred_bytes,
)
MINIBATCH_CKA = MeasureCard(
    name="minibatch_cka",
    meaning="linear CKA from batches of images: each HSIC is the mean of its unbiased estimates over the batches, so "
    "the size of a batch changes the variance of the value but not its expectation",
    builder="sweeper.trials.similarity.measures.cka:minibatch_cka",
    options={"batch": Option(int, 256, "images per batch; a smaller last batch is left out", least=4), "seed": _SEED},
    estimator="mean HSIC_1(K_i, L_i) / sqrt(mean HSIC_1(K_i, K_i) mean HSIC_1(L_i, L_i)) over one pass of batches i",
    range=(-1.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source=f"Nguyen et al. 2021, Do wide and deep networks learn the same things? (section 3, equation 2); {_SONG}",
    misfit=_no_misfit,
    operations=costs.minibatch_cka_cost,
    memory=costs.centred_bytes,
)
RBF_CKA = MeasureCard(
    name="rbf_cka",
    meaning="centred kernel alignment with Gaussian kernels, of activations flattened to one vector an image: it "
    "depends mostly on which images are near each other",
    builder="sweeper.trials.similarity.measures.cka:rbf_cka",
    options={
        "bandwidth": Option(float, 0.4, "standard deviation of the kernel, as a fraction of the median distance of two "
                            "images (of a random 2,000 if there are more)", least=0.01),
        "debiased": _DEBIASED,
    },
    estimator="as linear_cka, with K = exp(-|x_i - x_j|^2 / (2 s^2)), s = bandwidth times the median distance",
    range=(-1.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source=f"{_KORNBLITH} (section 3); {_SONG}",
    misfit=_no_misfit,
    operations=costs.kernels_cost,
    memory=costs.centred_bytes,
)  # fmt: skip
SVCCA = MeasureCard(
    name="svcca",
    meaning="mean canonical correlation of the principal axes that hold most of the variance: each of these axes "
    "has the same weight, however small its variance",
    builder="sweeper.trials.similarity.measures.cca:svcca",
    options={
        "variance": Option(float, 0.99, _VARIANCE, least=0.01, most=1.0),
        "maps": _maps("pixels"),
    },
    estimator="mean of the singular values of U_x'U_y, U the left singular vectors that are kept of each activation",
    range=(0.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source="Raghu et al. 2017, SVCCA: Singular vector canonical correlation analysis",
    misfit=_equal_places_misfit("svcca"),
    operations=costs.canonical_cost,
    memory=costs.axes_bytes,
)
PWCCA = MeasureCard(
    name="pwcca",
    meaning="canonical correlations, each weighted by the share of A's activation along its direction; if "
    "several are equal (as with more features than examples, where all are 1), the weights are arbitrary",
    builder="sweeper.trials.similarity.measures.cca:pwcca",
    options={
        "variance": Option(float, 1.0, _VARIANCE, least=0.01, most=1.0),
        "maps": _maps("pixels"),
    },
    estimator="sum_i w_i rho_i / sum_i w_i with w_i = sum_j |<h_i, x_j>|, h_i A's canonical variates, x_j its features",
    range=(0.0, 1.0),
    invariances=("isotropic_scaling", "translation", "permutation", "affine_of_b"),
    symmetric=False,
    compares="activations",
    source="Morcos et al. 2018, Insights on representational similarity in neural networks (section 3)",
    misfit=_equal_places_misfit("pwcca"),
    operations=costs.canonical_cost,
    memory=costs.axes_bytes,
)
PROCRUSTES = MeasureCard(
    name="procrustes",
    meaning="how close the best rotation (or reflection) brings two shapes of unit size: 1 - d^2 / 2 of the Procrustes "
    "distance d; the activation with fewer features is padded with zeros",
    builder="sweeper.trials.similarity.measures.fits:procrustes",
    options={"maps": _maps("flat")},
    estimator="|X'Y|_* / (|X|_F |Y|_F), centred; d^2 = 2 - 2 times that; its arc cosine is a metric",
    range=(0.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source="Ding et al. 2021, Grounding representation similarity with statistical testing (section 2); "
    "Williams et al. 2021, Generalized shape metrics on neural representations (section 2)",
    misfit=_equal_places_misfit("procrustes"),
    operations=costs.rotation_cost,
    memory=costs.axes_bytes,
)
ORTHOGONAL_R2 = MeasureCard(
    name="orthogonal_r2",
    meaning="share of the variance of B's activation that the best rotation of A's explains, with one scale and a "
    "translation",
    builder="sweeper.trials.similarity.measures.fits:orthogonal_r2",
    options={"maps": _maps("pixels")},
    estimator="1 - min |Y - s X Q|^2 / |Y|^2 over s and Q'Q = I, centred: (|X'Y|_* / (|X|_F |Y|_F))^2",
    range=(0.0, 1.0),
    invariances=_FEATURES,
    symmetric=True,
    compares="activations",
    source=f"{_CSISZARIK}; Schönemann 1966, A generalized solution of the orthogonal Procrustes problem",
    misfit=_equal_places_misfit("orthogonal_r2"),
    operations=costs.rotation_cost,
    memory=costs.axes_bytes,
)
AFFINE_R2 = MeasureCard(
    name="affine_r2",
    meaning="share of the variance of B's activation that the best affine map of A's explains, on the images that it "
    "is fitted to; with as many features as examples it is always 1",
    builder="sweeper.trials.similarity.measures.fits:affine_r2",
    options={"maps": _maps("pixels")},
    estimator="1 - min |Y - X W|^2 / |Y|^2 over W, centred: |U_x'Y|^2 / |Y|^2, U_x the left singular vectors of X",
    range=(0.0, 1.0),
    invariances=(*_FEATURES, "affine_of_a"),
    symmetric=False,
    compares="activations",
    source=f"{_CSISZARIK}; {_KORNBLITH} (linear regression)",
    misfit=_equal_places_misfit("affine_r2"),
    operations=costs.affine_cost,
    memory=costs.axes_bytes,
)
RSA = MeasureCard(
    name="rsa",
    meaning="representational similarity analysis: correlation of the two matrices of dissimilarities between images, "
    "over a random choice of images if there are many",
    builder="sweeper.trials.similarity.measures.rsa:rsa",
    options={
        "dissimilarity": Option(str, "correlation", "dissimilarity of two images: 1 - Pearson's r of "
                                "their vectors, or the Euclidean distance",
                                choices=("correlation", "euclidean")),
        "compared": Option(str, "spearman", "how the matrices are compared", choices=("spearman", "pearson")),
        "images": Option(int, 2000, "largest number of images that are compared; ranking all pairs of 10,000 would "
                         "take minutes", least=3),
        "seed": _SEED,
    },
    estimator="Spearman's rho (or Pearson's r) over the pairs i < j of images",
    range=(-1.0, 1.0),
    invariances=("isotropic_scaling", "permutation"),
    symmetric=True,
    compares="activations",
    source="Kriegeskorte et al. 2008, Representational similarity analysis",
    misfit=_no_misfit,
    operations=costs.dissimilarities_cost,
    memory=costs.dissimilarity_bytes,
)  # fmt: skip
MUTUAL_KNN = MeasureCard(
    name="mutual_knn",
    meaning="share of an image's nearest neighbours in A that are its nearest neighbours in B, mean over images",
    builder="sweeper.trials.similarity.measures.neighbours:mutual_knn",
    options={
        "k": Option(int, 10, "number of neighbours of an image, without the image itself", least=1),
        "distance": Option(str, "cosine", "distance by which neighbours are chosen", choices=("cosine", "euclidean")),
    },
    estimator="mean over i of |N_k(x_i) & N_k(y_i)| / k",
    range=(0.0, 1.0),
    invariances=("orthogonal", "isotropic_scaling", "permutation"),
    symmetric=True,
    compares="activations",
    source="Huh et al. 2024, The platonic representation hypothesis (section 2, appendix A)",
    misfit=_no_misfit,
    operations=costs.neighbours_cost,
    memory=costs.centred_bytes,
)
LINEAR_PREDICTIVITY = MeasureCard(
    name="linear_predictivity",
    meaning="share of the variance of B's activation that a linear map from A's explains on images that it was not "
    "fitted to: below 0 if it predicts worse than their mean",
    builder="sweeper.trials.similarity.measures.predictivity:linear_predictivity",
    options={
        "ridge": Option(
            float, 1e-4, "ridge penalty: axes with less than this share of A's variance have little weight", least=1e-12
        ),
        "seed": _SEED,
    },
    estimator="ridge regression of Y on X over half of the images, R^2 (summed over B's features) on the other half",
    range=(-inf, 1.0),
    invariances=_FEATURES,
    symmetric=False,
    compares="activations",
    source="Yamins et al. 2014, Performance-optimized hierarchical models predict neural responses; "
    "Schrimpf et al. 2018, Brain-Score (linear predictivity)",
    misfit=_no_misfit,
    operations=costs.predictivity_cost,
    memory=costs.predictivity_bytes,
)
OUTPUT_AGREEMENT = MeasureCard(
    name="output_agreement",
    meaning="share of images on which A and B predict the same class: one value per pair of networks, without a cut",
    builder="sweeper.trials.similarity.measures.outputs:output_agreement",
    options={},
    estimator="mean of [argmax of A's logits = argmax of B's]",
    range=(0.0, 1.0),
    invariances=("isotropic_scaling",),
    symmetric=True,
    compares="outputs",
    source="Fort et al. 2019, Deep ensembles: a loss landscape perspective (1 - disagreement)",
    misfit=_equal_classes_misfit("output_agreement"),
    operations=costs.outputs_cost,
    memory=costs.output_bytes,
)
OUTPUT_KAPPA = MeasureCard(
    name="output_kappa",
    meaning="output agreement beyond the agreement expected by chance from the shares of each class (Cohen's kappa); 0 "
    "if one of the networks always predicts the same class",
    builder="sweeper.trials.similarity.measures.outputs:output_kappa",
    options={},
    estimator="(p_o - p_e) / (1 - p_e), p_o the agreement, p_e the sum over classes of the product of their shares",
    range=(-1.0, 1.0),
    invariances=("isotropic_scaling",),
    symmetric=True,
    compares="outputs",
    source="Cohen 1960, A coefficient of agreement for nominal scales",
    misfit=_equal_classes_misfit("output_kappa"),
    operations=costs.outputs_cost,
    memory=costs.output_bytes,
)

MEASURES: Mapping[str, MeasureCard] = {
    card.name: card
    for card in (
        LINEAR_CKA,
        MINIBATCH_CKA,
        RBF_CKA,
        SVCCA,
        PWCCA,
        PROCRUSTES,
        ORTHOGONAL_R2,
        AFFINE_R2,
        RSA,
        MUTUAL_KNN,
        LINEAR_PREDICTIVITY,
        OUTPUT_AGREEMENT,
        OUTPUT_KAPPA,
    )
}
