"""Estimated cost of a task, from its cards: seconds of one CPU core, bytes in memory, bytes in the store.

The estimates are rough. They serve to divide tasks into trials of similar length and to tell minutes from days before
anything starts; while a sweep runs, its progress line uses measured times. A multiply-add counts as two operations. A
backward pass costs twice its forward pass, or as much as that pass if weights are frozen and only the gradient of the
input is needed.
"""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from sweeper.spec.cards.card import Cut, NetworkLayout, StitcherCard
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.protocols import FIT_IMAGES, PHASE_STEPS, STOP_IMAGES
from sweeper.spec.cards.shapes import places
from sweeper.spec.records.task import Data, Model, Recipe, TrainingRun

from .graph import MeasureSpec, Operation

# Measured on one core (AVX2, float32) with ResNet-18 of base width 8 on 32 x 32 images (two workers on two cores) and
# of base widths 8 to 32 on 8 x 8 images. The times of training runs and packs of strict stitches differed from the
# estimate by less than a third, most of them by less than a fifth.
TRAIN_FLOPS_PER_SECOND = 60e9  # operations per second in training, with norms in train mode
FOLDED_FLOPS_PER_SECOND = 60e9  # with norms folded into the convolutions, as in strict halves
PRODUCT_FLOPS_PER_SECOND = 80e9  # operations per second of matrix products, of which measures consist
STEP_SECONDS = 0.010  # seconds of overhead of a training step through a whole ResNet-18; in proportion for a part of it
FOLDED_STEP_SECONDS = 0.006  # the same with folded norms
STITCHER_STEP_SECONDS = 0.002  # seconds of overhead of the stitcher and its optimiser in a training step
TASK_SECONDS = 0.02  # seconds of a task outside its passes: loading weights, writing rows, solving the closed form

WORKER_BYTES = 450_000_000  # memory of a process that has imported torch
ACTIVATION_CACHE_BYTES = 2**30  # limit on the activations of A that a pack keeps in memory, and of B for measurements
ROW_BYTES = {"models": 900, "stitches": 700, "similarities": 350}  # a compressed row without `correct`, by kind
FLOAT32_BYTES = 4


def train_seconds(model: Model, network: NetworkLayout) -> float:
    """Return the seconds of a training run up to a model's step, with one evaluation on the test images.

    SimCLR's linear probe also needs one pass over the run's own training images.
    """
    run = model.training
    evaluated_images = run.data.test + (run.samples if run.probe_steps else 0)
    training_seconds = (
        model.step * (STEP_SECONDS + _images_per_step(run) * _step_flops(run, network) / TRAIN_FLOPS_PER_SECOND)
        + run.probe_steps * STITCHER_STEP_SECONDS
    )
    return TASK_SECONDS + training_seconds + evaluated_images * network.flops / TRAIN_FLOPS_PER_SECOND


def shared_seconds(operation: Operation, deepest: Cut, data: Data, catalog: Catalog) -> float:
    """Return the seconds that the tasks of a pack share: A's forward passes up to the deepest cut.

    For a strict stitcher without augmentation, the images pass through A once and their activations are kept. Otherwise
    each training step has its own pass through A.
    """
    return (data.test + _passes(operation, data, catalog)) * deepest.flops / FOLDED_FLOPS_PER_SECOND


def own_seconds(
    operation: Operation, bottom_cut: Cut, top_cut: Cut, top: NetworkLayout, data: Data, catalog: Catalog
) -> float:
    """Return the seconds that one task adds to its pack, without A's passes, which the pack shares.

    For a measurement, B's passes are not included either; `pass_seconds` estimates them.
    """
    if isinstance(operation, MeasureSpec):
        flops = MEASURES[operation.measure].operations(
            data.test, bottom_cut.shape, top_cut.shape, dict(operation.options)
        )
        return TASK_SECONDS + (1 + operation.null) * flops / PRODUCT_FLOPS_PER_SECOND
    top_flops = top.flops - top_cut.flops
    test_seconds = TASK_SECONDS + data.test * top_flops / FOLDED_FLOPS_PER_SECOND
    card = catalog.stitcher(operation.stitcher)
    stitcher_flops = _stitcher_flops(operation, bottom_cut, top_cut, card)
    target_flops = 0 if card.replaces_top else top_cut.flops  # the closed form needs B's activations
    start_flops = min(data.train, FIT_IMAGES) * (target_flops + 2 * stitcher_flops)
    if not operation.steps:
        return test_seconds + (start_flops / FOLDED_FLOPS_PER_SECOND if card.solved_from_data else 0)
    top_depth = 1 - top_cut.depth
    step_flops = operation.batch * (3 * stitcher_flops + (3 if tunes(operation) else 2) * top_flops)
    if operation.protocol == "paper":
        return test_seconds + operation.steps * (
            STITCHER_STEP_SECONDS + STEP_SECONDS * top_depth + step_flops / TRAIN_FLOPS_PER_SECOND
        )
    # Per training step, of the evaluations on held-out images.
    stop_flops = 2 * min(data.holdout, STOP_IMAGES) * top_flops / PHASE_STEPS
    network_overhead, rate = (
        (STEP_SECONDS, TRAIN_FLOPS_PER_SECOND) if tunes(operation) else (FOLDED_STEP_SECONDS, FOLDED_FLOPS_PER_SECOND)
    )
    step_seconds = STITCHER_STEP_SECONDS + network_overhead * top_depth + (step_flops + stop_flops) / rate
    return test_seconds + start_flops / FOLDED_FLOPS_PER_SECOND + operation.steps * step_seconds


def repeats_passes(operation: Operation) -> bool:
    """Return True if each training step has a pass of its own through A, so that no activations are kept."""
    return isinstance(operation, Recipe) and operation.steps > 0 and not _keeps_activations(operation)


def pass_seconds(deepest: Cut, data: Data) -> float:
    """Return the seconds of one pass of the test images through a network up to a cut."""
    return data.test * deepest.flops / FOLDED_FLOPS_PER_SECOND


def pack_bytes(operation: Recipe, cuts: Sequence[Cut], data: Data) -> float:
    """Return the most bytes of memory that a worker needs for one recipe in a pack.

    The estimate covers the process itself and the activations of A at the cuts that are kept, up to
    `ACTIVATION_CACHE_BYTES`.
    """
    images = data.test + (data.train if _keeps_activations(operation) else 0)
    return WORKER_BYTES + min(ACTIVATION_CACHE_BYTES, images * FLOAT32_BYTES * sum(prod(cut.shape) for cut in cuts))


def tunes(operation: Operation) -> bool:
    """Return True if the layers of the top are trained together with the stitcher."""
    return isinstance(operation, Recipe) and operation.train == "top" and operation.steps > 0


def tuned_bytes(top: NetworkLayout) -> float:
    """Return the most bytes that a trained top adds to `pack_bytes`, for one task.

    These are six copies of the weights: the current ones, their gradients, Adam's two moments, the running mean and the
    best running mean. This is an upper bound, because layers before the cut need none of them.
    """
    return 6 * FLOAT32_BYTES * top.parameters


class MeasuredCuts(NamedTuple):
    """A measure between a cut of A and a cut of B."""

    operation: MeasureSpec
    bottom_cut: Cut
    top_cut: Cut


def measure_bytes(cells: Sequence[MeasuredCuts], data: Data) -> float:
    """Return the most bytes of memory that a worker needs to compare two networks.

    The estimate is the sum of the kept activations of both networks, of the largest activation that is too large to be
    kept, and of the memory of the most demanding measure.
    """
    activation_bytes = 0.0
    for cuts in ({cell.bottom_cut for cell in cells}, {cell.top_cut for cell in cells}):
        sizes = [FLOAT32_BYTES * data.test * prod(cut.shape) for cut in cuts]
        activation_bytes += min(ACTIVATION_CACHE_BYTES, sum(sizes)) + max(
            (size for size in sizes if size > ACTIVATION_CACHE_BYTES), default=0
        )
    bytes_by_pair = (
        MEASURES[operation.measure].memory(data.test, bottom_cut.shape, top_cut.shape, dict(operation.options))
        for operation, bottom_cut, top_cut in cells
    )
    return WORKER_BYTES + activation_bytes + max(bytes_by_pair)


def train_bytes(training: TrainingRun, network: NetworkLayout) -> float:
    """Return the most bytes of memory that a worker needs to train a network.

    The estimate covers weights, gradients, momentum, and the activations of a batch with their gradients. For each cut,
    these are about 6 tensors of the size of its activation, 22 in a transformer. Measured for the backward pass alone:
    a block of a transformer saves 13 such tensors, a block of a ResNet 3.6.
    """
    activations = sum((22 if len(cut.shape) == 2 else 6) * prod(cut.shape) for cut in network.cuts)
    return WORKER_BYTES + FLOAT32_BYTES * (3 * network.parameters + activations * _images_per_step(training))


def _step_flops(run: TrainingRun, network: NetworkLayout) -> float:
    """Return the operations of one image's forward and backward pass.

    Frozen layers have no weight gradients, and layers before the first trained one have no backward pass at all.
    """
    ends = [*(cut.flops for cut in network.cuts), network.flops]
    operations, start, any_trained = 0.0, 0.0, False
    for stage, end in zip([*(cut.name for cut in network.cuts), ""], ends, strict=True):
        frozen = stage in run.freeze
        any_trained = any_trained or not frozen
        operations += (end - start) * (3 if not frozen else 2 if any_trained else 1)
        start = end
    return operations


def _images_per_step(training: TrainingRun) -> int:
    """Return the number of images that pass through the network in a step: SimCLR uses two views of each."""
    return training.batch * (2 if training.objective == "simclr" else 1)


def row_bytes(kind: str, data: Data) -> int:
    """Return the bytes of a task's row in the store, with its bit for each test image."""
    return ROW_BYTES[kind] + (0 if kind == "similarities" else data.test // 8)


def weight_bytes(network: NetworkLayout) -> int:
    """Return the bytes of a network's weights in the store."""
    return FLOAT32_BYTES * network.parameters


def _keeps_activations(operation: Operation) -> bool:
    """Return True if A's activations of the training images are computed once and kept."""
    return (
        isinstance(operation, Recipe)
        and operation.steps > 0
        and operation.protocol == "strict"
        and operation.augment == "none"
    )


def _passes(operation: Operation, data: Data, catalog: Catalog) -> int:
    """Return the number of training images that pass through A for a task."""
    if isinstance(operation, MeasureSpec):
        return 0
    if not operation.steps:
        return min(data.train, FIT_IMAGES) if catalog.stitcher(operation.stitcher).solved_from_data else 0
    images = operation.steps * operation.batch
    return min(images, data.train) if _keeps_activations(operation) else images


def _stitcher_flops(recipe: Recipe, bottom_cut: Cut, top_cut: Cut, card: StitcherCard) -> float:
    """Return the operations of a stitcher's forward pass on one image.

    Each weight is used once at each position of B's activation, or of the coarser grid that the stitcher computes on.
    """
    bottom_shape, top_shape, options = bottom_cut.shape, top_cut.shape, dict(recipe.options)
    parts = card.parts(bottom_shape, top_shape, options)
    positions = max((places(part.top_shape) for part in parts), default=places(top_shape))
    return 2 * card.parameters(bottom_shape, top_shape, options) * positions
