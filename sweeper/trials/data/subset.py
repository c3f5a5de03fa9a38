"""Which images a model trains on, and with which labels: pure functions of its training run."""

import numpy as np

from sweeper.spec.cards.datasets import in_shard
from sweeper.spec.content.weights import NONE
from sweeper.spec.records.task import Data, TrainingRun
from sweeper.trials.process.philox import Purpose, bits, integers_below, permutation, uniform


def train_indices(training: TrainingRun) -> np.ndarray:
    """The images of the training split that a run trains on, int64 (samples,), in no meaningful order.

    Drawn without replacement from what isn't held back for stopping, or from the whole split where `samples` needs
    more. Redrawn subsets follow the run's seed; nested ones are the first `samples` of an order that every run shares.

    `shards` deals that order out in turn, as cards are: each image lies in one shard, and sizes differ by one at the
    most. Within a shard `nested` and `samples` mean what they mean in the whole, and held-back images come last, so
    two shards are disjoint whatever the samples. Classes are not balanced on purpose: each has its share of a shard up
    to chance (in half of CIFAR-10 2,500 images give or take 34, one standard deviation).

    Raises ValueError where the shard has fewer images than `samples`.
    """
    data, samples = training.data, training.samples
    pool = data.train - data.holdout
    # The pool first and the held back after it, so that a small subset lies in a large one on either side. Those stand
    # in the data set's own order, in which classes alternate by chance (`load` shuffles folders).
    order = np.concatenate(
        [permutation(training.subset_seed, Purpose.NESTED_SUBSET, 0, pool), np.arange(pool, data.train)]
    )
    own = order[training.shard :: training.shards]
    if samples > len(own):
        whole = f"a training split of {data.train}"
        where = whole if training.shards == 1 else f"shard {training.shard} ({len(own)} images) of {whole}"
        raise ValueError(f"{samples} samples of {where}")
    if training.nested:
        return own[:samples]
    drawn_from = np.sort(own if takes_held_back(training) else own[own < pool])
    return drawn_from[permutation(training.seed, Purpose.SUBSET, 0, len(drawn_from))[:samples]]


def takes_held_back(training: TrainingRun) -> bool:
    """Whether a run, or one that its weights come from, asks for so many samples that images held back for stopping are
    among them."""
    if training.init and takes_held_back(training.init.training):
        return True
    data = training.data
    return training.samples > in_shard(data.train - data.holdout, training.shard, training.shards)


def may_have_seen_held_back(training: TrainingRun) -> bool:
    """Whether images held back for stopping may have trained a model. Of weights from a file nobody can rule it out."""
    if training.init and may_have_seen_held_back(training.init.training):
        return True
    return training.weights != NONE or takes_held_back(training)


def stop_indices(data: Data) -> np.ndarray:
    """The images held back for stopping: the last of the training split, int64 (holdout,)."""
    return np.arange(data.train - data.holdout, data.train)


def noisy_labels(training: TrainingRun, labels: np.ndarray) -> np.ndarray:
    """Labels of the whole training split, already grouped, as a run sees them, int64 (n,): each replaced with the run's
    probability `label_noise`, all replacements being equally likely.

    other_class: by one of the other classes (the code of Bansal et al. 2021); with noise 1 - 1 / classes the images
    then say nothing. any_class: by any class, the right one too (their text); the images then say nothing with noise 1.

    An image's label depends on the run's seed alone, not on the subset.
    """
    classes = training.classes
    raw = bits(training.seed, Purpose.LABEL_NOISE, 0, 2 * len(labels)).reshape(2, -1)
    replaced = uniform(raw[0]) < training.label_noise
    if training.label_noise_kind == "any_class":
        return np.where(replaced, integers_below(raw[1], classes), labels)
    return np.where(replaced, (labels + 1 + integers_below(raw[1], classes - 1)) % classes, labels)
