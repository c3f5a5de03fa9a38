"""Do two networks predict the same classes? Their activations are the logits (images, classes)."""

import torch

from sweeper.trials.similarity.measures.pair import Pair


def output_agreement(pair: Pair) -> float:
    """Share of images of which both predict the same class."""
    return float((pair.a.features.argmax(1) == pair.permute_top(pair.b.features.argmax(1))).double().mean())


def output_kappa(pair: Pair) -> float:
    """Cohen's kappa: agreement beyond that of two networks which predict each class as often but independently.

    0 where one class is all that both predict: there is nothing to agree on beyond chance.
    """
    classes = pair.a.features.shape[1]
    shares = [torch.bincount(z.features.argmax(1), minlength=classes).double() / len(pair) for z in (pair.a, pair.b)]
    chance = float(shares[0] @ shares[1])
    return (output_agreement(pair) - chance) / (1 - chance) if chance < 1 else 0.0
