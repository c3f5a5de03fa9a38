"""Protocol paper against the plainest way to write it: one whole network in train mode, stepped by hand."""

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


def whole(of: Model) -> nn.ModuleDict:
    """A network's stages as they were trained."""
    training = of.training
    network = build(training.arch, training.options, training.data.shape, training.data.classes)
    network.load_state_dict(load(WEIGHTS[weights(of)]))
    stages = network.requires_grad_(False).stages
    assert isinstance(stages, nn.ModuleDict)
    return stages


def by_hand(asked: Stitch) -> tuple[float, float]:
    """Mean training loss and test loss of a stitch, without anything shared or clever."""
    a, b, recipe = whole(asked.a), whole(asked.b), asked.recipe
    at = list(a).index(asked.cut_a) + 1
    torch.manual_seed(int(asked.id[:15], 16))
    shapes = cut_of(asked.a, asked.cut_a).shape, cut_of(asked.b, asked.cut_b).shape
    stitcher = import_builder(STITCHERS[recipe.stitcher].builder)(*shapes, {})
    network = nn.Sequential(*list(a.values())[:at], stitcher, *list(b.values())[at:]).train()
    data = load_data(asked.a.training.data)
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
def test_it_is_the_whole_network_in_train_mode(cut: str) -> None:
    asked = stitch(A, B, cut, protocol="paper", steps=STEPS, lr=1e-3, augment="crop_flip")
    others = [stitch(A, B, other, protocol="paper", steps=STEPS, augment="crop_flip") for other in ("block2", "block8")]
    row = rows(pack([others[0], asked, others[1]]))[asked.id][-1]
    assert isinstance(row, StitchRow), row
    train_loss, test_loss = by_hand(asked)
    assert row.steps == STEPS
    # Not closer: a bias before a norm has no gradient but rounding, which Adam's first steps blow up to full size.
    assert row.train_loss == pytest.approx(train_loss, rel=1e-3)
    assert row.test_loss == pytest.approx(test_loss, rel=5e-3)


def test_a_moving_copy_shares_weights_and_moves_alone() -> None:
    block = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    moved = protocol_paper.copy_with_own_batch_stats(block)
    moved(torch.randn(8, 1, 2, 2) + 5)
    assert moved[0].weight is block[0].weight
    assert moved[1].running_mean is not block[1].running_mean
    assert block[1].running_mean.abs().max() == 0
    assert moved[1].running_mean.abs().max() > 0
    assert not block.training
    assert not any(weight.requires_grad for weight in moved.parameters())


def test_both_protocols_leave_the_networks_as_they_were() -> None:
    asked = stitch(A, B, "block4", steps=5)
    before = rows(pack([asked]))[asked.id][-1]
    rows(pack([stitch(A, B, cut, protocol="paper", steps=5) for cut in ("block2", "block4")]))
    after = rows(pack([asked]))[asked.id][-1]
    assert isinstance(before, StitchRow)
    assert isinstance(after, StitchRow)
    assert (after.test_loss, after.a_loss, after.b_loss) == (before.test_loss, before.a_loss, before.b_loss)
