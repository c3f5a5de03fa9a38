"""Cards of the measures: similarities of two activations that need no training."""

from collections.abc import Mapping

from .card import MeasureCard, Option

LINEAR_CKA = MeasureCard(
    name="linear_cka",
    meaning="centred kernel alignment with linear kernels, of activations flattened to one vector an image; "
    "debiased: from the unbiased estimator of HSIC, around 0 for unrelated activations and at times below it",
    builder="sweeper.trials.measures.cka:linear_cka",
    options={"debiased": Option(bool, False, "use the unbiased estimator of HSIC")},
    range=(0.0, 1.0),
    invariances=("orthogonal", "isotropic_scaling", "translation", "permutation"),
    source="Kornblith et al. 2019, Similarity of neural network representations revisited; "
    "Song et al. 2012, Feature selection via dependence maximization (equation 5, the unbiased HSIC)",
)

MEASURES: Mapping[str, MeasureCard] = {LINEAR_CKA.name: LINEAR_CKA}
