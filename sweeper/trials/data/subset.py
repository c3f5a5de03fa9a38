"""The training images and labels of a model, as pure functions of its training run."""

import numpy as np

from sweeper.spec.cards.datasets import shard_size
from sweeper.spec.content.weights import NONE
from sweeper.spec.records.task import Data, TrainingRun
from sweeper.trials.process.philox import Purpose, bits, integers_below, random_permutation, uniform


def train_indices(training: TrainingRun) -> np.ndarray:
    """Return the indices of a run's training images in the training split, int64 (samples,), in no meaningful order.

    They are drawn without replacement from the images that aren't held back for stopping, or from the whole split if
    `samples` is larger. A subset that isn't nested depends on the run's seed; nested subsets are the first `samples`
    images of an order that all runs share.

    With `shards`, the images of that order are assigned to the shards in turn: each image is in one shard, and the
    sizes of shards differ by at most one. Within a shard `nested` and `samples` have the same meaning as without
    shards, and held-back images come last, so two shards are disjoint for any `samples`. Classes are not balanced on
    purpose: the share of each in a shard is random (in half of CIFAR-10, 2,500 images with a standard deviation of 34).

    Raises:
        ValueError: If the shard has fewer images than `samples`.
    """
    data, samples = training.data, training.samples
    pool = data.train - data.holdout
    # Images that are held back come after all others, so that a small nested subset is part of a large one even if the
    # large one includes them. They keep the order of the data set, which is random in its classes (`load` shuffles the
    # images of folders).
    order = np.concatenate(
        [random_permutation(training.subset_seed, Purpose.NESTED_SUBSET, 0, pool), np.arange(pool, data.train)]
    )
    shard = order[training.shard :: training.shards]
    if samples > len(shard):
        source = f"a training split of {data.train}"
        if training.shards > 1:
            source = f"shard {training.shard} ({len(shard)} images) of {source}"
        raise ValueError(f"{samples} samples of {source}: there are not so many images")
    if training.nested:
        return shard[:samples]
    drawn_from = np.sort(shard if takes_held_back(training) else shard[shard < pool])
    return drawn_from[random_permutation(training.seed, Purpose.SUBSET, 0, len(drawn_from))[:samples]]


def takes_held_back(training: TrainingRun) -> bool:
    """Return whether the training images of a run, or of a run that its weights come from, include held-back images.

    They do if there are more samples than images that aren't held back for stopping.
    """
    if training.init and takes_held_back(training.init.training):
        return True
    data = training.data
    return training.samples > shard_size(data.train - data.holdout, training.shard, training.shards)


def may_have_seen_held_back(training: TrainingRun) -> bool:
    """Return whether a model may have been trained on images held back for stopping.

    For weights from a file the training images are unknown, so the answer is yes.
    """
    if training.init and may_have_seen_held_back(training.init.training):
        return True
    return training.weights != NONE or takes_held_back(training)


def stop_indices(data: Data) -> np.ndarray:
    """Return the indices of the images held back for stopping, the last of the training split, int64 (holdout,)."""
    return np.arange(data.train - data.holdout, data.train)


def noisy_labels(training: TrainingRun, labels: np.ndarray) -> np.ndarray:
    """Return the labels with a run's label noise: each is replaced with probability `label_noise`.

    All replacements are equally likely. With the kind `other_class` a label is replaced by another class, as in the
    code of Bansal et al. 2021; labels then carry no information at a noise of 1 - 1 / classes. With `any_class` it is
    replaced by any class including the right one, as in their text; labels then carry no information at a noise of 1.
    An image's label depends only on the run's seed, not on the subset.

    Args:
        training: The run.
        labels: The labels of the whole training split, already grouped, int64 (n,).

    Returns:
        The labels, int64 (n,).
    """
    classes = training.classes
    raw = bits(training.seed, Purpose.LABEL_NOISE, 0, 2 * len(labels)).reshape(2, -1)
    replaced = uniform(raw[0]) < training.label_noise
    if training.label_noise_kind == "any_class":
        return np.where(replaced, integers_below(raw[1], classes), labels)
    return np.where(replaced, (labels + 1 + integers_below(raw[1], classes - 1)) % classes, labels)
