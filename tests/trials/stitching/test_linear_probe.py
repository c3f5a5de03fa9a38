"""Tests that a stitch that is a linear probe is solved: known minima, layers of every form, and what is left out."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from sweeper.spec.cards.places import Part, PlaceView
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching import linear_probe
from sweeper.trials.stitching.linear_probe import PENALTIES, LinearProbe, affine_layers
from sweeper.trials.stitching.stitched_network import ClosedFormOfChannels, StitchedNetwork
from sweeper.trials.stitching.stitchers.conformance import closed_forms

CPU = torch.device("cpu")
CLASSES = 4


class ClassToken(nn.Module):
    """A linear map of the first token."""

    def __init__(self, channels: int):
        super().__init__()
        self.linear = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (images, tokens, channels) to logits."""
        return self.linear(x[:, 0])


def pooled(channels: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


TOPS = [((3, 4, 4), pooled(3)), ((6,), nn.Linear(6, CLASSES)), ((9, 6), ClassToken(6)),
        ((6, 2, 2), nn.Sequential(pooled(6), nn.LogSoftmax(-1)))]  # fmt: skip


def stitched(top: nn.Module, bottom_shape: tuple[int, ...], top_shape: tuple[int, ...], name: str = "conv1x1"):
    """Return a stitched network at a closed form between random activations, with A's activations and the labels."""
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, *bottom_shape, generator=draw) * 3 + 1, torch.randn(60, *top_shape, generator=draw)
    labels = torch.randint(CLASSES, (60,), generator=draw)
    card, options = STITCHERS[name], {"rank": 2} if name == "low_rank" else {}
    (form,) = closed_forms(card, x, y, options)
    stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
    stitcher.start(form)
    part = Part(PlaceView("all"), PlaceView("all"), bottom_shape, top_shape)
    network = StitchedNetwork("s", "cut", stitcher, top.requires_grad_(False), 10, 0.1, affine_top=True)
    network.closed_form = ClosedFormOfChannels(form, part, bottom_shape, top_shape)
    return network, {"cut": x}, labels


def features_of(shape: tuple[int, ...], x: Tensor) -> Tensor:
    return x.mean((2, 3)) if len(shape) == 3 else x[:, 0] if len(shape) == 2 else x


@pytest.mark.parametrize(("top_shape", "top"), TOPS)
@torch.no_grad()
def test_solutions_are_the_minima_that_scikit_learn_finds(top_shape: tuple[int, ...], top: nn.Module) -> None:
    """Compare the logits of the stitched network with those of multinomial regression of the same penalty."""
    bottom_shape = top_shape if len(top_shape) > 1 else (5,)
    network, feed, labels = stitched(top, bottom_shape, top_shape)
    probe = LinearProbe.of(network)
    assert probe is not None
    features = probe.features(feed)
    torch.testing.assert_close(features, features_of(bottom_shape, feed["cut"]), atol=1e-5, rtol=1e-4)
    path, _ = probe.paths(features, labels)
    rows = (features - features.mean(0)) / features.std(0, correction=0)
    for penalty, solution in zip(PENALTIES[:4], path, strict=False):
        model = LogisticRegression(C=1 / (2 * penalty * len(rows)), tol=1e-8, max_iter=2000).fit(rows, labels)
        network.stitcher.start(solution.form)
        probabilities = functional.softmax(network(feed), -1)
        expected = torch.from_numpy(model.predict_proba(rows)).float()
        if bottom_shape[0] >= CLASSES or len(bottom_shape) == 2:  # else the rank of B's layers bounds the slopes
            torch.testing.assert_close(probabilities, expected, atol=2e-2, rtol=0)
        loss = functional.cross_entropy(network(feed), labels)
        assert loss == pytest.approx(solution.train_loss, abs=1e-4)


@torch.no_grad()
def test_a_large_penalty_gives_slopes_of_0_on_the_first_path_and_the_closed_form_on_the_second(monkeypatch) -> None:
    monkeypatch.setattr(linear_probe, "PENALTIES", (1e4,))
    shape = (6, 2, 2)
    network, feed, labels = stitched(pooled(6), shape, shape)
    closed = network(feed)
    probe = LinearProbe.of(network)
    assert probe is not None
    logits = []
    for path in probe.paths(probe.features(feed), labels):
        network.stitcher.start(next(path).form)
        logits.append(network(feed))
    assert float((logits[0] - logits[0].mean(0)).abs().max()) < 1e-2
    torch.testing.assert_close(logits[1] - logits[1].mean(0), closed - closed.mean(0), atol=1e-2, rtol=0)


def test_paths_end_at_the_same_minimum() -> None:
    """The penalties fall to nearly none, so the start no longer matters, if there are many images."""
    shape = (3,)
    network, _, _ = stitched(nn.Linear(3, CLASSES), shape, shape)
    draw = torch.Generator().manual_seed(5)
    features = torch.randn(2000, 3, generator=draw)
    labels = (features @ torch.randn(3, CLASSES, generator=draw) + torch.randn(2000, CLASSES, generator=draw)).argmax(1)
    probe = LinearProbe.of(network)
    assert probe is not None
    losses = [list(path)[-1].train_loss for path in probe.paths(features, labels)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_layers_that_treat_places_differently_are_left_out() -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, CLASSES))
    assert affine_layers(layers, (3, 4, 4), CPU) is None


def test_layers_that_cancel_over_places_are_left_out() -> None:
    class Difference(nn.Module):
        """The difference of two places."""

        def forward(self, x: Tensor) -> Tensor:
            """Map (images, channels, height, width) to (images, channels)."""
            return x[:, :, 0, 0] - x[:, :, 1, 1]

    assert affine_layers(Difference(), (3, 4, 4), CPU) is None


@pytest.mark.parametrize("name", ["low_rank", "identity"])
def test_stitchers_that_do_not_give_every_map_are_left_out(name: str) -> None:
    shape = (6,)
    if name == "low_rank":
        network, _, _ = stitched(nn.Linear(6, CLASSES), shape, shape, name)
    else:
        network, _, _ = stitched(nn.Linear(6, CLASSES), shape, shape)
        network.stitcher = nn.Identity()
    assert LinearProbe.of(network) is None


def test_a_stitch_without_affine_layers_or_a_closed_form_is_left_out() -> None:
    network, _, _ = stitched(nn.Linear(6, CLASSES), (6,), (6,))
    network.affine_top = False
    assert LinearProbe.of(network) is None
    network.affine_top, network.closed_form = True, None
    assert LinearProbe.of(network) is None
