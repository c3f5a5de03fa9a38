"""Tests of protocol paper against a simple implementation: one whole network in train mode and its training loop."""

from math import cos, pi

import pytest
import torch
from safetensors.torch import load
from support.packs import WEIGHTS, model, pack, rows, stitch, weights
from torch import nn
from torch.nn.functional import cross_entropy

from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.records.rows import StitchRow
from sweeper.spec.records.task import Model, Stitch
from sweeper.trials.data.load import load_dataset as load_data
from sweeper.trials.data.stream import Stream, normalize
from sweeper.trials.networks.archs import build
from sweeper.trials.networks.cut import cut_of
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching import protocol_paper

A, B = model(1), model(2, samples=100)
STEPS = 6


def trained_stages(model: Model) -> nn.ModuleDict:
    """Return the stages of a trained network."""
    training = model.training
    network = build(training.arch, training.options, training.data.shape, training.data.classes)
    network.load_state_dict(load(WEIGHTS[weights(model)]))
    stages = network.requires_grad_(False).stages
    assert isinstance(stages, nn.ModuleDict)
    return stages


def losses_of_simple_loop(task: Stitch) -> tuple[float, float]:
    """Return the training loss of the last step and the test loss of a stitch, from a loop that shares no work."""
    a, b, recipe = trained_stages(task.a), trained_stages(task.b), task.recipe
    stages_before_cut = list(a).index(task.cut_a) + 1
    torch.manual_seed(int(task.id[:15], 16))
    shapes = cut_of(task.a, task.cut_a).shape, cut_of(task.b, task.cut_b).shape
    stitcher = import_builder(STITCHERS[recipe.stitcher].builder)(*shapes, {})
    network = nn.Sequential(
        *list(a.values())[:stages_before_cut], stitcher, *list(b.values())[stages_before_cut:]
    ).train()
    data = load_data(task.a.training.data)
    stream = Stream(
        data.train_images[:1200],
        data.train_labels[:1200],
        recipe.batch,
        recipe.seed,
        recipe.augment,
        data.mean,
        data.std,
    )
    optimizer = torch.optim.Adam(stitcher.parameters())
    losses = []
    for step in range(recipe.steps):
        optimizer.param_groups[0]["lr"] = recipe.lr * (1 + cos(pi * step / recipe.steps)) / 2
        images, labels = stream.batch(step)
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        logits = network(normalize(torch.as_tensor(data.test_images), data.mean, data.std))
    return losses[-1], float(cross_entropy(logits, torch.as_tensor(data.test_labels)))


@pytest.mark.parametrize("cut", ["conv1", "block5", "pool"])
def test_the_losses_are_those_of_the_whole_network_in_train_mode(cut: str) -> None:
    task = stitch(A, B, cut, protocol="paper", steps=STEPS, lr=1e-3, augment="crop_flip")
    other_stitches = [
        stitch(A, B, name, protocol="paper", steps=STEPS, augment="crop_flip") for name in ("block2", "block8")
    ]
    row = rows(pack([other_stitches[0], task, other_stitches[1]]))[task.id][-1]
    assert isinstance(row, StitchRow), row
    train_loss, test_loss = losses_of_simple_loop(task)
    assert row.steps == STEPS
    # The gradient of a bias before a norm is only rounding error, but Adam scales its first steps to full size; hence
    # the wide tolerances.
    assert row.train_loss == pytest.approx(train_loss, rel=1e-3)
    assert row.test_loss == pytest.approx(test_loss, rel=5e-3)


def test_a_copy_shares_weights_and_has_its_own_batch_statistics() -> None:
    block = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    copied = protocol_paper.copy_with_own_batch_stats(block)
    copied(torch.randn(8, 1, 2, 2) + 5)
    assert copied[0].weight is block[0].weight
    assert copied[1].running_mean is not block[1].running_mean
    assert block[1].running_mean.abs().max() == 0
    assert copied[1].running_mean.abs().max() > 0
    assert not block.training
    assert not any(weight.requires_grad for weight in copied.parameters())


def test_protocol_paper_does_not_change_the_networks() -> None:
    task = stitch(A, B, "block4", steps=5)
    row_before = rows(pack([task]))[task.id][-1]
    rows(pack([stitch(A, B, cut, protocol="paper", steps=5) for cut in ("block2", "block4")]))
    row_after = rows(pack([task]))[task.id][-1]
    assert isinstance(row_before, StitchRow)
    assert isinstance(row_after, StitchRow)
    for loss in ("test_loss", "a_loss", "b_loss"):
        assert getattr(row_after, loss) == getattr(row_before, loss)
