"""Which images a model trains on, and with which labels: pure functions of its training run."""

import numpy as np

from sweeper.spec.task import Data, Train
from sweeper.trials.chance import Purpose, below, bits, permutation, uniform

NESTED_SEED = 0  # the one order that nested subsets are cut from, for every seed; never change it


def train_indices(training: Train) -> np.ndarray:
    """The images of the training split that a run trains on, int64 (samples,), in no meaningful order.

    Drawn without replacement from what isn't held back for stopping, or from the whole split where `samples` needs
    more. Redrawn subsets follow the run's seed; nested ones are the first `samples` of an order that every run shares.
    Raises ValueError where the split has fewer images than `samples`.
    """
    data, samples = training.data, training.samples
    if samples > data.train:
        raise ValueError(f"{samples} samples of a training split of {data.train}")
    pool = data.train - data.holdout
    if training.nested:
        # The pool first and the held back after it, so that a small subset lies in a large one on either side.
        order = permutation(NESTED_SEED, Purpose.NESTED_SUBSET, 0, pool)
        return np.concatenate([order, np.arange(pool, data.train)])[:samples]
    return permutation(training.seed, Purpose.SUBSET, 0, pool if samples <= pool else data.train)[:samples]


def stop_indices(data: Data) -> np.ndarray:
    """The images held back for stopping: the last of the training split, int64 (holdout,)."""
    return np.arange(data.train - data.holdout, data.train)


def noisy_labels(training: Train, labels: np.ndarray) -> np.ndarray:
    """The labels of the whole training split as a run sees them, int64 (n,): each replaced, with the run's probability
    `label_noise`, by one of the other classes, all equally likely.

    An image's label depends on the run's seed alone, not on the subset. With noise 1 - 1 / classes every label is
    equally likely: the images say nothing.
    """
    raw = bits(training.seed, Purpose.LABEL_NOISE, 0, 2 * len(labels)).reshape(2, -1)
    replaced = uniform(raw[0]) < training.label_noise
    others = (labels + 1 + below(raw[1], training.data.classes - 1)) % training.data.classes
    return np.where(replaced, others, labels)
