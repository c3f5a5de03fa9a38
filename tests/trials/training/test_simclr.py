"""Tests of SimCLR: the loss by its definition, an encoder trained without labels, and a probe as top."""

import math

import pytest
import torch
from support.packs import WEIGHTS, model, pack, rows, stitch
from support.training_runs import DIGITS, training_run
from torch import Tensor, nn

from sweeper.spec.records.rows import ModelRow, StitchRow
from sweeper.spec.records.task import Model, TrainingRun, TrainPack
from sweeper.trials.data.load import load_dataset
from sweeper.trials.networks.cut import bottom, top
from sweeper.trials.networks.network import Images, score
from sweeper.trials.networks.state_dicts import to_bytes
from sweeper.trials.perform import perform
from sweeper.trials.training.simclr import nt_xent, pool_features
from sweeper.trials.training.train import Trained, train


@pytest.fixture(scope="module")
def images() -> Images:
    return Images.from_dataset(load_dataset(DIGITS), torch.device("cpu"))


def run(**changes: object) -> TrainingRun:
    spec = {"arch": "myrtle", "options": (("width", 8),), "steps": 4, "schedule": "cosine"}
    return training_run(**(spec | {"objective": "simclr", "temperature": 0.5, "probe_steps": 10} | changes))


def train_to_end(training: TrainingRun, images: Images) -> Trained:
    return next(iter(train(training, [training.steps], images)))


def halves(network: nn.Module) -> tuple[bytes, bytes]:
    """Return the weights of the encoder and of the probe."""
    return to_bytes(bottom(network, "pool")), to_bytes(top(network, "pool"))


def reference_nt_xent(z: Tensor, temperature: float) -> float:
    """Return the loss by equation 1 and algorithm 1 of Chen et al. 2020, term by term."""

    def s(i: int, k: int) -> float:
        return float(z[i] @ z[k] / (z[i].norm() * z[k].norm()))

    count = len(z)

    def ell(i: int, j: int) -> float:
        denominator = sum(math.exp(s(i, k) / temperature) for k in range(count) if k != i)
        return -math.log(math.exp(s(i, j) / temperature) / denominator)

    half = count // 2
    return sum(ell(k, k + half) + ell(k + half, k) for k in range(half)) / count


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_equals_the_definition_in_the_paper(temperature: float) -> None:
    z = torch.randn(10, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss, _ = nt_xent(z, temperature)
    assert float(loss) == pytest.approx(reference_nt_xent(z, temperature), rel=1e-9)


def test_nt_xent_has_the_expected_value_for_equal_views_and_for_separated_views() -> None:
    loss_of_equal_views, _ = nt_xent(torch.ones(8, 3), 0.5)
    assert float(loss_of_equal_views) == pytest.approx(math.log(7)), "one of the 7 other views"
    loss_of_separated_views, error = nt_xent(torch.eye(4).repeat(2, 1), 0.5)
    assert float(loss_of_separated_views) == pytest.approx(math.log(math.exp(2) + 6) - 2)
    assert error == 0
    _, error = nt_xent(torch.eye(4)[[0, 1, 2, 3, 1, 2, 3, 0]], 0.5)
    assert error == 1


def test_features_of_any_shape_are_pooled() -> None:
    maps = torch.randn(2, 5, 3, 4)
    assert torch.equal(pool_features(maps), maps.mean((2, 3)))
    assert torch.equal(pool_features(maps[..., 0]), maps[..., 0].mean(1))
    assert torch.equal(pool_features(maps[..., 0, 0]), maps[..., 0, 0])


def test_the_encoder_does_not_depend_on_labels(images: Images) -> None:
    first, noisy = (train_to_end(run(label_noise=noise), images).network for noise in (0.0, 1.0))
    assert halves(first)[0] == halves(noisy)[0]
    assert halves(first)[1] != halves(noisy)[1]


def test_training_the_probe_does_not_change_the_encoder(images: Images) -> None:
    short, long = (train_to_end(run(probe_steps=steps), images).network for steps in (1, 10))
    assert halves(short)[0] == halves(long)[0]
    assert halves(short)[1] != halves(long)[1]


def test_the_same_run_gives_the_same_bits_wherever_it_is_stopped(images: Images) -> None:
    bytes_by_step = {snapshot.step: to_bytes(snapshot.network) for snapshot in train(run(), [2, 4], images)}
    for step in (2, 4):
        (model,) = train(run(), [step], images)
        assert to_bytes(model.network) == bytes_by_step[step]
    for change in ({"seed": 1}, {"temperature": 0.1}, {"augment": "crop_flip"}):
        assert to_bytes(train_to_end(run(**change), images).network) != bytes_by_step[4]


def test_the_learning_curve_has_the_losses_of_the_objective(images: Images) -> None:
    """Check the first loss: it is near log 63, as each of 64 views has 63 others."""
    trained_network = train_to_end(run(steps=1, lr=1e-6), images)
    assert trained_network.train_loss == trained_network.curve[0].loss == pytest.approx(math.log(63), abs=1)


def test_simclr_learns_digits(images: Images) -> None:
    """Compare the error with chance, 90 %, and with that of a probe on an almost untrained encoder."""
    settings = {"batch": 64, "probe_steps": 200}
    untrained_error, trained_error = (
        score(train_to_end(run(**settings, **length), images).network.eval(), images.test_batches()).error
        for length in ({"steps": 1, "lr": 1e-6}, {"steps": 60})
    )
    assert trained_error < 15
    assert trained_error < untrained_error - 5


def test_groups_of_classes_are_probed_too(images: Images) -> None:
    groups = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    network = train_to_end(run(labels=groups, steps=20, batch=64, probe_steps=100), images).network
    assert score(network.eval(), images.with_grouped_labels(groups).test_batches()).error < 35


def test_a_probed_network_is_a_model_with_a_top_to_stitch_to() -> None:
    a = model(1, arch="myrtle")
    b = Model("simclr", run(id="simclr", steps=20, batch=64, probe_steps=100), 20)
    (outcome,) = perform(TrainPack("p", b.training, (b,), 1.0), WEIGHTS.__getitem__)
    row = outcome.rows[-1]
    assert isinstance(row, ModelRow)
    assert (row.objective, row.temperature, row.probe_steps) == ("simclr", 0.5, 100)
    stitch_task = stitch(a, b, "conv4", steps=60)
    (task_rows,) = rows(pack([stitch_task])).values()
    receipt = task_rows[-1]
    assert isinstance(receipt, StitchRow)
    assert receipt.b_error == row.test_error < 40
    assert receipt.test_error < 40
