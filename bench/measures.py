"""Seconds of all measures of one pair of activations, 10,000 images by 2,048 features, in float32 on one thread.

    python bench/measures.py

The budget is a minute for all measures together, in the order of a pack, so that later measures reuse the axes and
products of earlier ones. The baselines compute the definitions directly: CCA and Procrustes from PyTorch's singular
value decompositions of the activations, CKA from whole Gram matrices. 20 permutations of B's images are compared with
as many measurements without reuse. Seconds are core-seconds.
"""

import time
from collections.abc import Callable

import torch
from record import emit
from torch import Tensor

from sweeper.spec.cards.card import OptionValues
from sweeper.spec.cards.measures import MEASURES
from sweeper.trials.similarity.compare import null_order
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair

IMAGES, FEATURES, CLASSES = 10_000, 2_048, 10
BUDGET = 60.0  # seconds
PERMUTATIONS = 20


def main() -> None:
    """Measure on two activations and print the figures."""
    torch.set_num_threads(1)
    x, y = activations()
    time_all_measures(x, y)
    time_against_definitions(x, y)
    time_permutations(x, y)


def activations() -> tuple[Tensor, Tensor]:
    """Return two activations that share half of their directions; variances fall as in a trained network."""
    generator = torch.Generator().manual_seed(0)
    shared_directions = (
        torch.randn(IMAGES, FEATURES // 2, generator=generator) / torch.arange(1, FEATURES // 2 + 1) ** 0.5
    )
    pair = []
    for _ in range(2):
        noise = torch.randn(IMAGES, FEATURES, generator=generator) / 50
        pair.append(shared_directions @ torch.randn(FEATURES // 2, FEATURES, generator=generator) / 30 + noise)
    return pair[0], pair[1]


def time_all_measures(x: Tensor, y: Tensor) -> None:
    """Emit the seconds of each measure with its default settings, and of all."""
    pair = Pair(Activation(x), Activation(y))
    outputs = Pair(Activation(x[:, :CLASSES]), Activation(y[:, :CLASSES]))
    total = 0.0
    for name, card in MEASURES.items():
        inputs = outputs if card.compares == "outputs" else pair
        seconds = timed(lambda name=name, inputs=inputs: similarity(inputs, name, defaults(name)))
        emit(f"measures, {name}", seconds, "s")
        total += seconds
    emit("measures, all of one pair, against their budget", total, "s", BUDGET, BUDGET / total)


def time_against_definitions(x: Tensor, y: Tensor) -> None:
    """Emit the seconds of single measures without reuse, against direct implementations of their definitions."""

    def svcca() -> float:
        left, values = zip(*(torch.linalg.svd(z - z.mean(0), full_matrices=False)[:2] for z in (x, y)), strict=True)
        dimensions = [int((v.square().cumsum(0) < 0.99 * v.square().sum()).sum()) + 1 for v in values]
        return float(torch.linalg.svdvals(left[0][:, : dimensions[0]].T @ left[1][:, : dimensions[1]]).mean())

    def linear_cka() -> float:
        k, l = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))  # noqa: E741
        return float((k * l).sum() / (k.norm() * l.norm()))

    def procrustes() -> float:
        a, b = ((z - z.mean(0)) / (z - z.mean(0)).norm() for z in (x, y))
        return float(torch.linalg.svdvals(a.T @ b).sum())

    for name, baseline_work, method in (
        ("svcca", svcca, "decomposing the activations"),
        ("linear_cka", linear_cka, "whole Gram matrices"),
        ("procrustes", procrustes, "the definition, in single precision"),
    ):
        seconds = timed(lambda name=name: similarity(Pair(Activation(x), Activation(y)), name, defaults(name)))
        baseline = timed(baseline_work)
        emit(f"measures, {name} alone, against {method}", seconds, "s", baseline, baseline / seconds)


def time_permutations(x: Tensor, y: Tensor) -> None:
    """Emit the seconds of the null distribution of measures that use axes, ranks or neighbours."""
    a, b = Activation(x), Activation(y)
    for name in ("affine_r2", "rsa", "mutual_knn"):
        single = timed(lambda name=name: similarity(Pair(a, b), name, defaults(name)))
        orders = [null_order(draw, IMAGES, y.device) for draw in range(PERMUTATIONS)]
        seconds = timed(
            lambda name=name, orders=orders: [similarity(Pair(a, b, o), name, defaults(name)) for o in orders]
        )
        emit(
            f"measures, {PERMUTATIONS} permutations of {name}",
            seconds,
            "s",
            PERMUTATIONS * single,
            PERMUTATIONS * single / seconds,
        )


def defaults(name: str) -> OptionValues:
    """Return the default settings of a measure."""
    return {option: card.default for option, card in MEASURES[name].options.items() if card.default is not None}


def timed(work: Callable[[], object]) -> float:
    """Return the core-seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
