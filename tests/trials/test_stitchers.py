"""Stitchers: a start at an affine map is that map."""

import pytest
import torch
from torch import nn

from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.builder import find
from sweeper.trials.solve import Moments, Products, by_channel, solve

JOINS = [
    ("conv1x1", (5, 4, 4), (7, 4, 4)),
    ("conv1x1", (6,), (3,)),
    ("conv1x1", (9, 6), (9, 3)),
    ("linear", (6,), (9,)),
    ("linear", (4, 6), (4, 9)),
]


@pytest.mark.parametrize(("name", "shape_a", "shape_b"), JOINS)
def test_start_is_the_affine_map_in_eval_mode(name: str, shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, *shape_a, generator=draw) * 4 - 1, torch.randn(90, *shape_b, generator=draw) + 2
    x.movedim(features(x), 1)[:, 1], y.movedim(features(y), 1)[:, 2] = 0.5, -3.0  # channels that never move
    of_x, of_y, of_both = Moments(), Moments(), Products()
    of_x.add(by_channel(x))
    of_y.add(by_channel(y))
    of_both.add(by_channel(x), by_channel(y))
    affine = solve(of_x, of_y, of_both)
    stitcher = find(STITCHERS[name].builder)(shape_a, shape_b, {})
    stitcher.start(affine)
    torch.testing.assert_close(stitcher.eval()(x), affine(x), atol=1e-5, rtol=1e-5)


def features(x: torch.Tensor) -> int:
    """The dimension that channels lie in."""
    return 2 if x.ndim == 3 else 1


def test_start_agrees_with_batch_statistics() -> None:
    """On the data it was solved on, the stitcher's norms see in train mode what eval mode assumes."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(512, 4, 2, 2, generator=draw)
    y = torch.einsum("ba,nahw->nbhw", torch.randn(3, 4, generator=draw), x)
    of_x, of_y, of_both = Moments(), Moments(), Products()
    of_x.add(by_channel(x))
    of_y.add(by_channel(y))
    of_both.add(by_channel(x), by_channel(y))
    stitcher = find(STITCHERS["conv1x1"].builder)((4, 2, 2), (3, 2, 2), {})
    stitcher.start(solve(of_x, of_y, of_both))
    torch.testing.assert_close(stitcher.train()(x), y, atol=1e-2, rtol=1e-2)


def test_identity_is_the_same_tensor() -> None:
    x = torch.randn(2, 3)
    stitcher = find(STITCHERS["identity"].builder)((3,), (3,), {})
    assert isinstance(stitcher, nn.Identity)
    assert stitcher(x) is x


@pytest.mark.parametrize(("shape_a", "shape_b"), [((5, 4, 4), (7, 4, 4)), ((6,), (3,)), ((9, 6), (9, 3))])
def test_eval_mode_is_the_three_layers_in_one(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    stitcher = find(STITCHERS["conv1x1"].builder)(shape_a, shape_b, {})
    for _ in range(3):
        stitcher.train()(torch.randn(16, *shape_a) * 3 + 1)  # moves the running averages
    x = torch.randn(10, *shape_a)
    stitcher.eval()
    rows = x.flatten(0, 1) if x.ndim == 3 else x
    three = stitcher.leave(stitcher.affine(stitcher.enter(rows))).view(10, *shape_b)
    torch.testing.assert_close(stitcher(x), three, atol=1e-5, rtol=1e-5)


def test_tokens_are_normed_by_feature() -> None:
    """In train mode the first norm sees each feature over all images and tokens, as a 1x1 convolution's over pixels."""
    x = torch.randn(64, 5, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([0.0, 7.0, -7.0])
    built = find(STITCHERS["conv1x1"].builder)
    torch.manual_seed(3)
    tokens = built((5, 3), (5, 4), {})
    pixels = built((3, 5, 1), (4, 5, 1), {})
    pixels.load_state_dict(
        {key: tensor.view(pixels.state_dict()[key].shape) for key, tensor in tokens.state_dict().items()}
    )
    found, expected = tokens.train()(x), pixels.train()(x.transpose(1, 2)[..., None])
    torch.testing.assert_close(found, expected[..., 0].transpose(1, 2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens.enter.running_var, pixels.enter.running_var)
