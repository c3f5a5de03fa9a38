"""Networks that tell groups of classes apart, and stitches between networks of unlike labels: B's labels count."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from support.packs import WEIGHTS, model, pack, rows, stitch
from support.training_runs import DIGITS

from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.spec.records.task import Model, TrainPack
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.network import Images
from sweeper.trials.perform import perform

LOW_HIGH = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
ODD_EVEN = ((1, 3, 5, 7, 9), (0, 2, 4, 6, 8))
FINE = model(1, arch="myrtle")
LOW, ODD = model(2, arch="myrtle", labels=LOW_HIGH), model(2, arch="myrtle", labels=ODD_EVEN)


@cache
def own(of: Model) -> ModelRow:
    (outcome,) = perform(TrainPack("p", of.training, (of,), 1.0), WEIGHTS.__getitem__)
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow), row
    return row


def receipts(*asked: object) -> dict[str, StitchRow]:
    found = {task: of[-1] for task, of in rows(pack(asked)).items()}  # type: ignore[arg-type]
    assert all(isinstance(row, StitchRow) for row in found.values()), found
    return found  # type: ignore[return-value]


def test_each_image_has_the_label_of_its_classs_group() -> None:
    images = Images.from_dataset(load_dataset(DIGITS), torch.device("cpu"))
    odd = images.with_grouped_labels(ODD_EVEN)
    assert torch.equal(odd.test_labels, (images.test_labels % 2 == 0).long())
    assert torch.equal(odd.train_labels, (images.train_labels % 2 == 0).long())
    assert odd.train is images.train
    assert images.with_grouped_labels(()) is images


def test_a_model_of_groups_has_as_many_outputs_and_learns_them() -> None:
    row = own(LOW)
    assert row.labels == "[[0,1,2,3,4],[5,6,7,8,9]]"
    assert own(FINE).parameters - row.parameters == 8 * (64 + 1)  # width 8: 64 features before the linear layer
    assert row.test_error < 25  # of 50 by chance


def test_a_stitch_is_trained_and_judged_on_the_labels_of_its_top() -> None:
    """Low or high digit and odd or even: A and B agree on half of the images, by B's labels the stitch is good."""
    asked = stitch(LOW, ODD, "conv2", steps=60)
    row = receipts(asked)[asked.id]
    assert (row.a_error, row.b_error) == (own(LOW).test_error, own(ODD).test_error)
    assert row.b_error < 25
    assert row.test_error < 30
    assert row.penalty == row.test_error - row.b_error == -row.gain


def test_labels_of_other_sizes_meet_both_ways() -> None:
    for a, b in ((FINE, LOW), (LOW, FINE)):
        asked = stitch(a, b, "conv2", steps=60)
        row = receipts(asked)[asked.id]
        assert row.b_error == own(b).test_error
        assert row.a_error == own(a).test_error
        assert row.test_error < 40


def test_a_top_joined_to_itself_is_itself() -> None:
    """The stitched bits are those of the top's own row: judged on the very same labels."""
    asked = stitch(LOW, LOW, "conv3", stitcher="identity")
    assert receipts(asked)[asked.id].correct == own(LOW).correct
    right = np.unpackbits(np.frombuffer(own(LOW).correct, np.uint8))[:450]
    assert 100 * (450 - right.sum()) / 450 == pytest.approx(own(LOW).test_error)


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_tops_of_unlike_labels_in_one_pack_do_not_move_each_other(protocol: str) -> None:
    asked = [stitch(FINE, b, "conv3", protocol=protocol) for b in (LOW, ODD, FINE)]
    together = receipts(*asked)
    for one in asked:
        alone = receipts(one)[one.id]
        assert together[one.id].test_loss == pytest.approx(alone.test_loss, abs=1e-4)
        assert together[one.id].correct == alone.correct


def test_the_stop_images_have_the_tops_labels_too() -> None:
    """Held-out losses of a converging stitch into a top of two groups stay below those of a coin."""
    asked = stitch(FINE, ODD, "pool", steps=100)
    (found,) = rows(pack([asked])).values()
    losses = [point.loss for point in found[:-1] if point.split == "stop"]  # type: ignore[attr-defined]
    assert losses
    assert max(losses) < np.log(2)


def test_noise_falls_within_the_groups() -> None:
    noisy = dataclasses.replace(LOW.training, label_noise=0.5)
    from sweeper.trials.data.subset import noisy_labels

    labels = np.arange(1000) % 2
    assert set(noisy_labels(noisy, labels)) == {0, 1}
    assert abs((noisy_labels(noisy, labels) != labels).mean() - 0.5) < 0.1
