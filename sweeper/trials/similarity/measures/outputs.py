"""Agreement of the classes that two networks predict. Their activations are the logits (images, classes)."""

import torch

from sweeper.trials.similarity.measures.pair import Pair


def output_agreement(pair: Pair) -> float:
    """Return the share of images for which both networks predict the same class."""
    return float((pair.a.features.argmax(1) == pair.permute_top(pair.b.features.argmax(1))).double().mean())


def output_kappa(pair: Pair) -> float:
    """Return Cohen's kappa, (agreement - chance) / (1 - chance).

    Chance is the agreement of two networks that predict each class equally often as these, but independently. The value
    is 0 where both networks predict a single class, the same for all images.
    """
    classes = pair.a.features.shape[1]
    shares = [torch.bincount(z.features.argmax(1), minlength=classes).double() / len(pair) for z in (pair.a, pair.b)]
    chance = float(shares[0] @ shares[1])
    return (output_agreement(pair) - chance) / (1 - chance) if chance < 1 else 0.0
