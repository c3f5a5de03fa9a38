"""Tests of networks that classify groups of classes, and of stitches between networks with different labels."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from support.packs import WEIGHTS, model, pack, rows, stitch
from support.training_runs import DIGITS

from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.spec.records.task import Model, Stitch, TrainPack
from sweeper.trials.data.load import load_dataset
from sweeper.trials.data.subset import noisy_labels
from sweeper.trials.networks.network import Images
from sweeper.trials.perform import perform

LOW_HIGH = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
ODD_EVEN = ((1, 3, 5, 7, 9), (0, 2, 4, 6, 8))
FINE = model(1, arch="myrtle")
LOW, ODD = model(2, arch="myrtle", labels=LOW_HIGH), model(2, arch="myrtle", labels=ODD_EVEN)


@cache
def model_row(model: Model) -> ModelRow:
    """Train a model and return its row."""
    (outcome,) = perform(TrainPack("p", model.training, (model,), 1.0), WEIGHTS.__getitem__)
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow), row
    return row


def receipts(*stitches: Stitch) -> dict[str, StitchRow]:
    """Perform stitches in one pack and return the row of each by its id; fail if one failed."""
    row_by_task = {task: task_rows[-1] for task, task_rows in rows(pack(stitches)).items()}
    assert all(isinstance(row, StitchRow) for row in row_by_task.values()), row_by_task
    return row_by_task  # type: ignore[return-value]


def test_the_label_of_an_image_is_the_group_of_its_class() -> None:
    images = Images.from_dataset(load_dataset(DIGITS), torch.device("cpu"))
    odd = images.with_grouped_labels(ODD_EVEN)
    assert torch.equal(odd.test_labels, (images.test_labels % 2 == 0).long())
    assert torch.equal(odd.train_labels, (images.train_labels % 2 == 0).long())
    assert odd.train is images.train
    assert images.with_grouped_labels(()) is images


def test_a_model_of_groups_has_one_output_per_group_and_learns_them() -> None:
    row = model_row(LOW)
    assert row.labels == "[[0,1,2,3,4],[5,6,7,8,9]]"
    assert model_row(FINE).parameters - row.parameters == 8 * (64 + 1)  # width 8: 64 features before the linear layer
    assert row.test_error < 25  # of 50 by chance


def test_a_stitch_is_trained_and_scored_with_the_labels_of_its_top() -> None:
    """Stitch a network of low and high digits into one of odd and even digits.

    The two labels agree on half of the images, so the error is low only if B's labels are used.
    """
    task = stitch(LOW, ODD, "conv2", steps=60)
    row = receipts(task)[task.id]
    assert (row.a_error, row.b_error) == (model_row(LOW).test_error, model_row(ODD).test_error)
    assert row.b_error < 25
    assert row.test_error < 30
    assert row.penalty == row.test_error - row.b_error == -row.gain


def test_networks_with_different_numbers_of_labels_are_stitched_in_both_directions() -> None:
    for a, b in ((FINE, LOW), (LOW, FINE)):
        task = stitch(a, b, "conv2", steps=60)
        row = receipts(task)[task.id]
        assert row.b_error == model_row(b).test_error
        assert row.a_error == model_row(a).test_error
        assert row.test_error < 40


def test_an_identity_stitch_has_the_predictions_of_the_network() -> None:
    """Compare the correct predictions, bit by bit, with those of the top's own row."""
    task = stitch(LOW, LOW, "conv3", stitcher="identity")
    assert receipts(task)[task.id].correct == model_row(LOW).correct
    correct = np.unpackbits(np.frombuffer(model_row(LOW).correct, np.uint8))[:450]
    assert 100 * (450 - correct.sum()) / 450 == pytest.approx(model_row(LOW).test_error)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_tops_with_different_labels_in_one_pack_do_not_affect_each_other(protocol: str) -> None:
    tasks = [stitch(FINE, b, "conv3", protocol=protocol) for b in (LOW, ODD, FINE)]
    row_by_task = receipts(*tasks)
    for task in tasks:
        lone_row = receipts(task)[task.id]
        assert row_by_task[task.id].test_loss == pytest.approx(lone_row.test_loss, abs=1e-4)
        assert row_by_task[task.id].correct == lone_row.correct


def test_the_held_out_images_have_the_labels_of_the_top() -> None:
    """Check that the held-out losses of a stitch into a top of two groups are below the loss of a random guess."""
    task = stitch(FINE, ODD, "pool", steps=100)
    (task_rows,) = rows(pack([task])).values()
    losses = [point.loss for point in task_rows[:-1] if point.split == "stop"]  # type: ignore[attr-defined]
    assert losses
    assert max(losses) < np.log(2)


def test_label_noise_gives_labels_of_groups() -> None:
    noisy = dataclasses.replace(LOW.training, label_noise=0.5)
    labels = np.arange(1000) % 2
    assert set(noisy_labels(noisy, labels)) == {0, 1}
    assert abs((noisy_labels(noisy, labels) != labels).mean() - 0.5) < 0.1
